"""What is kept of what was learned: how scores are to be read, and two counts of this week. Pure.

Only numbers and digests: no text, no path, no name, no time but the week's number.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, TypeGuard

from jupyter_turbopilot.suggestion.learning import AS_FITTED, OFFSET, SLOPE, Calibration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_turbopilot.completer.outcomes import Observations

SUBJECTS = 32  # of which something is kept; the one that was used longest ago is forgotten


@dataclass(frozen=True)
class Week:
    """How many suggestions appeared by themselves in a week, and how many of them were taken."""

    number: int = 0
    shown: int = 0
    taken: int = 0


@dataclass(frozen=True)
class Learned:
    """All that is kept. `calibrations`: how scores are read, by whose scores they are, the latest last."""

    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    week: Week = Week()

    def calibration(self, subject: str) -> Calibration:
        """Return how the scores of a model at a setting are read."""
        return self.calibrations.get(subject, AS_FITTED)

    def counted(self, observations: Observations, now: float) -> Week:
        """Return the counts of this week after some observations."""
        number = week_of(now)
        week = self.week if self.week.number == number else Week(number)
        taken = week.taken + observations.taken
        # What was shown before this week may be taken in it.
        return Week(number, max(week.shown + observations.shown, taken), taken)

    def after(self, observations: Observations, now: float) -> Learned:
        """Return what some observations make of it."""
        found = dict(self.calibrations)
        for verdict in observations.verdicts:
            terms = verdict.terms
            if terms.promised is not None:
                known = found.pop(terms.subject, AS_FITTED)
                found[terms.subject] = known.learn(
                    verdict.score, terms.threshold, terms.promised, right=verdict.right
                )
        return Learned(dict(list(found.items())[-SUBJECTS:]), self.counted(observations, now))

    def content(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        found = {subject: asdict(calibration) for subject, calibration in self.calibrations.items()}
        return {"calibrations": found, "week": asdict(self.week)}


def week_of(now: float) -> int:
    """Return the number of the week, from Monday on where the server is, that a time is in."""
    year, month, day, *_ = time.localtime(now)
    return (date(year, month, day).toordinal() - 1) // 7  # the first of all days was a Monday


def read(content: Mapping[str, Any]) -> Learned:
    """Read a JSON object; what is damaged or out of bounds in it begins anew."""
    kept = content.get("calibrations")
    found = {
        subject: calibration
        for subject, one in (kept.items() if isinstance(kept, dict) else ())
        if (calibration := _calibration(one))
    }
    return Learned(dict(list(found.items())[-SUBJECTS:]), _week(content.get("week")))


def _calibration(kept: Any) -> Calibration | None:
    if not isinstance(kept, dict):
        return None
    slope, offset, seen = kept.get("slope"), kept.get("offset"), kept.get("seen")
    if not (_is_within(slope, SLOPE) and _is_within(offset, OFFSET) and _is_count(seen)):
        return None
    return Calibration(slope, offset, seen)


def _week(kept: Any) -> Week:
    if not isinstance(kept, dict):
        return Week()
    number, shown, taken = kept.get("number"), kept.get("shown"), kept.get("taken")
    if not (_is_count(number) and _is_count(shown) and _is_count(taken)) or taken > shown:
        return Week()
    return Week(number, shown, taken)


def _is_within(value: Any, bounds: tuple[float, float]) -> TypeGuard[float]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and bounds[0] <= value <= bounds[1]


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53
