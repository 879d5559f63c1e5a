from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.load_shedding import Level, LoadMeter, next_level

NONE, NO_PREFETCH, SHORT_SUGGESTIONS, REFUSE_BUSIEST = Level


@pytest.mark.parametrize(
    ("before", "load", "after"),
    [
        (NONE, 0.0, NONE),
        (NONE, 0.049, NONE),
        (NONE, 0.05, NO_PREFETCH),
        (NONE, 0.2, SHORT_SUGGESTIONS),
        (NONE, 0.4, REFUSE_BUSIEST),
        (NONE, 9.0, REFUSE_BUSIEST),
        # A level ends at half of the load at which it begins.
        (REFUSE_BUSIEST, 0.21, REFUSE_BUSIEST),
        (REFUSE_BUSIEST, 0.19, SHORT_SUGGESTIONS),
        (SHORT_SUGGESTIONS, 0.11, SHORT_SUGGESTIONS),
        (SHORT_SUGGESTIONS, 0.06, NO_PREFETCH),
        (NO_PREFETCH, 0.026, NO_PREFETCH),
        (NO_PREFETCH, 0.02, NONE),
        (REFUSE_BUSIEST, 0.0, NONE),
    ],
)
def test_level_follows_the_load_with_hysteresis(before: Level, load: float, after: Level) -> None:
    assert next_level(before, load) is after


@given(st.sampled_from(Level), st.floats(0, 2), st.floats(0, 2))
def test_level_grows_with_the_load(before: Level, load: float, more: float) -> None:
    assert next_level(before, load) <= next_level(before, load + more)


@given(st.lists(st.tuples(st.sampled_from((0, 1)), st.floats(0, 100)), max_size=50))
def test_single_caller_never_sheds_load(steps: list[tuple[int, float]]) -> None:
    meter, now = LoadMeter(10.0), 0.0
    for callers, seconds in steps:
        now += seconds
        meter.update(callers, now)
        meter.add_request(seconds)
        assert (meter.level, meter.wait) == (NONE, 0.0)


def test_short_burst_of_callers_does_not_shed_load() -> None:
    meter = LoadMeter(10.0)
    meter.update(8, 0.0)
    meter.update(0, 0.3)
    meter.update(0, 10.0)
    assert meter.level is NONE
