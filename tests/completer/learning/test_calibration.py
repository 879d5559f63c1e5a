from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.completer.learning.calibration import (
    AS_FITTED,
    FURTHEST,
    OFFSET,
    SLOPE,
    Calibration,
    log_odds,
)
from jupyter_turbopilot.suggestion.features import sigmoid
from jupyter_turbopilot.suggestion.gate_fit import AIMS

SCORES = st.floats(0.0, 1.0)
LESSONS = st.lists(st.tuples(SCORES, st.booleans()), max_size=60)


def taught(verdicts: list[tuple[float, bool]], begun: Calibration = AS_FITTED) -> Calibration:
    for score, right in verdicts:
        begun = begun.learn(score, 0.575, 0.65, right=right)
    return begun


@given(LESSONS, st.floats(0.01, 0.99))
def test_learn_stays_within_its_bounds(verdicts: list[tuple[float, bool]], threshold: float) -> None:
    learned = taught(verdicts * 40)
    assert SLOPE[0] <= learned.slope <= SLOPE[1]
    assert OFFSET[0] <= learned.offset <= OFFSET[1]
    moved = learned.threshold(threshold)
    assert abs(log_odds(moved) - log_odds(threshold)) <= FURTHEST + 0.6  # in steps of a two-hundredth
    assert 0 < moved < 1


@given(st.permutations([(0.6, True), (0.7, False), (0.9, True), (0.65, False), (0.8, True)] * 4))
def test_learn_hardly_depends_on_the_order_of_outcomes(verdicts: list[tuple[float, bool]]) -> None:
    one, other = taught(verdicts), taught(sorted(verdicts))
    assert abs(one.offset - other.offset) < 0.15
    assert abs(one.slope - other.slope) < 0.15


@given(st.floats(0.575, 1.0), st.booleans())  # suggestions below the threshold have no outcome
def test_threshold_never_rises_with_more_right_suggestions(score: float, right: bool) -> None:
    before = Calibration(seen=100)
    after = before.learn(score, 0.575, 0.65, right=right).threshold(0.575)
    assert after <= 0.575 if right else after >= 0.575


@pytest.mark.parametrize("setting", AIMS)
@pytest.mark.parametrize("shift", [-0.5, 0.0, 0.6])
def test_learn_converges_to_the_promised_precision(setting: str, shift: float) -> None:
    promised, fitted = AIMS[setting], {"balanced": 0.575, "quiet": 0.775}[setting]
    rng = random.Random(3)
    scores = [1 - rng.random() ** 0.7 for _ in range(4000)]  # few are high

    def is_right(score: float) -> bool:
        return rng.random() < sigmoid(log_odds(score) - 0.2 + shift)

    learned = AS_FITTED
    while learned.seen < 4000:
        at = learned.threshold(fitted)
        if (score := rng.choice(scores)) >= at:
            learned = learned.learn(score, at, promised, right=is_right(score))
    shown = [score for score in scores if score >= learned.threshold(fitted)]
    precision = sum(sigmoid(log_odds(score) - 0.2 + shift) for score in shown) / len(shown)
    assert precision == pytest.approx(promised, abs=0.035)
