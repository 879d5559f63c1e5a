"""What of a text fits: cut in steps, so that a prompt's beginning seldom changes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

WIDEST = 64  # characters: no text has so many to a token. What is certainly left out is not tokenized first
Tail = TypeVar("Tail", list[int], str)
Tokenize = Callable[[str], list[int]]


@dataclass(frozen=True)
class Budget:
    """How many tokens each side may take."""

    prefix: int
    suffix: int


def keep_tail(tokens: Tail, room: int) -> Tail:
    """Keep the end of tokens or of a text, leaving out the furthest in steps: the start seldom moves.

    Were they left out one by one, each keystroke would change the start of the prompt and nothing that
    was read before could be used again. Steps of a quarter of the room keep it for a quarter's length.
    """
    if len(tokens) <= room:
        return tokens
    if room <= 0:
        return tokens[:0]
    step = max(1, room // 4)
    return tokens[-(-(len(tokens) - room) // step) * step :]


def read_head(tokenize: Tokenize, text: str, room: int) -> list[int]:
    """Return the first tokens of a text."""
    return tokenize(text[: WIDEST * max(0, room)])[: max(0, room)]


def pieces_left_out(sizes: Sequence[int], near: int, room: int) -> int:
    """Return how many pieces, from the furthest on, have to go so that the others and what is near fit.

    In steps of a quarter of the room, for the same reason; a quarter is for what is kept of those that went.
    """
    over = sum(sizes) + near - room
    if over <= 0:
        return 0
    step = max(1, room // 4)
    wanted = -(-(over + room // 4) // step) * step
    gone = 0
    for count, size in enumerate(sizes):
        if gone >= wanted:
            return count
        gone += size
    return len(sizes)
