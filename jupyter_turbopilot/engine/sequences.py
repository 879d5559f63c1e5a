"""Which key-value sequence serves whom: the longest common prefix, forks, eviction. Pure bookkeeping.

Sequences of one unified cache share the cells of a common prefix, so a fork costs no memory for what is
shared. Nothing here touches llama.cpp: what has to be done to its memory is returned as a list of moves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# A tail that is at least as long stays behind as a sequence of its own when a prompt leaves it.
WORTH_KEEPING = 16


@dataclass(eq=False)
class Held:
    """The tokens one sequence holds; `cells` says which of them are shared with others."""

    id: int
    tokens: list[int] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)
    busy: bool = False
    value: int = 0


@dataclass(frozen=True)
class Copy:
    """Let `target` share the first `count` cells of `source`."""

    source: int
    target: int
    count: int


@dataclass(frozen=True)
class Cut:
    """Forget what `sequence` holds from `start` on."""

    sequence: int
    start: int


Move = Copy | Cut


@dataclass(frozen=True)
class Taken:
    """A sequence for a prompt, how many tokens of it are there already, and what to do to the memory."""

    held: Held
    kept: int
    moves: list[Move]


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """Return how many leading elements are the same; slices compare faster than a loop."""
    high = min(len(left), len(right))
    if left[:high] == right[:high]:
        return high
    low = 0
    while low + 1 < high:
        middle = (low + high) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return low + (left[low : low + 1] == right[low : low + 1])


class Sequences:
    """At most `count` sequences in `capacity` cells.

    `divisible` is False for memories that cannot forget a part of a sequence (recurrent models): there a
    sequence is continued whole or not at all.
    """

    def __init__(self, count: int, capacity: int, *, divisible: bool = True) -> None:
        self._free = list(range(count - 1, -1, -1))
        self._capacity = capacity
        self._divisible = divisible
        self._all: list[Held] = []
        self._next_cell = 0
        self._clock = 0
        self.used = 0

    def take(self, prompt: Sequence[int], room: int) -> Taken | None:
        """Choose a sequence for a prompt and `room` more tokens; None while others need the cells."""
        busy = [held for held in self._all if held.busy]
        if _distinct(busy) + len(prompt) + room > self._capacity:
            return None
        source, kept = self._best(prompt)
        moves: list[Move] = []
        if source and not source.busy and len(source.tokens) - kept < WORTH_KEEPING:
            held = source
            self.cut(held, kept, moves)
        else:
            if not self._free:
                if not any(h is not source and not h.busy for h in self._all):
                    return None
                self._evict(moves, spare=source)
            held = Held(self._free.pop())
            self._all.append(held)
            if source and kept:
                held.tokens, held.cells = source.tokens[:kept], source.cells[:kept]
                moves.append(Copy(source.id, held.id, kept))
        held.busy = True
        held.value = self._clock
        while self.used + len(prompt) - kept + room > self._capacity:
            self._evict(moves)
        return Taken(held, kept, moves)

    def grow(self, held: Held, tokens: Sequence[int]) -> None:
        """Write down that tokens were evaluated at the end of a sequence."""
        held.tokens.extend(tokens)
        held.cells.extend(range(self._next_cell, self._next_cell + len(tokens)))
        self._next_cell += len(tokens)
        self.used += len(tokens)

    def cut(self, held: Held, start: int, moves: list[Move] | None = None) -> None:
        """Forget what a sequence holds from `start` on."""
        if start >= len(held.tokens):
            return
        self.used -= max(0, len(held.cells) - max(start, self._shared(held)))
        del held.tokens[start:], held.cells[start:]
        if moves is not None:
            moves.append(Cut(held.id, start))

    def release(self, held: Held) -> None:
        """Keep a sequence for whoever comes next."""
        held.busy = False
        held.value = self._clock

    def drop(self, held: Held) -> None:
        """Forget a sequence altogether."""
        self.cut(held, 0)
        self._all.remove(held)
        self._free.append(held.id)

    def idle(self) -> list[Held]:
        """Return the sequences that nobody uses at the moment."""
        return [held for held in self._all if not held.busy]

    def adopt(self, tokens: Sequence[int]) -> Held | None:
        """Make a sequence for tokens that come from elsewhere, if there is room without evicting anything."""
        if not self._free or self.used + len(tokens) > self._capacity:
            return None
        held = Held(self._free.pop(), value=self._clock)
        self._all.append(held)
        self.grow(held, tokens)
        return held

    def _best(self, prompt: Sequence[int]) -> tuple[Held | None, int]:
        # The last token is always read again: its row of logits is what the answer starts from.
        wanted = prompt[:-1]
        best: tuple[int, bool, int, Held | None] = (0, False, 0, None)
        for number, held in enumerate(self._all):
            kept = common_prefix(held.tokens, wanted)
            if not self._divisible and kept < len(held.tokens):
                continue
            # Of equals, one that can be continued as it stands.
            rank = (kept, not held.busy and len(held.tokens) - kept < WORTH_KEEPING, number, held)
            best = max(best, rank, key=lambda found: found[:3])
        return best[3], best[0]

    def _shared(self, held: Held) -> int:
        return max((common_prefix(held.cells, o.cells) for o in self._all if o is not held), default=0)

    def _evict(self, moves: list[Move], spare: Held | None = None) -> None:
        """Drop what is cheapest to lose: what costs few tokens to read again and was not used for long."""
        # GreedyDual: a sequence is worth what reading it again costs, and the clock eats that worth up.
        ordered = sorted(self._all, key=lambda held: held.cells)
        overlaps = [common_prefix(a.cells, b.cells) for a, b in pairwise(ordered)]
        worths = {}
        for held, before, after in zip(ordered, [0, *overlaps], [*overlaps, 0], strict=True):
            if not held.busy and held is not spare:
                worths[held.id] = (held.value + len(held.cells) - max(before, after), held)
        worth, held = min(worths.values(), key=lambda found: found[0])
        self._clock = max(self._clock, worth)
        moves.append(Cut(held.id, 0))
        self.drop(held)


def _distinct(sequences: list[Held]) -> int:
    ordered = sorted(held.cells for held in sequences)
    return sum(map(len, ordered)) - sum(common_prefix(a, b) for a, b in pairwise(ordered))
