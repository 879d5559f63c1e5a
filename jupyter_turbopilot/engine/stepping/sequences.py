"""The sequences of the KV cache: longest common prefix, forks, parking, moved tokens.

The sequences of a unified cache share the cells of a common prefix, so a fork needs no memory for it. If each
sequence has a separate cache, a fork copies the prefix. Every used cell slows down the attention of all
sequences, and so does every free cell below the highest used one. So few cells of idle sequences stay in the
cache. Other sequences are parked outside it, which costs a copy of some megabytes and no evaluation.

This module does not use llama.cpp: it returns the changes to the KV cache as a list of moves.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
    Shift,
    Truncate,
)
from jupyter_turbopilot.engine.stepping.moved_tokens import WORTH_MOVING, Part, edited_parts, suffix_part
from jupyter_turbopilot.util.bounds import common_prefix_length

if TYPE_CHECKING:
    from collections.abc import Sequence

# When a prompt diverges from a sequence, a tail of at least this length is kept as a separate sequence.
WORTH_KEEPING = 16
# The same if a fork copies the prefix: a suffix, which each keystroke moves, is not worth it.
WORTH_COPYING = 128
# A copy of so many tokens costs as much as evaluating one.
COPIED_PER_TOKEN = 64
# Shorter sequences are not parked: evaluating them again is cheaper.
WORTH_PARKING = 32
# Cells of idle sequences that may stay in the cache.
IDLE_CELLS = 256
# Moved tokens are evaluated again after so many tokens before them have changed; until then answers hardly
# change (benchmarks/moving.py).
MOVED_LIMIT = 96


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
    detached: bool = False  # whether it is a part without the tokens before it
    partition: Partition = PLAIN
    context_end: int = 0  # that of its last prompt
    stale: list[int] = field(default_factory=list)  # by token: changes before it since its evaluation

    @property
    def exact(self) -> int:
        """The number of leading tokens that nothing was moved or changed before."""
        return next((index for index, changes in enumerate(self.stale) if changes), len(self.stale))


@dataclass(frozen=True)
class Wanted:
    """A prompt without its last token, which is always evaluated: the answer starts from its logits."""

    tokens: list[int]
    partition: Partition
    context_end: int = 0  # tokens after an edit may be moved up to here
    suffix_span: tuple[int, int] = (0, 0)
    exact: bool = False  # whether it may not use moved tokens


@dataclass(frozen=True)
class DetachedPart:
    """A part of a prompt, detached until the tokens before it are evaluated."""

    sequence: KVSequence
    at: int  # its position in the prompt

    @property
    def size(self) -> int:
        """The number of its tokens."""
        return len(self.sequence.tokens)


@dataclass(frozen=True)
class Allocation:
    """A sequence for a prompt, the number of its evaluated tokens, and the moves that prepare it."""

    sequence: KVSequence
    kept: int
    moves: list[Move]
    detached: list[DetachedPart] = field(default_factory=list)  # by position


class Sequences:
    """At most `count` sequences in `capacity` cells, and parked copies of at most `parked` tokens.

    `divisible` is False if sequences cannot be truncated (recurrent models): then a sequence is continued
    completely or not at all. `movable` is True if positions can be changed. `shares` is False if each
    sequence has a separate cache: then a copy needs its own cells. `idle_cells` may stay in the cache.
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
        idle_cells: int = IDLE_CELLS,
    ) -> None:
        self._free = list(range(count - 1, -1, -1))
        self._capacity = capacity
        self._parking = parked
        # A memory that cannot forget a part has a state of one size besides, however short a sequence is.
        self._worth_parking = WORTH_PARKING if divisible else 2 * WORTH_PARKING
        self._divisible = divisible
        self._movable = movable
        self._shares = shares
        self._idle_cells = idle_cells
        self._all: list[KVSequence] = []
        self._parked: dict[int, KVSequence] = {}  # by number, the oldest first
        self._next_cell = self._turn = self._number = 0
        self.used = 0

    def take(
        self,
        prompt: Sequence[int],
        room: int,
        suffix_span: tuple[int, int] = (0, 0),
        partition: Partition = PLAIN,
        *,
        context_end: int = 0,
        fresh: bool = False,
    ) -> Allocation | None:
        """Choose a sequence for a prompt and `room` more tokens; return None if there are not enough cells.

        `suffix_span` is the position of the suffix in the prompt. It seldom changes while the text before it
        grows. Tokens before `context_end` may be moved if an earlier text was edited. A `fresh` sequence
        shares no cells, and starts at the first cell unless others are busy: the positions of its cells
        change the order of sums, and so their last digits.
        """
        size = len(prompt) + room
        if self._claimed() + size > self._capacity:
            return None
        if not self._free and not self.idle():
            return None
        moves: list[Move] = []
        detached: list[DetachedPart] = []
        exact = not context_end and suffix_span[0] == suffix_span[1]
        wanted = Wanted(list(prompt[:-1]), partition, context_end, suffix_span, exact)
        source, kept = self._empty(moves) if fresh else self._known(wanted, moves)
        if source and (parts := self._movable_parts(source, kept, wanted)):
            sequence = source
            detached = self._detach(sequence, kept, parts, moves)
        elif (
            source
            and not source.busy
            and (len(source.tokens) - kept < self._worth_forking(kept) or not self._another(source))
        ):
            sequence = source
            self.cut(sequence, kept, moves)
        else:
            if not self._free:
                self._evict(moves, spare=source)
            sequence = self._new(partition)
            if source and not self._shares and kept * COPIED_PER_TOKEN < len(source.tokens):
                kept = 0  # copying the sequence would cost more than evaluating these tokens
            if source and kept:
                self._fork(source, sequence, kept)
                moves.append(Copy(source.id, sequence.id, kept))
        sequence.busy, sequence.promised = True, size - sum(part.size for part in detached)
        sequence.context_end = context_end
        self._touch(sequence)
        while self.used + self._outstanding() > self._capacity and self._evict(moves):
            pass
        # Spare the source, unless it shares no cells with the prompt and fits into the parking.
        stays = kept or not self._shares or (source is not None and len(source.tokens) > self._parking)
        self._clear(moves, spare=source if stays else None)
        return Allocation(sequence, kept, moves, detached)

    def _known(self, wanted: Wanted, moves: list[Move]) -> tuple[KVSequence | None, int]:
        """Return the sequence with the longest common prefix, and its length.

        If much of the context follows an edit, return the sequence of which the most tokens can be used.
        """
        if wanted.context_end - self._best(replace(wanted, context_end=0))[1] < 2 * WORTH_MOVING:
            wanted = replace(wanted, context_end=0)
        self._fetch(wanted, moves)
        source = self._best(wanted)[0]
        return source, self._common(source, wanted) if source else 0

    def _fork(self, source: KVSequence, target: KVSequence, count: int) -> None:
        """Add the first tokens of a sequence to another one."""
        if self._shares:
            target.tokens, target.cells = source.tokens[:count], source.cells[:count]
            target.stale = source.stale[:count]
        else:
            self.extend(target, source.tokens[:count])

    def _empty(self, moves: list[Move]) -> tuple[None, int]:
        """Evict all idle sequences, so that the next sequence starts at the first cell."""
        while self._evict(moves):
            pass
        if not self._all:
            moves.append(Clear())
        return None, 0

    def reattach(self, sequence: KVSequence, part: DetachedPart) -> list[Move]:
        """Append a detached part to its sequence."""
        tokens, stale = part.sequence.tokens[:], part.sequence.stale[:]
        self.drop(part.sequence)
        self.extend(sequence, tokens, stale)
        sequence.promised += len(tokens)
        return [Reattach(part.sequence.id, sequence.id)]

    def drop_part(self, part: DetachedPart) -> list[Move]:
        """Drop a detached part."""
        self.drop(part.sequence)
        return [Truncate(part.sequence.id, 0)]

    def extend(self, sequence: KVSequence, tokens: Sequence[int], stale: Sequence[int] = ()) -> None:
        """Append evaluated or moved tokens to a sequence."""
        sequence.tokens.extend(tokens)
        sequence.stale.extend(stale or [0] * len(tokens))
        sequence.cells.extend(range(self._next_cell, self._next_cell + len(tokens)))
        self._next_cell += len(tokens)
        self.used += len(tokens)

    def cut(self, sequence: KVSequence, start: int, moves: list[Move] | None = None) -> None:
        """Remove the tokens of a sequence from `start` on."""
        if start >= len(sequence.tokens):
            return
        self.used -= max(0, len(sequence.cells) - max(start, self._shared(sequence)))
        del sequence.tokens[start:], sequence.cells[start:], sequence.stale[start:]
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

    def park_all(self) -> tuple[list[Move], list[KVSequence]]:
        """Park all idle sequences; return the moves and the plain partition's copies, last used first."""
        moves: list[Move] = []
        while self._evict(moves):
            pass
        return moves, [copy for copy in reversed(self._parked.values()) if copy.partition == PLAIN]

    def adopt(self, sequence: KVSequence) -> int:
        """Register a copy that is outside the cache; return its number, which is its id."""
        self._number = number = self._number + 1
        self._parked[number] = replace(
            sequence, id=number, tokens=[*sequence.tokens], cells=[], stale=[*sequence.stale]
        )
        return number

    def _new(self, partition: Partition) -> KVSequence:
        sequence = KVSequence(self._free.pop(), partition=partition)
        self._all.append(sequence)
        return sequence

    def _worth_forking(self, kept: int) -> int:
        """Return the length from which a tail after `kept` common tokens stays in a separate sequence."""
        return WORTH_KEEPING if self._shares or kept < WORTH_KEEPING else WORTH_COPYING

    def _touch(self, sequence: KVSequence) -> None:
        self._turn += 1
        sequence.turn = self._turn

    def _another(self, source: KVSequence) -> bool:
        """Return whether another sequence is available."""
        return bool(self._free) or any(not sequence.busy and sequence is not source for sequence in self._all)

    def _common(self, sequence: KVSequence, wanted: Wanted) -> int:
        """Return the length of the usable common prefix of a sequence and a prompt."""
        if sequence.partition != wanted.partition or sequence.detached:
            return 0
        kept = common_prefix_length(sequence.tokens, wanted.tokens)
        if wanted.exact and any(sequence.stale[:kept]):
            kept = sequence.exact
        return kept if self._divisible or kept == len(sequence.tokens) else 0

    def _usable(self, sequence: KVSequence, wanted: Wanted) -> int:
        """Return how many tokens of a prompt need not be evaluated before its suffix.

        A sequence that needs no moves is preferred, unless many more tokens would have to be evaluated.
        """
        kept = self._common(sequence, wanted)
        moved = sum(part.size for part in self._edited_parts(sequence, kept, wanted))
        return kept + max(0, moved - 2 * WORTH_MOVING)

    def _best(self, wanted: Wanted) -> tuple[KVSequence | None, int]:
        best: tuple[int, bool, int, KVSequence | None] = (0, False, 0, None)
        for sequence in self._all:
            if sequence.partition != wanted.partition:
                continue
            usable = self._usable(sequence, wanted)
            # Prefer a sequence that can be continued without a fork.
            rank = (
                usable,
                not sequence.busy and len(sequence.tokens) - usable < WORTH_KEEPING,
                sequence.turn,
                sequence,
            )
            best = max(best, rank, key=lambda choice: choice[:3])
        return best[3], best[0]

    def _edited_parts(self, source: KVSequence, kept: int, wanted: Wanted) -> list[Part]:
        """Return the parts of the context that follow an edit and can be moved."""
        end = wanted.context_end
        if not kept or end - kept < 2 * WORTH_MOVING or source.busy or not self._movable:
            return []
        found = edited_parts(source.tokens[: source.context_end], wanted.tokens[:end], kept)
        parts = [part for part in found if _is_fresh(source, part)]
        # Otherwise it is another part of the notebook, not an edit of this one.
        is_edit = parts and sum(part.size for part in parts) > 2 * parts[-1].changes
        return parts if is_edit else []

    def _movable_parts(self, source: KVSequence, kept: int, wanted: Wanted) -> list[Part]:
        """Return the parts of a prompt to move within a sequence, by position."""
        if not self._movable or source.busy:
            return []
        parts = self._edited_parts(source, kept, wanted)
        if kept < wanted.suffix_span[0]:
            first = max([1, kept, *(part.start + part.size for part in parts)])
            found = suffix_part(source.tokens, wanted.tokens, first, wanted.suffix_span)
            parts += [part for part in found if _is_fresh(source, part)]
        busy = (other.cells for other in self._all if other.busy)
        shared = max((common_prefix_length(source.cells, cells) for cells in busy), default=0)
        return parts if parts and len(parts) <= len(self._free) and shared <= parts[0].start else []

    def _detach(
        self, sequence: KVSequence, kept: int, parts: list[Part], moves: list[Move]
    ) -> list[DetachedPart]:
        """Detach the parts, and cut the sequence. Idle sequences that share their cells are parked."""
        for other in self.idle():
            if other is not sequence and common_prefix_length(sequence.cells, other.cells) > parts[0].start:
                self._park(other, moves)
        tokens, stale = sequence.tokens[:], sequence.stale[:]
        detached = [DetachedPart(self._new(sequence.partition), part.at) for part in parts]
        moves += [
            Detach(sequence.id, each.sequence.id, part.start, part.start + part.size)
            for each, part in zip(detached, parts, strict=True)
        ]
        self.cut(sequence, kept, moves)
        # All at once: llama.cpp rotates the keys of the whole cache before the next batch.
        for each, (start, at, size, changes) in zip(detached, parts, strict=True):
            moves.append(Shift(each.sequence.id, start, start + size, at - start))
            each.sequence.busy = each.sequence.detached = True
            aged = [earlier + changes + 1 for earlier in stale[start : start + size]]
            self.extend(each.sequence, tokens[start : start + size], aged)
        return detached

    def _fetch(self, wanted: Wanted, moves: list[Move]) -> None:
        """Restore a parked sequence if clearly more of its tokens can be used than of those in the cache."""
        if not self._parked:
            return
        least = self._best(wanted)[1] + WORTH_KEEPING
        last = wanted.tokens[least - 1 : least]
        candidates = [
            (self._usable(copy, wanted), number)
            for number, copy in self._parked.items()
            # There may be hundreds: comparing one token excludes most of them.
            if wanted.context_end or copy.tokens[least - 1 : least] == last != []
        ]
        usable, number = max(candidates, default=(0, 0))
        if usable < least:
            return
        copy = self._parked[number]
        if self._claimed() + len(copy.tokens) > self._capacity:
            return
        del self._parked[number]  # first, because evicting discards the oldest copies
        if self._shares:
            self._clear(moves)  # so that the restored sequence gets the lowest cells
        while (
            not self._free or self.used + self._outstanding() + len(copy.tokens) > self._capacity
        ) and self._evict(moves):
            pass
        sequence = self._new(wanted.partition)
        moves.append(Restore(number, sequence.id))
        self.extend(sequence, copy.tokens, copy.stale)
        sequence.context_end = copy.context_end
        self._touch(sequence)

    def _clear(self, moves: list[Move], spare: KVSequence | None = None) -> None:
        """Evict idle sequences until at most `self._idle_cells` of their cells are left."""
        serving = sum(len(sequence.cells) for sequence in self._all if sequence.busy)
        while self.used - serving > self._idle_cells and self._evict(moves, spare=spare):
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
        self._park(min(idle, key=lambda one: one.turn), moves)
        return True

    def _park(self, sequence: KVSequence, moves: list[Move]) -> None:
        """Remove a sequence from the cache; keep a copy outside it if that is worth it."""
        if (
            len(sequence.tokens) - self._shared(sequence) >= self._worth_parking
            and len(sequence.tokens) <= self._parking
        ):
            number = self.adopt(sequence)
            moves.append(Park(sequence.id, number))
            while sum(len(copy.tokens) for copy in self._parked.values()) > self._parking:
                oldest = next(iter(self._parked))
                del self._parked[oldest]
                moves.append(Discard(oldest))
        moves.append(Truncate(sequence.id, 0))
        self.drop(sequence)


def _is_fresh(source: KVSequence, part: Part) -> bool:
    """Return whether few tokens before a part have changed since its evaluation."""
    return max(source.stale[part.start : part.start + part.size]) + part.changes < MOVED_LIMIT
