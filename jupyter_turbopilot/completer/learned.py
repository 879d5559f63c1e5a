"""What is kept of what was learned: how each model's scores are read, and two counts of this week. Pure.

Numbers only: no text, no path, no time but the week's number.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeGuard

from jupyter_turbopilot.suggestion.learning import AS_FITTED, OFFSET, SLOPE, Calibration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jupyter_turbopilot.completer.outcomes import News

MODELS = 32  # of which something is kept; the one that was used longest ago is forgotten
_DAY = 86400  # seconds


@dataclass(frozen=True)
class Week:
    """How many suggestions appeared by themselves in a week, and how many of them were taken."""

    number: int = 0
    shown: int = 0
    taken: int = 0


@dataclass(frozen=True)
class Learned:
    """All that is kept. `models`: by name, which fit of the gate it is about, and how its scores are read."""

    models: Mapping[str, tuple[str, Calibration]] = field(default_factory=dict)
    week: Week = Week()

    def calibration(self, model: str, fit: str) -> Calibration:
        """Return how a model's scores are read; what was learned of another fit does not count."""
        known, calibration = self.models.get(model, (fit, AS_FITTED))
        return calibration if known == fit else AS_FITTED

    def counted(self, now: float) -> Week:
        """Return the counts of this week."""
        number = week_of(now)
        return self.week if self.week.number == number else Week(number)

    def after(self, news: Iterable[News], now: float) -> Learned:
        """Return what some news make of it."""
        models, week = dict(self.models), self.counted(now)
        for one in news:
            taken = week.taken + one.taken
            # What was shown before this week may be taken in it.
            week = replace(week, shown=max(week.shown + one.shown, taken), taken=taken)
            if (lesson := one.lesson) and (terms := lesson.terms).promised is not None:
                before = Learned(models).calibration(terms.model, terms.fit)
                models.pop(terms.model, None)
                models[terms.model] = (
                    terms.fit,
                    before.learn(lesson.score, terms.threshold, terms.promised, right=lesson.right),
                )
        for name in list(models)[:-MODELS]:
            del models[name]
        return Learned(models, week)

    def content(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        models = {name: {"fit": fit, **asdict(found)} for name, (fit, found) in self.models.items()}
        return {"models": models, "week": asdict(self.week)}


def week_of(now: float) -> int:
    """Return the number of the week, from Monday on, that a time is in."""
    return int((now / _DAY + 3) // 7)  # the clock began on a Thursday


def read(content: Mapping[str, Any]) -> Learned:
    """Read a JSON object; what is damaged or out of bounds in it begins anew."""
    models = content.get("models")
    found = {
        name: read_one
        for name, kept in (models.items() if isinstance(models, dict) else ())
        if (read_one := _model(kept))
    }
    return Learned(dict(list(found.items())[-MODELS:]), _week(content.get("week")))


def _model(kept: Any) -> tuple[str, Calibration] | None:
    if not isinstance(kept, dict) or not isinstance(fit := kept.get("fit"), str):
        return None
    slope, offset, seen = kept.get("slope"), kept.get("offset"), kept.get("seen")
    if not (_is_within(slope, SLOPE) and _is_within(offset, OFFSET) and _is_count(seen)):
        return None
    return fit, Calibration(slope, offset, seen)


def _week(kept: Any) -> Week:
    if not isinstance(kept, dict):
        return Week()
    number, shown, taken = kept.get("number"), kept.get("shown"), kept.get("taken")
    if not (_is_count(number) and _is_count(shown) and _is_count(taken)) or taken > shown:
        return Week()
    return Week(number, shown, taken)


def _is_within(value: Any, bounds: tuple[float, float]) -> TypeGuard[float]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return is_number and bounds[0] <= value <= bounds[1]


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53
