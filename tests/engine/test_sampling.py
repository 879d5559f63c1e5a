from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.sampling import choose, likeliest

NONE = np.array([], dtype=np.int64)


def row(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_greedy_takes_the_likeliest_and_reports_its_probability() -> None:
    token, probability = choose(row(0, 1, 0), NONE, set())
    assert token == 1
    assert probability == pytest.approx(np.e / (np.e + 2), rel=1e-5)


def test_an_invisible_control_token_is_passed_over() -> None:
    controls = np.array([1], dtype=np.int64)
    assert choose(row(0, 5, 1), controls, set())[0] == 2


def test_a_control_token_that_ends_the_answer_ends_it() -> None:
    controls = np.array([1], dtype=np.int64)
    assert choose(row(0, 5, 1), controls, {1})[0] == 1


def test_forced_bytes_restrict_the_choice() -> None:
    token, probability = choose(row(9, 1, 2), NONE, set(), np.array([1, 2]))
    assert token == 2
    assert probability == pytest.approx(np.e / (np.e + 1), rel=1e-5)


def test_what_was_drawn_is_taken_with_its_own_probability() -> None:
    token, probability = choose(row(0, 1), NONE, set(), drawn=0)
    assert token == 0
    assert probability == pytest.approx(1 / (np.e + 1), rel=1e-5)


@given(st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=50), st.integers(0, 8))
def test_the_likeliest_come_first_and_their_chances_are_those_of_the_row(
    values: list[float], count: int
) -> None:
    logits = row(*values)
    found = likeliest(logits, count)
    assert len(found) == min(count, len(values))
    chances = [chance for _, chance in found]
    assert chances == sorted(chances, reverse=True)
    assert np.exp(chances).sum() <= 1.0001
    for token, chance in found:
        whole = float(np.exp(logits.astype(np.float64) - logits[token]).sum())
        assert chance == pytest.approx(-np.log(whole), abs=1e-4)
