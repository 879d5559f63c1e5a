from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.remote.chances import UNKNOWN, likeliest, logarithm, portion, probability

ANY = st.none() | st.floats()


@given(ANY)
def test_whatever_is_told_a_probability_is_one(value: float | None) -> None:
    assert 0.0 <= probability(value) <= 1.0
    assert 0.0 <= portion(value) <= 1.0
    assert logarithm(value) is None or probability(logarithm(value)) == pytest.approx(value)


@pytest.mark.parametrize("value", [None, math.nan, 0.5, math.inf, -math.inf])
def test_what_makes_no_sense_is_unknown(value: float | None) -> None:
    assert probability(value) == UNKNOWN


def test_a_logarithm_that_was_rounded_up_is_certain() -> None:
    assert probability(1e-7) == 1.0


@given(st.lists(st.tuples(st.integers(0, 99), ANY)), st.integers(0, 10))
def test_the_likeliest_are_in_order_and_make_sense(pairs: list[tuple[int, float | None]], count: int) -> None:
    found = likeliest(pairs, count)
    assert len(found) <= count
    values = [value for _, value in found]
    assert values == sorted(values, reverse=True)
    assert all(value <= 0 for value in values)
