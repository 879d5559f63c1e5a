"""The simulator's own parts, over the tiny model; it runs by hand: `python benchmarks/scale.py`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import people
import recorded
import simulated

from jupyter_turbopilot.engine.llama.engine import LlamaEngine

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


def test_nobody_reads_what_was_read_for_somebody_else(model: LlamaEngine) -> None:
    # Four people type the same two notebooks.
    apart, shared = outcome(model, 4, 1), outcome(model, 4, 1, served=True)
    assert apart.evaluated > shared.evaluated
