from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.models.recommend import (
    MEMORY_SHARE,
    MIN_TOKENS_PER_SECOND,
    REFERENCE_BYTES_PER_SECOND,
    REFERENCE_SPEED,
    advise,
    measured,
    memory_of,
    rate_of,
    speed_of,
)
from jupyter_turbopilot.settings.config import Turbopilot

GB = 10**9


def recommended(free: float, rate: float, saved: dict[str, float]) -> str:
    advice = advise(catalog().values(), int(free), rate, saved.get)
    return next(one.model.name for one in advice if one.verdict == "recommended")


def test_advise_recommends_the_model_that_saves_most() -> None:
    small, larger = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"
    assert recommended(16 * GB, 30 * GB, {small: 0.37, larger: 0.31}) == small
    assert recommended(16 * GB, 30 * GB, {small: 0.31, larger: 0.37}) == larger
    assert recommended(16 * GB, 7 * GB, {small: 0.31, larger: 0.37}) == small, "the larger one is too slow"


def test_advise_recommends_the_largest_fast_model_without_measurements() -> None:
    assert recommended(4 * GB, 7 * GB, {}) == "qwen2.5-coder-0.5b"
    assert recommended(16 * GB, 30 * GB, {}) == "qwen2.5-coder-1.5b"


@pytest.mark.parametrize(("faster", "model"), [(1, Turbopilot().model), (2, "qwen2.5-coder-1.5b")])
def test_advise_recommends_a_larger_model_only_where_it_is_fast_enough(faster: int, model: str) -> None:
    advice = advise(catalog().values(), 64 * GB, faster * REFERENCE_BYTES_PER_SECOND)
    assert [one.model.name for one in advice if one.verdict == "recommended"] == [model]


def test_estimated_memory_agrees_with_the_measurements() -> None:
    python = 150e6  # the measured processes include it
    for one in measured():
        if not one.without_adapter:
            assert abs(memory_of(catalog()[one.model]) + python - one.memory) < 0.15 * one.memory


def test_estimated_speed_agrees_with_the_reference_measurements() -> None:
    for name, speed in REFERENCE_SPEED.items():
        model = catalog()[name]
        rate = rate_of(name, model.bytes, speed)
        assert rate == REFERENCE_BYTES_PER_SECOND
        assert speed_of(model, rate) == speed
    unmeasured = catalog()["qwen2.5-coder-3b"]
    assert speed_of(unmeasured, rate_of(unmeasured.name, unmeasured.bytes, 5.0)) == 5.0


@given(free=st.floats(GB, 500 * GB), rate=st.floats(GB, 2000 * GB))
def test_advise_recommends_at_most_one_model_that_fits(free: float, rate: float) -> None:
    advice = advise(catalog().values(), int(free), rate)
    chosen = [one for one in advice if one.verdict == "recommended"]
    assert len(chosen) == 1
    assert chosen[0].memory <= free * MEMORY_SHARE
    assert all(one.tokens_per_second < MIN_TOKENS_PER_SECOND for one in advice if one.verdict == "slow")
