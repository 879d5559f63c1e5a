"""Replies hold the text so far; other protocols send pieces that follow each other. Pure."""

from __future__ import annotations

import codecs
import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.generation import Token
    from jupyter_turbopilot.reply import Item, Reply


class Piece(NamedTuple):
    """What is new of one text, and the tokens that are."""

    item: Item
    text: str
    tokens: tuple[Placed, ...]
    last: bool


class Placed(NamedTuple):
    """A token and where its text begins."""

    token: Token
    text: str
    offset: int


class _Placing:
    """Says where the tokens of one text stand, each once."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._count = self._at = 0

    def more(self, item: Item) -> list[Placed]:
        """Return the tokens that are new, up to the text's end: what a stop text cut off is none of it."""
        found = []
        for token in item.tokens[self._count :]:
            if self._at >= len(item.text):
                break
            text = self._decoder.decode(token.data)
            found.append(Placed(token, text, self._at))
            self._at += len(text)
        self._count += len(found)
        return found


class Saying:
    """Remembers what was said of each text."""

    def __init__(self) -> None:
        self._said: dict[int, int] = defaultdict(int)
        self._tokens: dict[int, _Placing] = defaultdict(_Placing)
        self._ended: set[int] = set()

    def pieces(self, reply: Reply) -> Iterator[Piece]:
        """Return what is new in a reply."""
        for item in reply.items:
            last = item.finish_reason != "streaming"
            if item.index in self._ended:
                continue
            # A text that follows another says that the other has ended; the last reply has all of them.
            new = item.text[self._said[item.index] :]
            if not new and not last:
                continue
            self._said[item.index] += len(new)
            if last:
                self._ended.add(item.index)
            yield Piece(item, new, tuple(self._tokens[item.index].more(item)), last)


def placed(item: Item) -> list[Placed]:
    """Return the tokens of a whole text."""
    return _Placing().more(item)


def logarithm(token: Token) -> float:
    """Return the logarithm of a token's probability."""
    return math.log(max(1e-30, token.probability))


def word(data: bytes) -> str:
    """Return a token's bytes as a text that tells every token from every other."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


def probabilities(
    tokens: tuple[Placed, ...] | list[Placed], piece: Any, *, drawn: bool = False
) -> list[dict[str, Any]]:
    """Word tokens with the likeliest others, as llama.cpp's server does: before or after the samplers."""

    def one(name: int, chance: float) -> dict[str, Any]:
        data = piece(name)
        told = {"prob": math.exp(chance)} if drawn else {"logprob": chance}
        return {"id": name, "token": word(data), "bytes": list(data)} | told

    others = "top_probs" if drawn else "top_logprobs"
    return [
        one(found.token.id, logarithm(found.token))
        | {others: [one(name, chance) for name, chance in found.token.top]}
        for found in tokens
    ]
