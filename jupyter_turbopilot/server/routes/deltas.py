"""What is new in each reply: replies hold the text so far, other protocols send deltas. Pure."""

from __future__ import annotations

import codecs
import math
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.generation import Token
    from jupyter_turbopilot.reply import Item, Reply


class Delta(NamedTuple):
    """What is new of one text, and the tokens that are."""

    item: Item
    text: str
    tokens: tuple[PlacedToken, ...]
    last: bool


class PlacedToken(NamedTuple):
    """A token and where its text begins."""

    token: Token
    text: str
    offset: int


class _Placement:
    """Places the tokens of one text, each once; `every`: those, too, that have no text or are cut off."""

    def __init__(self, *, every: bool) -> None:
        self._every = every
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._count = self._at = 0

    def more(self, item: Item) -> list[PlacedToken]:
        """Return the tokens that are new; what a stop text cut off is none of the text."""
        placed = []
        for token in item.tokens[self._count :]:
            if self._at >= len(item.text) and not self._every:
                break
            text = self._decoder.decode(token.data)
            placed.append(PlacedToken(token, text, self._at))
            self._at += len(text)
        self._count += len(placed)
        return placed


class Deltas:
    """Turns the replies to one request into deltas; remembers how much of each text was sent."""

    def __init__(self, *, every: bool = False) -> None:
        self._lengths: dict[int, int] = defaultdict(int)
        self._tokens: dict[int, _Placement] = defaultdict(partial(_Placement, every=every))
        self._ended: set[int] = set()

    def of(self, reply: Reply) -> Iterator[Delta]:
        """Return what is new in a reply."""
        for item in reply.items:
            last = item.finish_reason != "streaming"
            if item.index in self._ended:
                continue
            # A text that follows another says that the other has ended; the last reply has all of them.
            new = item.text[self._lengths[item.index] :]
            if not new and not last:
                continue
            self._lengths[item.index] += len(new)
            if last:
                self._ended.add(item.index)
            yield Delta(item, new, tuple(self._tokens[item.index].more(item)), last)


def placed_tokens(item: Item, *, every: bool = False) -> list[PlacedToken]:
    """Return the tokens of a whole text; `every`: those, too, that have no text or are cut off."""
    return _Placement(every=every).more(item)


def log_probability(token: Token) -> float:
    """Return the logarithm of a token's probability."""
    return math.log(max(1e-30, token.probability))


def token_text(data: bytes) -> str:
    """Return a token's bytes as a text that tells every token from every other."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


def probabilities(
    tokens: tuple[PlacedToken, ...] | list[PlacedToken], piece: Any, *, drawn: bool = False
) -> list[dict[str, Any]]:
    """Write tokens with the likeliest others, as llama.cpp's server does: before or after the samplers."""

    def entry(token: int, chance: float) -> dict[str, Any]:
        data = piece(token)
        probability = {"prob": math.exp(chance)} if drawn else {"logprob": chance}
        return {"id": token, "token": token_text(data), "bytes": list(data)} | probability

    others = "top_probs" if drawn else "top_logprobs"
    return [
        entry(placed.token.id, log_probability(placed.token))
        | {others: [entry(token, chance) for token, chance in placed.token.top]}
        for placed in tokens
    ]
