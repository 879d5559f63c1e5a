from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.models.recommend import FLUENT, SHARE, advise

GB = 10**9


def recommended(free: float, rate: float) -> str:
    return next(
        a.model.name for a in advise(catalog().values(), int(free), rate) if a.verdict == "recommended"
    )


def test_a_small_laptop_gets_the_default_and_a_large_machine_more() -> None:
    assert recommended(4 * GB, 10 * GB) == "qwen2.5-coder-0.5b"
    assert recommended(16 * GB, 30 * GB) == "qwen2.5-coder-1.5b"


def test_where_nothing_is_quick_the_smallest_is_recommended() -> None:
    assert recommended(4 * GB, 0.1 * GB) == "smollm2-135m"


@given(free=st.floats(GB, 500 * GB), rate=st.floats(GB, 2000 * GB))
def test_what_is_recommended_fits_and_at_most_one_is(free: float, rate: float) -> None:
    advice = advise(catalog().values(), int(free), rate)
    chosen = [one for one in advice if one.verdict == "recommended"]
    assert len(chosen) == 1
    assert chosen[0].memory <= free * SHARE
    assert all(one.tokens_a_second < FLUENT for one in advice if one.verdict == "slow")
