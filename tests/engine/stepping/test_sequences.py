from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.stepping.cache_operations import (
    Clear,
    Copy,
    Detach,
    Discard,
    Move,
    Park,
    Restore,
    Truncate,
)
from jupyter_turbopilot.engine.stepping.sequences import PLAIN, Allocation, KVSequence, Partition, Sequences

tokens = st.lists(st.integers(0, 3), max_size=30)


class NotebookIndex:
    """A simulation of llama.cpp's cache, to which only the moves are applied."""

    def __init__(self) -> None:
        self.cells: dict[int, list[int]] = {}
        self.parked: dict[int, list[int]] = {}

    def before(self, move: Move) -> None:
        """Hook for tests that let a move fail."""

    def apply(self, moves: list[Move]) -> None:
        for move in moves:
            self.before(move)
            match move:
                case Copy(source, target, count):
                    assert not self.cells.get(target)
                    self.cells[target] = self.cells[source][:count]
                case Truncate(sequence, start):
                    del self.cells.get(sequence, [])[start:]
                case Park(sequence, number):
                    self.parked[number] = list(self.cells[sequence])
                case Restore(number, sequence):
                    assert not self.cells.get(sequence)
                    self.cells[sequence] = self.parked.pop(number)
                case Discard(number):
                    self.parked.pop(number, None)
                case Detach(source, target, start, stop):
                    self.cells[target] = self.cells[source][start:stop]
                case Clear():
                    assert not any(self.cells.values())


def take(sequences: Sequences, prompt: list[int], room: int, *where: Any, **more: Any) -> Allocation:
    """Take a sequence; there must be a free one."""
    taken = sequences.take(prompt, room, *where, **more)
    assert taken is not None
    return taken


def serve(
    sequences: Sequences,
    memory: NotebookIndex,
    prompt: list[int],
    room: int = 0,
    partition: Partition = PLAIN,
) -> KVSequence:
    """Take a sequence for a prompt, and evaluate the prompt."""
    taken = take(sequences, prompt, room, partition=partition)
    memory.apply(taken.moves)
    rest = prompt[taken.kept :]
    memory.cells.setdefault(taken.sequence.id, []).extend(rest)
    sequences.extend(taken.sequence, rest)
    assert memory.cells[taken.sequence.id] == taken.sequence.tokens == prompt
    return taken.sequence


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=60), max_size=40))
def test_sequences_match_the_cache_and_its_capacity(prompts: list[list[int]]) -> None:
    sequences, memory = Sequences(4, 100, parked=150), NotebookIndex()
    for prompt in prompts:
        sequence = serve(sequences, memory, prompt, room=10)
        assert sequences.used <= 100
        for other in sequences.idle():
            assert memory.cells[other.id] == other.tokens
        sequences.release(sequence)


@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=50), min_size=1, max_size=12))
def test_sequences_count_shared_cells_once(prompts: list[list[int]]) -> None:
    sequences, memory = Sequences(6, 10_000), NotebookIndex()
    for prompt in prompts:
        sequences.release(serve(sequences, memory, prompt))
    assert sequences.used == len({cell for sequence in sequences.idle() for cell in sequence.cells})


@given(st.lists(st.tuples(st.lists(st.integers(0, 1), min_size=1, max_size=50), st.booleans()), max_size=20))
def test_sequences_without_sharing_match_the_capacity(prompts: list[tuple[list[int], bool]]) -> None:
    sequences, memory = Sequences(4, 120, parked=150, shares=False), NotebookIndex()
    busy: list[KVSequence] = []
    for prompt, ends in prompts:
        if busy and len(busy) * 60 + len(prompt) + 10 > 120:
            sequences.release(busy.pop())
        busy.append(serve(sequences, memory, prompt, room=10))
        held = [cell for cells in memory.cells.values() for cell in cells]
        assert len(held) == sequences.used <= 120
        if ends:
            sequences.release(busy.pop(0))


def test_separate_caches_copy_no_prefix_that_is_cheap_to_evaluate() -> None:
    sequences = Sequences(4, 4000, shares=False, idle_cells=4000)
    notebook, suffix = list(range(500)), list(range(2000, 2090))
    sequences.release(take(sequences, [*notebook, *suffix], 4).sequence)
    sequences.extend(sequences.idle()[0], [*notebook, *suffix])
    typed = take(sequences, [*notebook, 7, *suffix], 4)
    assert (typed.kept, typed.moves) == (len(notebook), [Truncate(typed.sequence.id, len(notebook))])
    sequences.extend(typed.sequence, [7, *suffix])
    sequences.release(typed.sequence)
    another = take(sequences, [0, 1, *range(3000, 3300)], 4)
    assert (another.kept, another.moves) == (0, [])
    assert another.sequence is not typed.sequence


def test_sequences_keep_a_large_notebook_among_many_others() -> None:
    sequences, memory = Sequences(6, 4000, parked=10_000), NotebookIndex()
    notebook = list(range(1000, 1800))
    sequences.release(serve(sequences, memory, notebook))
    for number in range(12):
        base = [number] * 700
        sequences.release(serve(sequences, memory, [*base, *[5000 + number] * 20]))
        sequences.release(serve(sequences, memory, [*base, 7, *[6000 + number] * 20]))
    taken = take(sequences, notebook, 0)
    memory.apply(taken.moves)
    assert taken.kept == len(notebook) - 1
    assert memory.cells[taken.sequence.id] == notebook[:-1]


def test_take_restores_nothing_that_does_not_fit() -> None:
    sequences, memory = Sequences(8, 1500, parked=10_000), NotebookIndex()
    sequences.release(serve(sequences, memory, [1] * 900 + [2] * 50))
    sequences.release(serve(sequences, memory, [3] * 900))
    serve(sequences, memory, [4] * 700)  # busy
    taken = take(sequences, [1] * 700, 0)
    assert not any(isinstance(move, Restore) for move in taken.moves)


def test_lose_forgets_a_sequence_that_could_not_be_restored() -> None:
    sequences, memory = Sequences(8, 10_000, parked=20_000), NotebookIndex()
    for number in range(3):
        sequences.release(serve(sequences, memory, [number] * 900))
    taken = take(sequences, [0] * 900, 0)
    assert any(isinstance(move, Restore) for move in taken.moves)
    sequences.lose(taken)
    again = take(sequences, [0] * 900, 0)
    assert again.kept == 0


class Failing(NotebookIndex):
    """A simulated cache in which some moves fail."""

    def __init__(self, fails: list[bool]) -> None:
        super().__init__()
        self.fails = fails

    def before(self, move: Move) -> None:
        if not isinstance(move, Truncate | Discard) and self.fails and self.fails.pop():
            raise MemoryError


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 2), min_size=1, max_size=120)
            | st.builds(lambda edit: [0, *edit, *range(100, 180)], st.lists(st.integers(0, 2), max_size=4)),
            st.booleans(),
        ),
        max_size=40,
    ),
    st.lists(st.booleans(), max_size=40),
)
def test_sequences_match_the_cache_after_failed_moves(
    prompts: list[tuple[list[int], bool]], fails: list[bool]
) -> None:
    sequences, memory = Sequences(4, 250, parked=400, movable=True), Failing(fails)
    for prompt, fresh in prompts:
        fixed = [7] * 30
        whole = [*prompt, *fixed, 1]
        span = (len(prompt), len(prompt) + len(fixed))
        taken = take(sequences, whole, 5, span, context_end=len(prompt), fresh=fresh)
        try:
            memory.apply(taken.moves)
        except MemoryError:
            memory.apply(sequences.lose(taken))
        else:
            for part in taken.detached:
                memory.apply(sequences.drop_part(part))
            rest = whole[taken.kept :]
            memory.cells.setdefault(taken.sequence.id, []).extend(rest)
            sequences.extend(taken.sequence, rest)
            sequences.release(taken.sequence)
        idle = {sequence.id: sequence.tokens for sequence in sequences.idle()}
        assert {number: tokens for number, tokens in memory.cells.items() if tokens} == idle
        assert sequences.used == len({cell for sequence in sequences.idle() for cell in sequence.cells})
    # All four sequences are still usable.
    assert all(sequences.take([8, number], 0) for number in range(4))


def test_take_changes_nothing_without_a_free_sequence() -> None:
    sequences, memory = Sequences(2, 10_000, parked=10_000), NotebookIndex()
    busy = [serve(sequences, memory, [number] * 100) for number in range(2)]
    before = sequences.used
    assert sequences.take([7] * 50, 0) is None
    assert sequences.used == before
    sequences.release(busy[0])
    serve(sequences, memory, [0] * 40)
    assert memory.cells[busy[1].id] == [1] * 100


def test_take_restores_a_parked_sequence_into_the_last_free_one() -> None:
    sequences, memory = Sequences(2, 10_000, parked=10_000), NotebookIndex()
    for number in range(3):
        sequences.release(serve(sequences, memory, [number] * 200))
    serve(sequences, memory, [9] * 100)
    assert serve(sequences, memory, [0] * 100 + [5] * 20).tokens == [0] * 100 + [5] * 20


@pytest.mark.parametrize("more", [[9], []])
def test_take_never_truncates_indivisible_sequences(more: list[int]) -> None:
    sequences, memory = Sequences(3, 1000, divisible=False), NotebookIndex()
    sequences.release(serve(sequences, memory, [1, 2, 3]))
    taken = take(sequences, [1, 2, *([3, 4] if more else [7, 4])], 0)
    assert taken.kept == (3 if more else 0)


partitions = st.builds(Partition, st.sampled_from(["", "one", "other"]), st.integers(0, 1))


@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 1), min_size=1, max_size=80), partitions, st.booleans()),
        max_size=30,
    ),
    st.booleans(),
)
def test_take_never_shares_tokens_between_tenants(
    prompts: list[tuple[list[int], Partition, bool]], shares: bool
) -> None:
    sequences = Sequences(4, 300, parked=200, shares=shares)
    held: dict[int, Partition] = {}  # the tenant of each sequence
    parked: dict[int, Partition] = {}
    read: dict[Partition, list[list[int]]] = {}
    busy: list[KVSequence] = []
    for prompt, partition, ends in prompts:
        if len(busy) == 3:
            sequences.release(busy.pop(0))
        taken = take(sequences, prompt, 0, partition=partition)
        for move in taken.moves:
            match move:
                case Copy(source, target, _):
                    assert held[source] == partition
                    held[target] = partition
                case Park(sequence, number):
                    parked[number] = held[sequence]
                case Restore(number, sequence):
                    assert parked.pop(number) == partition
                    held[sequence] = partition
        if taken.kept:
            assert held[taken.sequence.id] == partition
            assert any(known[: taken.kept] == prompt[: taken.kept] for known in read[partition])
        assert taken.sequence.partition == partition
        held[taken.sequence.id] = partition
        read.setdefault(partition, []).append(prompt)
        sequences.extend(taken.sequence, prompt[taken.kept :])
        cells = {
            each: {
                cell for sequence in sequences._all if sequence.partition == each for cell in sequence.cells
            }
            for each in read
        }
        assert all(not cells[one] & cells[other] for one in cells for other in cells if one != other)
        busy.append(taken.sequence)
        if ends:
            sequences.release(busy.pop())


def test_take_moves_a_suffix_only_within_a_tenant() -> None:
    sequences, memory = Sequences(4, 1000, movable=True), NotebookIndex()
    prompt = [*range(100), *range(200, 240), 300]
    sequences.release(serve(sequences, memory, prompt, partition=Partition("one")))
    longer = [*range(100), 7, *range(200, 240), 300]
    other = take(sequences, longer, 0, (101, 141), Partition("other"))
    assert (other.kept, other.detached) == (0, [])
    mine = take(sequences, longer, 0, (101, 141), Partition("one"))
    assert [part.sequence.partition for part in mine.detached] == [Partition("one")]


def edited(*lines: int) -> list[int]:
    """Return a prompt with changed tokens near its beginning."""
    return [*range(10), *lines, *range(100, 300), 7]


def test_take_prefers_the_sequence_of_which_most_can_be_moved() -> None:
    sequences, memory = Sequences(6, 2000, parked=4000, movable=True), NotebookIndex()
    for prompt in ([*edited(1)], [*range(10), 2, *range(500, 900), 7]):
        taken = take(sequences, prompt, 0, context_end=len(prompt) - 1)
        memory.apply(taken.moves)
        memory.cells.setdefault(taken.sequence.id, []).extend(prompt[taken.kept :])
        sequences.extend(taken.sequence, prompt[taken.kept :])
        sequences.release(taken.sequence)
    # The first one is parked by now, and the second one has the longer common prefix.
    taken = take(sequences, edited(2, 3), 0, context_end=len(edited(2, 3)) - 1)
    memory.apply(taken.moves)
    (part,) = taken.detached
    assert (part.at + part.size, memory.cells[part.sequence.id][-1]) == (212, 299)


def test_take_leaves_the_cells_of_a_busy_sequence() -> None:
    sequences = Sequences(6, 2000, movable=True)
    first = take(sequences, edited(), 0, context_end=210)
    sequences.extend(first.sequence, edited())
    sequences.release(first.sequence)
    busy = take(sequences, [*edited()[:150], *[8] * 30], 0, context_end=150)
    assert busy.kept == 150
    assert take(sequences, edited(1), 0, context_end=211).detached == []
