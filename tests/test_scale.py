"""The simulator's own parts, over the tiny model; it runs by hand: `python benchmarks/scale.py`."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import people
import recorded
import simulated
import virtual_time

from jupyter_turbopilot.engine import worker
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.evaluate import typist

DATA = Path(__file__).parent / "data"
STEPS = {1: [0.02], 8: [0.1], 64: [0.25]}
AT_ONCE = people.Habits(8.0)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Iterator[LlamaEngine]:
    engine = LlamaEngine(tiny_model, name="tiny", context_size=1024, threads=1)
    yield engine
    engine.close()


def outcome(
    model: LlamaEngine, count: int, replicas: int, *, slower: int = 1, served: bool = False
) -> people.Outcome:
    steps = recorded.Steps({rows: [slower * s for s in seconds] for rows, seconds in STEPS.items()})
    texts, traces = recorded.Texts({"a": [(1, 0.5)] * 4}), recorded.typed(DATA, 60)
    return simulated.simulate(model, steps, texts, traces, count, replicas, AT_ONCE, served=served)


# Virtual time -----------------------------------------------------------------------------------------------


def test_time_passes_only_while_everybody_waits() -> None:
    timeline, seen = virtual_time.Timeline(), []

    def somebody(name: str, pause: float) -> None:
        for _ in range(2):
            timeline.sleep(pause)
            seen.append((name, timeline.now))

    timeline.start(lambda: somebody("a", 2.0))
    timeline.start(lambda: somebody("b", 3.0))
    timeline.run()
    assert seen == [("a", 2.0), ("b", 3.0), ("a", 4.0), ("b", 6.0)]


def test_a_signal_ends_a_pause_and_a_time_that_is_over_later_ends_nothing() -> None:
    timeline, seen = virtual_time.Timeline(), []
    signal = virtual_time.Signal(timeline)

    def waits() -> None:
        seen.extend([(signal.wait(5.0), timeline.now), (signal.wait(10.0), timeline.now)])

    timeline.start(waits)
    timeline.at(1.0, signal.notify)
    timeline.run()
    assert seen == [(True, 1.0), (False, 11.0)]


def test_a_failure_of_anybody_ends_the_run() -> None:
    timeline = virtual_time.Timeline()
    timeline.start(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        timeline.run()


def test_the_products_clock_comes_back(model: LlamaEngine) -> None:
    outcome(model, 1, 1)
    assert worker.time is time
    assert typist.time is time


# People -----------------------------------------------------------------------------------------------------


def test_the_same_people_see_the_same_each_time(model: LlamaEngine) -> None:
    one, other = outcome(model, 4, 2), outcome(model, 4, 2)
    assert one == other
    assert len(one.ms) == 4
    assert one.asked > 20
    assert all(ms >= 0 for person in one.ms for ms in person)


@pytest.mark.parametrize("served", [False, True])
def test_slower_machines_are_busier_and_answer_later(model: LlamaEngine, served: bool) -> None:
    quick, slow = (outcome(model, 1, 1, slower=by, served=served) for by in (1, 3))
    assert sum(slow.busy) > sum(quick.busy)
    assert slow.quantile(0.95) > quick.quantile(0.95)


def test_more_replicas_are_each_less_busy(model: LlamaEngine) -> None:
    assert max(outcome(model, 4, 4).busy) < max(outcome(model, 4, 1).busy)


def test_nobody_reads_what_was_read_for_somebody_else(model: LlamaEngine) -> None:
    # Four people type the same two notebooks.
    apart, shared = outcome(model, 4, 1), outcome(model, 4, 1, served=True)
    assert apart.evaluated > shared.evaluated


# Recorded ---------------------------------------------------------------------------------------------------


@given(st.integers(1, 200))
def test_a_batch_takes_what_was_measured_or_something_between(rows: int) -> None:
    seconds = recorded.Steps(STEPS).draw(rows)
    low = max((size for size in STEPS if size <= rows), default=1)
    high = min((size for size in STEPS if size >= rows), default=64)
    assert STEPS[low][0] <= seconds <= max(STEPS[high][0], STEPS[64][0] * rows / 64) + 1e-9


def test_texts_are_found_by_their_prompts_and_others_are_counted(tmp_path: Path) -> None:
    texts = recorded.Texts()
    texts.take([1, 2], 0, [(5, 0.5)])
    texts.take([1, 2], 1, [(6, 0.25)])
    texts.take([1, 2], 0, [(9, 0.9)])  # written again
    texts.save(tmp_path / "texts")
    read = recorded.Texts.load(tmp_path / "texts")
    assert read.behind([1, 2]) == [(5, 0.5), (6, 0.25)]
    assert len(read.behind([1])) == 2
    assert (read.asked, read.missed) == (2, 1)


# Figures ----------------------------------------------------------------------------------------------------


@given(st.text(), st.integers(1, 40))
def test_a_session_stays_or_goes_to_the_new_replica(session: str, replicas: int) -> None:
    before, after = people.replica_of(session, replicas), people.replica_of(session, replicas + 1)
    assert after in {before, replicas}


@given(st.lists(st.lists(st.floats(0, 1e6), min_size=1), min_size=1), st.sampled_from([0.5, 0.95]))
def test_an_interval_lies_among_what_was_seen(ms: list[list[float]], part: float) -> None:
    low, high = people.Outcome(ms).interval(part)
    everything = [value for person in ms for value in person]
    assert min(everything) <= low <= high <= max(everything)


def test_everybody_begins_at_once_or_in_a_while() -> None:
    timeline = virtual_time.Timeline()
    traces = recorded.typed(DATA, 60)
    begun: list[float] = []

    def person(number: int, habits: people.Habits) -> None:
        rng = random.Random(number)
        for _ in people.cells_of(traces, number, habits, timeline, rng):
            begun.append(timeline.now)
            timeline.sleep(100.0)

    for number in range(5):
        timeline.start(lambda number=number: person(number, people.Habits(10.0)))  # type: ignore[misc]
    timeline.run()
    assert begun == [0.0] * 5
    begun.clear()
    for number in range(5):
        timeline.start(lambda number=number: person(number, people.Habits(10.0, spread=60.0)))  # type: ignore[misc]
    timeline.run()
    assert len(set(begun)) == 5
