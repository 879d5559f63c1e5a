"""Cut texts to a budget of tokens, in steps, so that a prompt's beginning seldom changes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

WIDEST = 64  # characters: a token has fewer. Text beyond that cannot fit, so it is not tokenized
Tail = TypeVar("Tail", list[int], str)
Tokenize = Callable[[str], list[int]]


@dataclass(frozen=True)
class Budget:
    """How many tokens each side of the cursor may take."""

    prefix: int
    suffix: int


def keep_tail(tokens: Tail, room: int) -> Tail:
    """Keep the end of tokens or of a text; its start moves in steps of a quarter of the room.

    If it moved with every token, each keystroke would change the start of the prompt, and nothing in the
    cache could be used again.
    """
    if len(tokens) <= room:
        return tokens
    if room <= 0:
        return tokens[:0]
    step = max(1, room // 4)
    return tokens[-(-(len(tokens) - room) // step) * step :]


def read_head(tokenize: Tokenize, text: str, room: int) -> list[int]:
    """Return the first tokens of a text, as many as fit."""
    return tokenize(text[: WIDEST * max(0, room)])[: max(0, room)]


def pieces_left_out(sizes: Sequence[int], near: int, room: int) -> int:
    """Return how many pieces, from the furthest on, to leave out so that the others and `near` tokens fit.

    They are left out in steps of a quarter of the room, as in `keep_tail`; one quarter is kept free for an
    outline of what was left out.
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
