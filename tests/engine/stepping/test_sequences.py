from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.stepping.sequences import KVSequence, Sequences

from .cache import SimulatedCache

tokens = st.lists(st.integers(0, 3), max_size=30)


def setup(
    *counts: int, fails: list[bool] | None = None, can_shift: bool = False, **options: Any
) -> tuple[Sequences, SimulatedCache]:
    """Return sequences with a simulated cache."""
    cache = SimulatedCache(fails, can_shift=can_shift)
    return Sequences(cache, *counts, **options), cache


def take(sequences: Sequences, prompt: list[int], room: int, *where: Any, **more: Any) -> KVSequence:
    """Take a sequence; there must be a free one."""
    taken = sequences.take(prompt, room, *where, **more)
    assert taken is not None
    return taken


def evaluate(sequences: Sequences, cache: SimulatedCache, sequence: KVSequence, prompt: list[int]) -> None:
    """Evaluate the rest of a prompt."""
    while True:
        end = sequence.parts[0].start if sequence.parts else len(prompt)
        rest = prompt[len(sequence.tokens) : end]
        cache.rotate()
        cache.append(sequence.id, rest)
        sequences.extend(sequence, rest)
        if not sequence.parts:
            break
        sequences.reattach(sequence)
    assert cache.tokens(sequence.id) == sequence.tokens == prompt


def serve(
    sequences: Sequences,
    cache: SimulatedCache,
    prompt: list[int],
    room: int = 0,
    tenant: str = "",
    **more: Any,
) -> KVSequence:
    """Take a sequence for a prompt, and evaluate the prompt."""
    sequence = take(sequences, prompt, room, tenant=tenant, **more)
    evaluate(sequences, cache, sequence, prompt)
    return sequence


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=60), max_size=40))
def test_sequences_match_the_cache_and_its_capacity(prompts: list[list[int]]) -> None:
    sequences, cache = setup(4, 100, parked=150)
    for prompt in prompts:
        sequence = serve(sequences, cache, prompt, room=10)
        assert sequences.used <= 100
        for other in sequences.idle():
            assert cache.tokens(other.id) == other.tokens
        sequences.release(sequence)


@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=50), min_size=1, max_size=12))
def test_sequences_count_shared_cells_once(prompts: list[list[int]]) -> None:
    sequences, cache = setup(6, 10_000)
    for prompt in prompts:
        sequences.release(serve(sequences, cache, prompt))
    assert sequences.used == len({cell for sequence in sequences.idle() for cell in sequence.cells})


@given(st.lists(st.tuples(st.lists(st.integers(0, 1), min_size=1, max_size=50), st.booleans()), max_size=20))
def test_sequences_without_sharing_match_the_capacity(prompts: list[tuple[list[int], bool]]) -> None:
    sequences, cache = setup(4, 120, parked=150, shares=False)
    busy: list[KVSequence] = []
    for prompt, ends in prompts:
        if busy and len(busy) * 60 + len(prompt) + 10 > 120:
            sequences.release(busy.pop())
        busy.append(serve(sequences, cache, prompt, room=10))
        held = [cell for cells in cache.held().values() for cell in cells]
        assert len(held) == sequences.used <= 120
        if ends:
            sequences.release(busy.pop(0))


def test_separate_caches_copy_no_prefix_that_is_cheap_to_evaluate() -> None:
    sequences, cache = setup(4, 4000, shares=False)
    notebook, suffix = list(range(500)), list(range(2000, 2090))
    sequences.release(serve(sequences, cache, [*notebook, *suffix]))
    typed = take(sequences, [*notebook, 7, *suffix], 4)
    assert typed.tokens == notebook
    evaluate(sequences, cache, typed, [*notebook, 7, *suffix])
    sequences.release(typed)
    another = take(sequences, [0, 1, *range(3000, 3300)], 4)
    assert (another.tokens, cache.log) == ([], [])
    assert another is not typed


def test_sequences_keep_a_large_notebook_among_many_others() -> None:
    sequences, cache = setup(6, 4000, parked=10_000)
    notebook = list(range(1000, 1800))
    sequences.release(serve(sequences, cache, notebook))
    for number in range(12):
        base = [number] * 700
        sequences.release(serve(sequences, cache, [*base, *[5000 + number] * 20]))
        sequences.release(serve(sequences, cache, [*base, 7, *[6000 + number] * 20]))
    taken = take(sequences, notebook, 0)
    assert cache.tokens(taken.id) == taken.tokens == notebook[:-1]


def test_take_restores_nothing_that_does_not_fit() -> None:
    sequences, cache = setup(8, 1500, parked=10_000)
    sequences.release(serve(sequences, cache, [1] * 900 + [2] * 50))
    sequences.release(serve(sequences, cache, [3] * 900))
    serve(sequences, cache, [4] * 700)  # busy
    take(sequences, [1] * 700, 0)
    assert "load" not in cache.log


def test_take_forgets_a_sequence_that_could_not_be_restored() -> None:
    sequences, cache = setup(8, 10_000, parked=20_000)
    for number in range(3):
        sequences.release(serve(sequences, cache, [number] * 900))
    cache.fails = [True, False]  # the first sequence is saved, the other not restored
    with pytest.raises(MemoryError):
        take(sequences, [0] * 900, 0)
    assert take(sequences, [0] * 900, 0).tokens == []


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 2), min_size=1, max_size=120)
            | st.builds(lambda edit: [0, *edit, *range(100, 180)], st.lists(st.integers(0, 2), max_size=4)),
            st.sampled_from(["fresh", "whole", "begun", "not begun"]),
        ),
        max_size=40,
    ),
    st.lists(st.booleans(), max_size=40),
)
def test_sequences_match_the_cache_after_failures_and_early_ends(
    prompts: list[tuple[list[int], str]], fails: list[bool]
) -> None:
    sequences, cache = setup(4, 250, parked=400, can_shift=True, fails=fails)
    for prompt, kind in prompts:
        fixed = [7] * 30
        whole = [*prompt, *fixed, 1]
        span = (len(prompt), len(prompt) + len(fixed))
        try:
            taken = take(sequences, whole, 5, span, context_end=len(prompt), fresh=kind == "fresh")
        except MemoryError:
            continue
        cache.fails, failing = [], cache.fails
        if kind in {"fresh", "whole"}:
            evaluate(sequences, cache, taken, whole)
        elif kind == "begun":
            cache.rotate()
        sequences.release(taken)
        cache.rotate()
        cache.fails = failing
        idle = {sequence.id: sequence.tokens for sequence in sequences.idle() if sequence.tokens}
        assert cache.held() == idle
        assert sequences.used == len({cell for sequence in sequences.idle() for cell in sequence.cells})
    cache.fails = []
    # All four sequences are still usable.
    assert all(sequences.take([8, number], 0) for number in range(4))


def test_take_changes_nothing_without_a_free_sequence() -> None:
    sequences, cache = setup(2, 10_000, parked=10_000)
    busy = [serve(sequences, cache, [number] * 100) for number in range(2)]
    before = sequences.used
    assert sequences.take([7] * 50, 0) is None
    assert sequences.used == before
    sequences.release(busy[0])
    serve(sequences, cache, [0] * 40)
    assert cache.tokens(busy[1].id) == [1] * 100


def test_take_restores_a_parked_sequence_into_the_last_free_one() -> None:
    sequences, cache = setup(2, 10_000, parked=10_000)
    for number in range(3):
        sequences.release(serve(sequences, cache, [number] * 200))
    serve(sequences, cache, [9] * 100)
    assert serve(sequences, cache, [0] * 100 + [5] * 20).tokens == [0] * 100 + [5] * 20


@pytest.mark.parametrize("more", [[9], []])
def test_take_never_truncates_indivisible_sequences(more: list[int]) -> None:
    sequences, cache = setup(3, 1000, divisible=False)
    sequences.release(serve(sequences, cache, [1, 2, 3]))
    taken = take(sequences, [1, 2, *([3, 4] if more else [7, 4])], 0)
    assert len(taken.tokens) == (3 if more else 0)


tenants = st.sampled_from(["", "one", "other"])


@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 1), min_size=1, max_size=80), tenants, st.booleans()),
        max_size=30,
    ),
    st.booleans(),
)
def test_take_never_shares_tokens_between_tenants(
    prompts: list[tuple[list[int], str, bool]], shares: bool
) -> None:
    sequences, cache = setup(4, 300, parked=200, shares=shares)
    read: dict[str, list[list[int]]] = {}
    busy: list[KVSequence] = []
    for prompt, tenant, ends in prompts:
        if len(busy) == 3:
            sequences.release(busy.pop(0))
        taken = take(sequences, prompt, 0, tenant=tenant)
        kept = taken.tokens[:]
        if kept:
            assert any(known[: len(kept)] == kept == prompt[: len(kept)] for known in read[tenant])
        assert taken.tenant == tenant
        read.setdefault(tenant, []).append(prompt)
        evaluate(sequences, cache, taken, prompt)
        cells = {
            each: {cell for sequence in sequences._all if sequence.tenant == each for cell in sequence.cells}
            for each in read
        }
        assert all(not cells[one] & cells[other] for one in cells for other in cells if one != other)
        busy.append(taken)
        if ends:
            sequences.release(busy.pop())


def test_take_moves_a_suffix_only_within_a_tenant() -> None:
    sequences, cache = setup(4, 1000, can_shift=True)
    prompt = [*range(100), *range(200, 240), 300]
    sequences.release(serve(sequences, cache, prompt, tenant="one"))
    longer = [*range(100), 7, *range(200, 240), 300]
    other = take(sequences, longer, 0, (101, 141), "other")
    assert (other.tokens, other.parts) == ([], [])
    mine = take(sequences, longer, 0, (101, 141), "one")
    assert [part.tenant for part in mine.parts] == ["one"]


def edited(*lines: int) -> list[int]:
    """Return a prompt with changed tokens near its beginning."""
    return [*range(10), *lines, *range(100, 300), 7]


def test_take_prefers_the_sequence_of_which_most_can_be_moved() -> None:
    sequences, cache = setup(6, 2000, parked=4000, can_shift=True)
    for prompt in ([*edited(1)], [*range(10), 2, *range(500, 900), 7]):
        sequences.release(serve(sequences, cache, prompt, context_end=len(prompt) - 1))
    # The first one is parked by now, and the second one has the longer common prefix.
    (part,) = take(sequences, edited(2, 3), 0, context_end=len(edited(2, 3)) - 1).parts
    assert (cache.length(part.id), cache.tokens(part.id)[-1]) == (212, 299)


def test_take_leaves_the_cells_of_a_busy_sequence() -> None:
    sequences, cache = setup(6, 2000, can_shift=True)
    sequences.release(serve(sequences, cache, edited(), context_end=210))
    busy = take(sequences, [*edited()[:150], *[8] * 30], 0, context_end=150)
    assert len(busy.tokens) == 150
    assert take(sequences, edited(1), 0, context_end=211).parts == []


def test_release_keeps_moved_tokens_of_a_prompt_that_was_not_evaluated() -> None:
    sequences, cache = setup(6, 2000, can_shift=True)
    sequences.release(serve(sequences, cache, edited(1), context_end=len(edited(1)) - 1))
    for line in (2, 3):
        taken = take(sequences, edited(line), 0, context_end=len(edited(line)) - 1)
        cache.rotate()  # another run's batch was evaluated
        assert sum(len(part.tokens) for part in taken.parts) > 100
        sequences.release(taken)
    serve(sequences, cache, edited(3), context_end=len(edited(3)) - 1)
