"""The sequences of the KV cache: longest common prefix, forks, parking, moved suffixes.

The sequences of a unified cache share the cells of a common prefix, so a fork needs no memory for it. If each
sequence has a separate cache, a fork copies the prefix. Every used cell slows down the attention of all
sequences, and so does every free cell below the highest used one. So few cells of idle sequences stay in the
cache. Other sequences are parked outside it, which costs a copy of some megabytes and no evaluation.

This module does not use llama.cpp: it returns the changes to the KV cache as a list of moves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.engine.stepping.cache_operations import (
    Clear,
    Copy,
    Detach,
    Discard,
    Move,
    Park,
    Reattach,
    Restore,
    Truncate,
)
from jupyter_turbopilot.util.bounds import common_prefix_length

if TYPE_CHECKING:
    from collections.abc import Sequence

# When a prompt diverges from a sequence, a tail of at least this length is kept as a separate sequence.
WORTH_KEEPING = 16
# Shorter sequences are not parked: evaluating them again is cheaper.
WORTH_PARKING = 32
# Cells of idle sequences that may stay in the cache.
IDLE_CELLS = 256
# A suffix of at least this length is moved, not evaluated again: moving costs as much as so many tokens.
WORTH_MOVING = 24
# It is evaluated again after so many tokens before it have changed; until then answers hardly change.
MOVED_LIMIT = 48


class Partition(NamedTuple):
    """The prompts that may share a sequence: of one owner, with the same adapters, saved or not saved."""

    tenant: str = ""
    tuning: int = 0
    uncached: bool = False  # not saved for the next start


PLAIN = Partition()


@dataclass(eq=False)
class KVSequence:
    """The tokens of a sequence. Sequences with common `cells` share them."""

    id: int
    tokens: list[int] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)
    busy: bool = False
    promised: int = 0  # its maximum length while it is busy
    turn: int = 0  # counts the uses of all sequences; the last use of this one
    detached: bool = False  # whether it is a suffix without the tokens before it
    moved: int = 0  # tokens added or removed before a moved suffix
    partition: Partition = PLAIN


@dataclass(frozen=True)
class MovedSuffix:
    """The suffix of a prompt, detached until the tokens before it are evaluated."""

    sequence: KVSequence
    start: int  # its old position
    at: int  # its new position

    @property
    def count(self) -> int:
        """The number of its tokens."""
        return len(self.sequence.tokens)


@dataclass(frozen=True)
class Allocation:
    """A sequence for a prompt, the number of its evaluated tokens, and the moves that prepare it."""

    sequence: KVSequence
    kept: int
    moves: list[Move]
    suffix: MovedSuffix | None = None


class Sequences:
    """At most `count` sequences in `capacity` cells, and parked copies of at most `parked` tokens.

    `divisible` is False if sequences cannot be truncated (recurrent models): then a sequence is continued
    completely or not at all. `movable` is True if positions can be changed. `shares` is False if each
    sequence has a separate cache: then a copy needs its own cells.
    """

    def __init__(
        self,
        count: int,
        capacity: int,
        *,
        parked: int = 0,
        divisible: bool = True,
        movable: bool = False,
        shares: bool = True,
    ) -> None:
        self._free = list(range(count - 1, -1, -1))
        self._capacity = capacity
        self._parking = parked
        # A memory that cannot forget a part has a state of one size besides, however short a sequence is.
        self._worth_parking = WORTH_PARKING if divisible else 2 * WORTH_PARKING
        self._divisible = divisible
        self._movable = movable
        self._shares = shares
        self._all: list[KVSequence] = []
        self._parked: dict[int, tuple[Partition, list[int]]] = {}  # by number, the oldest first
        self._next_cell = self._turn = self._number = 0
        self.used = 0

    def take(
        self,
        prompt: Sequence[int],
        room: int,
        suffix_span: tuple[int, int] = (0, 0),
        partition: Partition = PLAIN,
        *,
        fresh: bool = False,
    ) -> Allocation | None:
        """Choose a sequence for a prompt and `room` more tokens; return None if there are not enough cells.

        `suffix_span` is the position of the suffix in the prompt. It seldom changes while the text before it
        grows. A `fresh` sequence shares no cells, and starts at the first cell unless others are busy: the
        positions of its cells change the order of sums, and so their last digits.
        """
        wanted = len(prompt) + room
        if self._claimed() + wanted > self._capacity:
            return None
        if not self._free and not self.idle():
            return None
        moves: list[Move] = []
        suffix = None
        source, kept = self._empty(moves) if fresh else self._known(prompt, partition, moves)
        if source and (start := self._movable_part(source, kept, prompt, suffix_span)):
            sequence = source
            suffix = self._detach(sequence, kept, start, suffix_span, moves)
        elif (
            source
            and not source.busy
            and (len(source.tokens) - kept < WORTH_KEEPING or not self._another(source))
        ):
            sequence = source
            if kept < suffix_span[0]:
                sequence.moved = 0
            self.cut(sequence, kept, moves)
        else:
            if not self._free:
                self._evict(moves, spare=source)
            sequence = self._new(partition)
            if source and kept:
                self._fork(source, sequence, kept)
                sequence.moved = source.moved if kept > suffix_span[0] else 0
                moves.append(Copy(source.id, sequence.id, kept))
        sequence.busy, sequence.promised = True, wanted
        self._touch(sequence)
        while self.used + self._outstanding() > self._capacity and self._evict(moves):
            pass
        # Spare the source, unless it shares no cells with the prompt and fits into the parking.
        stays = kept or not self._shares or (source is not None and len(source.tokens) > self._parking)
        self._clear(moves, spare=source if stays else None)
        return Allocation(sequence, kept, moves, suffix)

    def _known(
        self, prompt: Sequence[int], partition: Partition, moves: list[Move]
    ) -> tuple[KVSequence | None, int]:
        """Return the sequence with the longest common prefix, and its length."""
        # The last token is always evaluated again: the answer starts from its logits.
        known = prompt[:-1]
        self._fetch(known, partition, moves)
        return self._best(known, partition)

    def _fork(self, source: KVSequence, target: KVSequence, count: int) -> None:
        """Add the first tokens of a sequence to another one."""
        if self._shares:
            target.tokens, target.cells = source.tokens[:count], source.cells[:count]
        else:
            self.extend(target, source.tokens[:count])

    def _empty(self, moves: list[Move]) -> tuple[None, int]:
        """Evict all idle sequences, so that the next sequence starts at the first cell."""
        while self._evict(moves):
            pass
        if not self._all:
            moves.append(Clear())
        return None, 0

    def reattach(self, sequence: KVSequence, suffix: MovedSuffix) -> list[Move]:
        """Append a detached suffix to its sequence."""
        tokens = list(suffix.sequence.tokens)
        stop, by = suffix.start + len(tokens), suffix.at - suffix.start
        move = Reattach(suffix.sequence.id, sequence.id, suffix.start, stop, by)
        self.drop(suffix.sequence)
        self.extend(sequence, tokens)
        return [move]

    def drop_suffix(self, suffix: MovedSuffix) -> list[Move]:
        """Drop a detached suffix."""
        self.drop(suffix.sequence)
        return [Truncate(suffix.sequence.id, 0)]

    def extend(self, sequence: KVSequence, tokens: Sequence[int]) -> None:
        """Append evaluated tokens to a sequence."""
        sequence.tokens.extend(tokens)
        sequence.cells.extend(range(self._next_cell, self._next_cell + len(tokens)))
        self._next_cell += len(tokens)
        self.used += len(tokens)

    def cut(self, sequence: KVSequence, start: int, moves: list[Move] | None = None) -> None:
        """Remove the tokens of a sequence from `start` on."""
        if start >= len(sequence.tokens):
            return
        self.used -= max(0, len(sequence.cells) - max(start, self._shared(sequence)))
        del sequence.tokens[start:], sequence.cells[start:]
        if moves is not None:
            moves.append(Truncate(sequence.id, start))

    def release(self, sequence: KVSequence) -> None:
        """Keep a sequence for later prompts."""
        sequence.busy = False

    def drop(self, sequence: KVSequence) -> None:
        """Remove a sequence."""
        self.cut(sequence, 0)
        self._all.remove(sequence)
        self._free.append(sequence.id)

    def lose(self, taken: Allocation) -> list[Move]:
        """Remove the sequences and copies of failed moves: it is unknown which moves were executed."""
        copies, touched = set(), {taken.sequence.id}
        for move in taken.moves:
            match move:
                case Park(_, number) | Discard(number):
                    copies.add(number)
                case Restore(number, target):
                    copies.add(number)
                    touched.add(target)
                case Truncate(target, _) | Detach(_, target):
                    touched.add(target)
        for number in copies:
            self._parked.pop(number, None)
        for sequence in [sequence for sequence in self._all if sequence.id in touched]:
            self.drop(sequence)
        return [*map(Discard, copies), *(Truncate(number, 0) for number in touched)]

    def idle(self) -> list[KVSequence]:
        """Return the sequences that are not busy."""
        return [sequence for sequence in self._all if not sequence.busy]

    def park_all(self) -> tuple[list[Move], list[tuple[int, list[int]]]]:
        """Park all idle sequences; return the moves and the plain partition's copies, last used first."""
        moves: list[Move] = []
        while self._evict(moves):
            pass
        return moves, [
            (number, tokens)
            for number, (partition, tokens) in reversed(self._parked.items())
            if partition == PLAIN
        ]

    def adopt(self, tokens: Sequence[int], partition: Partition = PLAIN) -> int:
        """Register a copy that is outside the cache; return its number."""
        self._number += 1
        self._parked[self._number] = (partition, list(tokens))
        return self._number

    def _new(self, partition: Partition) -> KVSequence:
        sequence = KVSequence(self._free.pop(), partition=partition)
        self._all.append(sequence)
        return sequence

    def _touch(self, sequence: KVSequence) -> None:
        self._turn += 1
        sequence.turn = self._turn

    def _another(self, source: KVSequence) -> bool:
        """Return whether another sequence is available."""
        return bool(self._free) or any(not sequence.busy and sequence is not source for sequence in self._all)

    def _common(self, tokens: list[int], known: Sequence[int]) -> int:
        kept = common_prefix_length(tokens, known)
        return kept if self._divisible or kept == len(tokens) else 0

    def _best(self, known: Sequence[int], partition: Partition) -> tuple[KVSequence | None, int]:
        best: tuple[int, bool, int, KVSequence | None] = (0, False, 0, None)
        for sequence in self._all:
            if sequence.partition != partition:
                continue
            kept = 0 if sequence.detached else self._common(sequence.tokens, known)
            # Prefer a sequence that can be continued without a fork.
            rank = (
                kept,
                not sequence.busy and len(sequence.tokens) - kept < WORTH_KEEPING,
                sequence.turn,
                sequence,
            )
            best = max(best, rank, key=lambda choice: choice[:3])
        return best[3], best[0]

    def _movable_part(
        self, source: KVSequence, kept: int, prompt: Sequence[int], suffix_span: tuple[int, int]
    ) -> int:
        """Return the position of a prompt's suffix in a sequence; 0 if moving it saves no time."""
        at, stop = suffix_span
        if not self._movable or source.busy or not self._free or stop - at < WORTH_MOVING or kept >= at:
            return 0
        wanted = list(prompt[at:stop])
        size = len(wanted)
        start = next(
            (i for i in range(kept, len(source.tokens) - size + 1) if source.tokens[i : i + size] == wanted),
            0,
        )
        if not start:
            return 0
        fresh = source.moved + abs(at - start) < MOVED_LIMIT
        return start if fresh and self._shared(source) <= start else 0

    def _detach(
        self, sequence: KVSequence, kept: int, start: int, suffix_span: tuple[int, int], moves: list[Move]
    ) -> MovedSuffix:
        detached = self._new(sequence.partition)
        detached.busy = detached.detached = True
        tokens = sequence.tokens[start : start + suffix_span[1] - suffix_span[0]]
        moves.append(Detach(sequence.id, detached.id, start, start + len(tokens)))
        sequence.moved += abs(suffix_span[0] - start) + 1
        self.cut(sequence, kept, moves)
        self.extend(detached, tokens)
        return MovedSuffix(detached, start, suffix_span[0])

    def _fetch(self, known: Sequence[int], partition: Partition, moves: list[Move]) -> None:
        """Restore a parked sequence if its common prefix is clearly longer than those in the cache."""
        if not self._parked:
            return
        least = self._best(known, partition)[1] + WORTH_KEEPING
        candidates = [
            (self._common(tokens, known), number)
            for number, (kept_for, tokens) in self._parked.items()
            # There may be hundreds: comparing one token excludes most of them.
            if kept_for == partition and tokens[least - 1 : least] == known[least - 1 : least] != []
        ]
        kept, number = max(candidates, default=(0, 0))
        if kept < least:
            return
        tokens = self._parked[number][1]
        if self._claimed() + len(tokens) > self._capacity:
            return
        del self._parked[number]  # first, because evicting discards the oldest copies
        if self._shares:
            self._clear(moves)  # so that the restored sequence gets the lowest cells
        while (
            not self._free or self.used + self._outstanding() + len(tokens) > self._capacity
        ) and self._evict(moves):
            pass
        sequence = self._new(partition)
        moves.append(Restore(number, sequence.id))
        self.extend(sequence, tokens)
        self._touch(sequence)

    def _clear(self, moves: list[Move], spare: KVSequence | None = None) -> None:
        """Evict idle sequences until at most `IDLE_CELLS` of their cells are left."""
        serving = sum(len(sequence.cells) for sequence in self._all if sequence.busy)
        while self.used - serving > IDLE_CELLS and self._evict(moves, spare=spare):
            pass

    def _claimed(self) -> int:
        """Return the number of cells that busy sequences use or may still use."""
        return sum(max(sequence.promised, len(sequence.cells)) for sequence in self._all if sequence.busy)

    def _outstanding(self) -> int:
        return sum(max(0, sequence.promised - len(sequence.cells)) for sequence in self._all if sequence.busy)

    def _shared(self, sequence: KVSequence) -> int:
        others = (other for other in self._all if other is not sequence)
        return max((common_prefix_length(sequence.cells, other.cells) for other in others), default=0)

    def _evict(self, moves: list[Move], spare: KVSequence | None = None) -> bool:
        """Evict the least recently used idle sequence; return False if there is none."""
        idle = [sequence for sequence in self._all if not sequence.busy and sequence is not spare]
        if not idle:
            return False
        sequence = min(idle, key=lambda one: one.turn)
        if (
            len(sequence.tokens) - self._shared(sequence) >= self._worth_parking
            and len(sequence.tokens) <= self._parking
        ):
            number = self.adopt(sequence.tokens, sequence.partition)
            moves.append(Park(sequence.id, number))
            while sum(len(tokens) for _, tokens in self._parked.values()) > self._parking:
                oldest = next(iter(self._parked))
                del self._parked[oldest]
                moves.append(Discard(oldest))
        moves.append(Truncate(sequence.id, 0))
        self.drop(sequence)
        return True
