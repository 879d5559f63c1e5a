"""Calibration of the gate's scores for one user, learned from suggestion outcomes. Pure.

The log-odds x of a score are corrected to `offset + slope * x`, initially with 0 and 1, as fitted. A
suggestion may be shown if its corrected score passes the setting's threshold.

A setting promises a precision: the share of its shown suggestions that are right. Each outcome moves the
offset by a fraction of its difference from that promise: with too many wrong suggestions, scores fall until
those still shown have the promised precision. Only suggestions that passed the threshold have an outcome.
That does not bias the offset, as the promise covers only shown suggestions. The slope follows how much more
often the surer suggestions are right, relative to the threshold that they passed; that says little about
scores far below it, so the slope moves more slowly. Both are bounded, and so is the movement of a threshold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from jupyter_turbopilot.suggestion.features import sigmoid

PRIOR = 80  # weight of the fitted gate, in suggestions
MEMORY = 1400  # suggestions after which older ones lose weight
SLOPE = (0.7, 1.4)  # bounds
OFFSET = (-1.5, 1.5)
FURTHEST = 1.5  # log-odds by which a threshold moves at most: some suggestions are always shown, never all
_STEEPNESS = 0.15  # growth of precision with the log-odds of a threshold
_LEAD = 0.95  # average distance in log-odds between shown suggestions and the threshold
_SPREAD = 0.9  # variance of that distance
_CURVATURE = 0.18  # p * (1 - p) for a typical p
_STIFFNESS = 8.0  # weight of the fitted slope relative to that of the fitted offset
_MOSTLY_RIGHT = 0.5  # below this promise, scores vary too much to learn a slope
_EXTREME = 5.0  # bound of log-odds
Count = Annotated[int, Meta(ge=0, lt=1 << 53)]
_STEPS = 200  # thresholds between 0 and 1: the cache distinguishes answers by threshold, so it moves in steps


@dataclass(frozen=True)
class Calibration:
    """Correction of one model's scores for one user."""

    slope: Annotated[float, Meta(ge=SLOPE[0], le=SLOPE[1])] = 1.0
    offset: Annotated[float, Meta(ge=OFFSET[0], le=OFFSET[1])] = 0.0
    seen: Count = 0  # suggestions that it was learned from

    def learn(self, score: float, threshold: float, promised: float, *, right: bool) -> Calibration:
        """Return the calibration updated by a suggestion shown with a score at an adjusted threshold.

        `promised` is the precision that the setting promises.
        """
        seen = min(self.seen, MEMORY)
        ahead = log_odds(score) - log_odds(threshold) - _LEAD
        expected = sigmoid(log_odds(promised) + self.slope * ahead)
        turn = (right - expected) * ahead / (_CURVATURE * _SPREAD * (_STIFFNESS * PRIOR + seen))
        if promised < _MOSTLY_RIGHT:
            turn = 0.0
        lift = (right - promised) / (_STEEPNESS * (PRIOR + seen))
        # While older suggestions lose weight, the prior keeps its own.
        back = PRIOR / (PRIOR + seen) ** 2 if seen == MEMORY else 0.0
        return Calibration(
            _within(SLOPE, self.slope + turn - back * (self.slope - 1)),
            _within(OFFSET, self.offset + lift - back * self.offset),
            self.seen + 1,
        )

    def threshold(self, fitted: float) -> float:
        """Return the raw score that corresponds to a threshold."""
        if not self.seen:
            return fitted
        wanted = log_odds(fitted)
        moved = _within((wanted - FURTHEST, wanted + FURTHEST), (wanted - self.offset) / self.slope)
        return min(_STEPS - 1, max(1, round(sigmoid(moved) * _STEPS))) / _STEPS


AS_FITTED = Calibration()


def log_odds(score: float) -> float:
    """Return the log-odds of a score, bounded."""
    edge = sigmoid(-_EXTREME)
    chance = _within((edge, 1 - edge), score)
    return math.log(chance / (1 - chance))


def _within(bounds: tuple[float, float], value: float) -> float:
    low, high = bounds
    return min(high, max(low, value))
