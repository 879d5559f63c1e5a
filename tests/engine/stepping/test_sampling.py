from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.stepping.sampling import choose, likeliest, share

NONE = np.array([], dtype=np.int64)


def logits_of(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_choose_is_restricted_to_allowed_tokens() -> None:
    token, probability = choose(logits_of(9, 1, 2), NONE, set(), np.array([1, 2]))
    assert token == 2
    assert probability == pytest.approx(np.e / (np.e + 1), rel=1e-5)


def test_share_adds_up_the_probabilities_of_the_tokens() -> None:
    assert share(logits_of(0, np.log(2), 0, 0), np.array([0, 1])) == pytest.approx(0.6)


@given(st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=50), st.integers(0, 8))
def test_likeliest_returns_sorted_logprobs(values: list[float], count: int) -> None:
    logits = logits_of(*values)
    found = likeliest(logits, count)
    assert len(found) == min(count, len(values))
    chances = [chance for _, chance in found]
    assert chances == sorted(chances, reverse=True)
    assert np.exp(chances).sum() <= 1.0001
    for token, chance in found:
        whole = float(np.exp(logits.astype(np.float64) - logits[token]).sum())
        assert chance == pytest.approx(-np.log(whole), abs=1e-4)
