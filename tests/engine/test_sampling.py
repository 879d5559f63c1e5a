from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.generation import Sampling
from jupyter_turbopilot.engine.sampling import choose

NONE = np.array([], dtype=np.int64)


def row(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_greedy_takes_the_likeliest_and_reports_its_probability() -> None:
    token, probability = choose(row(0, 1, 0), Sampling(), None, NONE, set())
    assert token == 1
    assert probability == pytest.approx(np.e / (np.e + 2), rel=1e-5)


def test_an_invisible_control_token_is_passed_over() -> None:
    controls = np.array([1], dtype=np.int64)
    assert choose(row(0, 5, 1), Sampling(), None, controls, set())[0] == 2


def test_a_control_token_that_ends_the_answer_ends_it() -> None:
    controls = np.array([1], dtype=np.int64)
    assert choose(row(0, 5, 1), Sampling(), None, controls, {1})[0] == 1


def test_forced_bytes_restrict_the_choice() -> None:
    token, probability = choose(row(9, 1, 2), Sampling(), None, NONE, set(), np.array([1, 2]))
    assert token == 2
    assert probability == pytest.approx(np.e / (np.e + 1), rel=1e-5)


def test_the_same_seed_draws_the_same_tokens() -> None:
    logits = np.random.default_rng(0).standard_normal(200).astype(np.float32)
    sampling = Sampling(temperature=1.0)
    draws = [
        [choose(logits, sampling, rng, NONE, set())[0] for _ in range(20)]
        for rng in (np.random.default_rng(3), np.random.default_rng(3), np.random.default_rng(4))
    ]
    assert draws[0] == draws[1] != draws[2]


@given(st.lists(st.floats(-20, 20, width=32), min_size=2, max_size=50), st.integers(1, 5), st.integers(0, 99))
def test_top_k_is_never_left(values: list[float], top_k: int, seed: int) -> None:
    logits = row(*values)
    token, probability = choose(
        logits, Sampling(temperature=1.5, top_k=top_k), np.random.default_rng(seed), NONE, set()
    )
    assert (logits > logits[token]).sum() < top_k
    assert 0 < probability <= 1.0001
