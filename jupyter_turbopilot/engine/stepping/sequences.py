"""The sequences of the KV cache: longest common prefix, forks, parking, moved tokens.

The sequences of a unified cache share the cells of a common prefix, so a fork needs no memory for it. If each
sequence has a separate cache, a fork copies the prefix. Every used cell slows down the attention of all
sequences, and so does every free cell below the highest used one. So few cells of idle sequences stay in the
cache. Other sequences are parked outside it, which costs a copy of some megabytes and no evaluation.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.stepping.moved_tokens import WORTH_MOVING, Part, edited_parts, suffix_part
from jupyter_turbopilot.util.bounds import common_prefix_length
from jupyter_turbopilot.util.failures import DAMAGED, on_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.engine.stepping.kv_cache import KVCache

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
# change (research/benchmarks/results/speed.md).
MOVED_LIMIT = 96
NOT_EVALUATED = -1  # no token of a prompt


@dataclass(eq=False)
class KVSequence:
    """The tokens of a sequence. Sequences with common `cells` share them."""

    id: int
    tokens: list[int] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)
    busy: bool = False
    promised: int = 0  # its maximum length while it is busy
    turn: int = 0  # counts the uses of all sequences; the last use of this one
    start: int = 0  # the position of its first token; not 0: a part without the tokens before it
    # Such parts of its prompt, by position. They are appended when the tokens before them are evaluated.
    parts: list[KVSequence] = field(default_factory=list)
    tenant: str = ""  # sequences are never shared between tenants
    context_end: int = 0  # that of its last prompt
    stale: list[int] = field(default_factory=list)  # by token: changes before it since its evaluation
    state: Any = None  # its keys and values, if it is parked

    @property
    def exact(self) -> int:
        """The number of leading tokens that nothing was moved or changed before."""
        return next((index for index, changes in enumerate(self.stale) if changes), len(self.stale))

    @property
    def waiting(self) -> int:
        """The number of tokens of its parts."""
        return sum(len(part.tokens) for part in self.parts)


@dataclass(frozen=True)
class Wanted:
    """A prompt without its last token, which is always evaluated: the answer starts from its logits."""

    tokens: list[int]
    tenant: str
    context_end: int = 0  # tokens after an edit may be moved up to here
    suffix_span: tuple[int, int] = (0, 0)

    @property
    def exact(self) -> bool:
        """Whether it may not use moved tokens."""
        return not self.context_end and self.suffix_span[0] == self.suffix_span[1]


class Sequences:
    """At most `count` sequences in `capacity` cells, and parked copies of at most `parked` tokens.

    `divisible` is False if sequences cannot be truncated (recurrent models): then a sequence is continued
    completely or not at all. `shares` is False if each sequence has a separate cache: then a copy needs its
    own cells.
    """

    def __init__(
        self,
        cache: KVCache,
        count: int,
        capacity: int,
        *,
        parked: int = 0,
        divisible: bool = True,
        shares: bool = True,
    ) -> None:
        self.cache = cache
        self._free = list(range(count - 1, -1, -1))
        self._capacity = capacity
        self._parking = parked
        # A memory that cannot forget a part has a state of one size besides, however short a sequence is.
        self._worth_parking = WORTH_PARKING if divisible else 2 * WORTH_PARKING
        self._divisible = divisible
        self._movable = divisible and cache.can_shift
        self._shares = shares
        self._idle_cells = IDLE_CELLS if shares else capacity
        self._all: list[KVSequence] = []
        self._parked: list[KVSequence] = []  # the oldest first
        self._next_cell = self._turn = 0
        self.used = 0

    def take(
        self,
        prompt: Sequence[int],
        room: int,
        suffix_span: tuple[int, int] = (0, 0),
        tenant: str = "",
        *,
        context_end: int = 0,
        fresh: bool = False,
    ) -> KVSequence | None:
        """Return a sequence for a prompt and `room` more tokens, or None if there are not enough cells.

        It contains the tokens of the prompt that need not be evaluated. `suffix_span` is the position of the
        suffix in the prompt. It seldom changes while the text before it grows. Tokens before `context_end`
        may be moved if an earlier text was edited. A `fresh` sequence shares no cells, and starts at the
        first cell unless others are busy: the positions of its cells change the order of sums, and so their
        last digits.
        """
        size = len(prompt) + room
        if self._claimed() + size > self._capacity or not (self._free or self.idle()):
            return None
        wanted = Wanted(list(prompt[:-1]), tenant, context_end, suffix_span)
        source, kept = self._empty() if fresh else self._find(wanted)
        sequence = self._prepare(source, kept, wanted)
        sequence.busy, sequence.promised = True, size - sequence.waiting
        sequence.context_end = context_end
        self._touch(sequence)
        while self.used + self._outstanding() > self._capacity and self._evict():
            pass
        # Spare the source, unless it shares no cells with the prompt and fits into the parking.
        stays = sequence.tokens or not self._shares or (source and len(source.tokens) > self._parking)
        self._clear(spare=source if stays else None)
        return sequence

    def _prepare(self, source: KVSequence | None, kept: int, wanted: Wanted) -> KVSequence:
        """Return a sequence with the first `kept` tokens of `source` and the parts that can be moved."""
        if source and (parts := self._movable_parts(source, kept, wanted)):
            self._detach(source, kept, parts)
            return source
        # The length from which the tail of the source stays in a separate sequence.
        worth = WORTH_KEEPING if self._shares or kept < WORTH_KEEPING else WORTH_COPYING
        is_short = source and len(source.tokens) - kept < worth
        if source and not source.busy and (is_short or not (self._free or len(self.idle()) > 1)):
            self.cut(source, kept)
            return source
        if not self._free:
            self._evict(spare=source)
        sequence = self._new(wanted.tenant)
        # Unless copying the sequence would cost more than evaluating these tokens.
        if source and kept and (self._shares or kept * COPIED_PER_TOKEN >= len(source.tokens)):
            with on_failure(partial(self.drop, sequence)):
                self.cache.copy(source.id, sequence.id, 0, kept)
            if self._shares:
                sequence.tokens, sequence.cells = source.tokens[:kept], source.cells[:kept]
                sequence.stale = source.stale[:kept]
            else:
                self.extend(sequence, source.tokens[:kept])
        return sequence

    def _find(self, wanted: Wanted) -> tuple[KVSequence | None, int]:
        """Return the sequence of which the most tokens can be used, and the length of the common prefix.

        It is restored if it was parked.
        """
        room = self._capacity - self._claimed()
        parked = [copy for copy in self._parked if len(copy.tokens) <= room]
        common = {
            each: self._common(each, wanted)
            for each in (*self._all, *parked)
            if each.tenant == wanted.tenant and not each.start
        }
        # Most prompts continue an earlier one; then no edits are looked for.
        is_edited = wanted.context_end - max(common.values(), default=0) >= 2 * WORTH_MOVING

        def rank(sequence: KVSequence) -> tuple[int, bool, int]:
            usable = common[sequence]
            if is_edited:
                moved = sum(part.size for part in self._edited_parts(sequence, usable, wanted))
                # A sequence that needs no moves is preferred, unless many more tokens can be used.
                usable += max(0, moved - 2 * WORTH_MOVING)
            # So is one that can be continued without a fork. A parked one must save clearly more tokens.
            continues = not sequence.busy and len(sequence.tokens) - usable < WORTH_KEEPING
            return usable - WORTH_KEEPING * (sequence.state is not None), continues, sequence.turn

        ranks = {each: rank(each) for each in common}
        best = max(ranks, key=ranks.__getitem__, default=None)
        if best is None or ranks[best][0] < 0:
            return None, 0
        return (best if best.state is None else self._restore(best)), common[best]

    def _empty(self) -> tuple[None, int]:
        """Evict all idle sequences, so that the next sequence starts at the first cell."""
        while self._evict():
            pass
        if not self._all:
            self.cache.reset()
        return None, 0

    def reattach(self, sequence: KVSequence) -> None:
        """Append the first of a sequence's parts to it."""
        part = sequence.parts[0]
        self.cache.copy(part.id, sequence.id, part.start, part.start + len(part.tokens))
        self.extend(sequence, part.tokens, part.stale)
        sequence.promised += len(part.tokens)
        self.drop(sequence.parts.pop(0))

    def extend(self, sequence: KVSequence, tokens: Sequence[int], stale: Sequence[int] = ()) -> None:
        """Append evaluated or moved tokens to a sequence."""
        sequence.tokens.extend(tokens)
        sequence.stale.extend(stale or [0] * len(tokens))
        sequence.cells.extend(range(self._next_cell, self._next_cell + len(tokens)))
        self._next_cell += len(tokens)
        self.used += len(tokens)

    def cut(self, sequence: KVSequence, start: int) -> None:
        """Remove the tokens of a sequence from `start` on."""
        if start < len(sequence.tokens):
            self.used -= max(0, len(sequence.cells) - max(start, self._shared(sequence)))
            del sequence.tokens[start:], sequence.cells[start:], sequence.stale[start:]
        self.cache.truncate(sequence.id, start)

    def release(self, sequence: KVSequence) -> None:
        """Keep a sequence for later prompts, with its parts: the next prompt may contain them, too."""
        while sequence.parts and sequence.tokens and not self.cache.shifting:
            self.extend(sequence, [NOT_EVALUATED] * (sequence.parts[0].start - len(sequence.tokens)))
            self.reattach(sequence)
        while sequence.parts:  # a copy would not contain the rotation of their keys
            self.drop(sequence.parts.pop())
        sequence.busy = False

    def drop(self, sequence: KVSequence) -> None:
        self.cut(sequence, 0)
        self._all.remove(sequence)
        self._free.append(sequence.id)

    def idle(self) -> list[KVSequence]:
        return [sequence for sequence in self._all if not sequence.busy]

    def park_all(self) -> list[KVSequence]:
        """Park all idle sequences; return the copies without a tenant, last used first."""
        while self._evict():
            pass
        return [copy for copy in reversed(self._parked) if not copy.tenant]

    def adopt(self, copy: KVSequence) -> None:
        """Add a copy that is outside the cache."""
        self._parked.append(copy)

    def _new(self, tenant: str) -> KVSequence:
        sequence = KVSequence(self._free.pop(), tenant=tenant)
        self._all.append(sequence)
        return sequence

    def _touch(self, sequence: KVSequence) -> None:
        self._turn += 1
        sequence.turn = self._turn

    def _common(self, sequence: KVSequence, wanted: Wanted) -> int:
        """Return the length of the usable common prefix of a sequence and a prompt."""
        kept = common_prefix_length(sequence.tokens, wanted.tokens)
        if wanted.exact and any(sequence.stale[:kept]):
            kept = sequence.exact
        return kept if self._divisible or kept == len(sequence.tokens) else 0

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

    def _detach(self, sequence: KVSequence, kept: int, parts: list[Part]) -> None:
        """Detach the parts, and cut the sequence. Idle sequences that share their cells are parked."""
        for other in self.idle():
            if other is not sequence and common_prefix_length(sequence.cells, other.cells) > parts[0].start:
                self._park(other)
        tokens, stale = sequence.tokens[:], sequence.stale[:]
        detached = [self._new(sequence.tenant) for _ in parts]
        for each, part in zip(detached, parts, strict=True):
            self.cache.copy(sequence.id, each.id, part.start, part.start + part.size)
        self.cut(sequence, kept)
        # All at once: llama.cpp rotates the keys of the whole cache before the next batch.
        for each, (start, at, size, changes) in zip(detached, parts, strict=True):
            self.cache.shift(each.id, start, start + size, at - start)
            each.busy, each.start = True, at
            aged = [earlier + changes + 1 for earlier in stale[start : start + size]]
            self.extend(each, tokens[start : start + size], aged)
        sequence.parts = detached

    def _restore(self, copy: KVSequence) -> KVSequence:
        """Copy a parked sequence into the cache."""
        self._parked.remove(copy)  # first, because evicting discards the oldest copies
        if self._shares:
            self._clear()  # so that the restored sequence gets the lowest cells
        size = len(copy.tokens)
        while not self._free or self.used + self._outstanding() + size > self._capacity:
            if not self._evict():
                break
        sequence = self._new(copy.tenant)
        with on_failure(partial(self.drop, sequence)):
            self.cache.load(sequence.id, copy.state)
        self.extend(sequence, copy.tokens, copy.stale)
        sequence.context_end = copy.context_end
        self._touch(sequence)
        return sequence

    def _clear(self, spare: KVSequence | None = None) -> None:
        """Evict idle sequences until at most `self._idle_cells` of their cells are left."""
        serving = sum(len(sequence.cells) for sequence in self._all if sequence.busy)
        while self.used - serving > self._idle_cells and self._evict(spare=spare):
            pass

    def _claimed(self) -> int:
        """Return the number of cells that busy sequences use or may still use."""
        return sum(max(sequence.promised, len(sequence.cells)) for sequence in self._all if sequence.busy)

    def _outstanding(self) -> int:
        return sum(max(0, sequence.promised - len(sequence.cells)) for sequence in self._all if sequence.busy)

    def _shared(self, sequence: KVSequence) -> int:
        others = (other for other in self._all if other is not sequence)
        return max((common_prefix_length(sequence.cells, other.cells) for other in others), default=0)

    def _evict(self, spare: KVSequence | None = None) -> bool:
        """Evict the least recently used idle sequence; return False if there is none."""
        idle = [sequence for sequence in self._all if not sequence.busy and sequence is not spare]
        if not idle:
            return False
        self._park(min(idle, key=lambda one: one.turn))
        return True

    def _park(self, sequence: KVSequence) -> None:
        """Remove a sequence from the cache; keep a copy outside it if that is worth it."""
        worth = len(sequence.tokens) - self._shared(sequence) >= self._worth_parking
        if worth and len(sequence.tokens) <= self._parking:
            with suppress(*DAMAGED):  # without a copy, the tokens are evaluated again
                state = self.cache.save(sequence.id)
                self.adopt(
                    replace(
                        sequence, tokens=[*sequence.tokens], cells=[], stale=[*sequence.stale], state=state
                    )
                )
            while sum(len(copy.tokens) for copy in self._parked) > self._parking:
                del self._parked[0]
        self.drop(sequence)


def _is_fresh(source: KVSequence, part: Part) -> bool:
    """Return whether few tokens before a part have changed since its evaluation."""
    return max(source.stale[part.start : part.start + part.size]) + part.changes < MOVED_LIMIT
