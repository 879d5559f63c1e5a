import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.models.recommend import (
    MEMORY_SHARE,
    MIN_TOKENS_PER_SECOND,
    advise,
    memory_of,
    rate_of,
    speed_of,
)
from jupyter_turbopilot.settings.config import Turbopilot

GB = 10**9
SMALL, LARGER = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"
# Tokens per second of the files of the default model and of the 1.5 B model on two cores, by their sizes in MB.
SPEEDS = [
    {624.7: 38.1, 1427: 17.6},  # AMD EPYC, layers in Q8_0
    {625: 42.6, 1427: 20.0},  # AVX-512, layers in Q8_0
    {429: 71.3, 1073: 31.8},  # the same, layers in IQ4_NL
]
# Resident bytes that a model with its bundled adapter adds to a program, with a context of 4096 tokens.
MEMORY = {SMALL: 643e6, LARGER: 1162e6, "smollm2-135m": 303e6}


def recommended(free: float, rate: float, saved: dict[str, float]) -> str:
    advice = advise(catalog().values(), int(free), rate, saved.get)
    return next(one.model.name for one in advice if one.verdict == "recommended")


def test_advise_recommends_the_model_that_saves_most() -> None:
    assert recommended(16 * GB, 30 * GB, {SMALL: 0.37, LARGER: 0.31}) == SMALL
    assert recommended(16 * GB, 30 * GB, {SMALL: 0.31, LARGER: 0.37}) == LARGER
    assert recommended(16 * GB, 10 * GB, {SMALL: 0.31, LARGER: 0.37}) == SMALL, "the larger one is too slow"


def test_advise_recommends_only_measured_models() -> None:
    assert recommended(16 * GB, 30 * GB, {SMALL: 0.31}) == SMALL
    advice = advise(catalog().values(), 16 * GB, 30 * GB, lambda _: None)
    assert all(one.verdict != "recommended" for one in advice)


def test_advise_recommends_the_fastest_measured_model_if_all_are_slow() -> None:
    assert recommended(16 * GB, GB, {SMALL: 0.28, "smollm2-135m": 0.14}) == "smollm2-135m"


@pytest.mark.parametrize("faster", [1, 4])
def test_advise_recommends_the_default_model_by_the_shipped_measurements(faster: int) -> None:
    advice = advise(catalog().values(), 64 * GB, faster * rate_of(catalog()[SMALL].served_bytes, 38.1))
    assert [one.model.name for one in advice if one.verdict == "recommended"] == [Turbopilot().model]


@pytest.mark.parametrize("name", MEMORY)
def test_memory_of_is_a_little_more_than_measured(name: str) -> None:
    assert 1 <= memory_of(catalog()[name]) / MEMORY[name] < 1.2


@pytest.mark.parametrize("speeds", SPEEDS)
def test_speed_of_one_model_predicts_that_of_the_other(speeds: dict[float, float]) -> None:
    (small, speed), (larger, other) = ((int(size * 1e6), speed) for size, speed in speeds.items())
    assert speed_of(small, rate_of(small, speed)) == pytest.approx(speed)
    assert speed_of(larger, rate_of(small, speed)) == pytest.approx(other, rel=0.03)
    assert speed_of(small, rate_of(larger, other)) == pytest.approx(speed, rel=0.03)


@given(free=st.floats(GB, 500 * GB), rate=st.floats(GB, 2000 * GB))
def test_advise_recommends_at_most_one_model_that_fits(free: float, rate: float) -> None:
    advice = advise(catalog().values(), int(free), rate)
    chosen = [one for one in advice if one.verdict == "recommended"]
    assert len(chosen) == 1
    assert chosen[0].memory <= free * MEMORY_SHARE
    assert all(one.tokens_per_second < MIN_TOKENS_PER_SECOND for one in advice if one.verdict == "slow")
