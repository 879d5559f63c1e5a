"""Deltas between replies. Replies contain the full text so far; other protocols send the new part. Pure."""

from __future__ import annotations

import codecs
import math
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.protocol.engine_request import Token
    from jupyter_turbopilot.protocol.reply import Item, Reply


class Delta(NamedTuple):
    """The new part of one completion."""

    item: Item
    text: str
    tokens: tuple[PlacedToken, ...]
    last: bool


class PlacedToken(NamedTuple):
    """A token and the offset of its text."""

    token: Token
    text: str
    offset: int


class _TokenOffsets:
    """Computes the text offset of each token of one completion.

    `include_hidden`: also return tokens without text and tokens after a stop text.
    """

    def __init__(self, *, include_hidden: bool) -> None:
        self._include_hidden = include_hidden
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._count = self._at = 0

    def more(self, item: Item) -> list[PlacedToken]:
        """Return the new tokens."""
        placed = []
        for token in item.tokens[self._count :]:
            if self._at >= len(item.text) and not self._include_hidden:
                break
            text = self._decoder.decode(token.data)
            placed.append(PlacedToken(token, text, self._at))
            self._at += len(text)
        self._count += len(placed)
        return placed


class Deltas:
    """Turns the replies to one request into deltas."""

    def __init__(self, *, include_hidden: bool = False) -> None:
        self._lengths: dict[int, int] = defaultdict(int)
        self._tokens: dict[int, _TokenOffsets] = defaultdict(
            partial(_TokenOffsets, include_hidden=include_hidden)
        )
        self._ended: set[int] = set()

    def of(self, reply: Reply) -> Iterator[Delta]:
        for item in reply.items:
            last = item.finish_reason != "streaming"
            if item.index in self._ended:
                continue
            # An item may be repeated unchanged while others grow; the last reply contains all items.
            new = item.text[self._lengths[item.index] :]
            if not new and not last:
                continue
            self._lengths[item.index] += len(new)
            if last:
                self._ended.add(item.index)
            yield Delta(item, new, tuple(self._tokens[item.index].more(item)), last)


def placed_tokens(item: Item, *, include_hidden: bool = False) -> list[PlacedToken]:
    """Return the tokens of a finished item.

    `include_hidden`: also return tokens without text and tokens after a stop text.
    """
    return _TokenOffsets(include_hidden=include_hidden).more(item)


def log_probability(token: Token) -> float:
    """Return the logprob of a token."""
    return math.log(max(1e-30, token.probability))


def token_text(data: bytes) -> str:
    """Return a token's bytes as a unique text; invalid UTF-8 is escaped like OpenAI does."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


def probabilities(tokens: Sequence[PlacedToken], piece: Any, *, drawn: bool = False) -> list[dict[str, Any]]:
    """Return llama.cpp's `completion_probabilities`.

    `drawn`: probabilities after the samplers instead of logprobs before them.
    """

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
