"""How the gate's scores are to be read for one person, learned from what became of suggestions. Pure.

A score's log-odds x are read as `offset + slope * x`: at first 0 and 1, as they were fitted. A suggestion may
be shown where that reading passes the setting's threshold.

The name of a setting promises how many of the suggestions that it shows are right. Each one that was right,
or was not, moves the offset by a little of its difference from that promise: where fewer are right than
promised, the reading falls until those few that are still shown are as often right as they should be. Only
what passed the threshold is ever judged. That does not bias the offset, because what is shown is all that the
promise is about. The slope follows how much more often the surer ones are right than the less sure
ones, relative to the threshold that they passed; that says little of scores far below it, so the slope moves
more slowly. Both have bounds, and so has the way that a threshold may move.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from jupyter_turbopilot.suggestion.features import sigmoid

PRIOR = 80  # suggestions that the fitted gate counts for
MEMORY = 1400  # suggestions beyond which older ones fade
SLOPE = (0.7, 1.4)  # between which it stays
OFFSET = (-1.5, 1.5)
FURTHEST = 1.5  # log-odds that a threshold is moved at most: some are always shown, and never all
_STEEPNESS = 0.12  # by how much precision grows with the log-odds of a threshold
_LEAD = 0.65  # by how much the log-odds of what is shown lie above those of the threshold, on average
_SPREAD = 0.35  # their variance
_CURVATURE = 0.21  # p * (1 - p) of the usual p
_STIFFNESS = 8.0  # how much more weight the fitted slope has than the fitted offset
_MOSTLY_RIGHT = 0.5  # where less is promised, scores are spread too widely for the slope to be seen
_EXTREME = 5.0  # log-odds beyond which scores are alike
Count = Annotated[int, Meta(ge=0, lt=1 << 53)]
_STEPS = 200  # of thresholds from 0 to 1: answers are known by their threshold, which had better stay a while


@dataclass(frozen=True)
class Calibration:
    """How one person's scores of one model are read."""

    slope: Annotated[float, Meta(ge=SLOPE[0], le=SLOPE[1])] = 1.0
    offset: Annotated[float, Meta(ge=OFFSET[0], le=OFFSET[1])] = 0.0
    seen: Count = 0  # suggestions that it was learned from

    def learn(self, score: float, threshold: float, promised: float, *, right: bool) -> Calibration:
        """Return what a suggestion makes of it that was shown with a score, at a threshold as it was moved.

        `promised`: which share of those shown is to be right.
        """
        seen = min(self.seen, MEMORY)
        ahead = log_odds(score) - log_odds(threshold) - _LEAD
        expected = sigmoid(log_odds(promised) + self.slope * ahead)
        turn = (right - expected) * ahead / (_CURVATURE * _SPREAD * (_STIFFNESS * PRIOR + seen))
        if promised < _MOSTLY_RIGHT:
            turn = 0.0
        lift = (right - promised) / (_STEEPNESS * (PRIOR + seen))
        # Where older suggestions fade, what was fitted does not.
        back = PRIOR / (PRIOR + seen) ** 2 if seen == MEMORY else 0.0
        return Calibration(
            _within(SLOPE, self.slope + turn - back * (self.slope - 1)),
            _within(OFFSET, self.offset + lift - back * self.offset),
            self.seen + 1,
        )

    def threshold(self, fitted: float) -> float:
        """Return the score, as it was fitted, that a threshold stands for."""
        if not self.seen:
            return fitted
        wanted = log_odds(fitted)
        moved = _within((wanted - FURTHEST, wanted + FURTHEST), (wanted - self.offset) / self.slope)
        return min(_STEPS - 1, max(1, round(sigmoid(moved) * _STEPS))) / _STEPS


AS_FITTED = Calibration()


def log_odds(score: float) -> float:
    """Return the log-odds of a score; beyond a bound all are alike."""
    edge = sigmoid(-_EXTREME)
    chance = _within((edge, 1 - edge), score)
    return math.log(chance / (1 - chance))


def _within(bounds: tuple[float, float], value: float) -> float:
    low, high = bounds
    return min(high, max(low, value))
