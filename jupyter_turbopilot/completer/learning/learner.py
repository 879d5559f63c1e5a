"""Learns from feedback on suggestions, and saves the result in a file of the user's own.

Learned values take effect when they are written, some time after the feedback: a threshold that moved with
every keystroke would invalidate cached completions. Values that cannot be written stay queued, and still take
effect. Several servers share the file: each reads it before it adds its own observations. If two write at the
same moment, one of them loses its observations of some seconds; the file is always valid. It contains only
numbers and digests: no text, no path, no name, no time but the week's number.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from jupyter_turbopilot.completer.learning.calibration import AS_FITTED, Calibration, Count
from jupyter_turbopilot.completer.learning.outcomes import Observations, Outcomes
from jupyter_turbopilot.completer.listeners import SuggestionListener
from jupyter_turbopilot.util.files import object_in, remove, replace_content
from jupyter_turbopilot.util.write_behind import WriteBehind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jupyter_turbopilot.completer.learning.outcomes import DisplayConditions
    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.completer.reply_iterators import Listener
    from jupyter_turbopilot.protocol.reply import Reply
    from jupyter_turbopilot.protocol.request import Completion, Feedback

SETTLE = 20.0  # seconds in which observations are collected before they are written, or tried again
PATIENCE = 1.0  # seconds that close() waits for them to be written
WAITING = 4096  # observations queued for writing; further ones are dropped
SUBJECTS = 32  # calibrations in the file; the least recently updated one is dropped

T = TypeVar("T")


@dataclass(frozen=True)
class WeekCounts:
    """Counts of a week's automatic suggestions."""

    number: Count = 0
    shown: Count = 0
    accepted: Count = 0
    saved: Count = 0  # keystrokes
    executed: Count = 0  # accepted characters whose cell was executed
    retained: Count = 0  # of these, still there when it was executed next


@dataclass(frozen=True)
class LearnedState:
    """The content of the file. `calibrations`: by model and setting, the latest last."""

    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    week: WeekCounts = WeekCounts()

    def calibration(self, subject: str) -> Calibration:
        """Return the calibration of a model's scores at a setting."""
        return self.calibrations.get(subject, AS_FITTED)

    def counted(self, observations: Observations, now: float) -> WeekCounts:
        """Return this week's counts after some observations."""
        number = week_of(now)
        week = self.week if self.week.number == number else WeekCounts(number)
        accepted = week.accepted + observations.accepted
        # A suggestion that was shown last week may be accepted in this one.
        shown = max(week.shown + observations.shown, accepted)
        executed = week.executed + observations.executed
        retained = week.retained + observations.retained
        return WeekCounts(number, shown, accepted, week.saved + observations.saved, executed, retained)

    def after(self, observations: Observations, now: float) -> LearnedState:
        """Return the content updated by some observations."""
        found = dict(self.calibrations)
        for verdict in observations.verdicts:
            terms = verdict.terms
            if terms.promised is not None:
                known = found.pop(terms.subject, AS_FITTED)
                found[terms.subject] = known.learn(
                    verdict.score, terms.threshold, terms.promised, right=verdict.right
                )
        return LearnedState(dict(list(found.items())[-SUBJECTS:]), self.counted(observations, now))


def week_of(now: float) -> int:
    """Return the number of a time's week, which begins on Monday in the server's time zone."""
    year, month, day, *_ = time.localtime(now)
    return (date(year, month, day).toordinal() - 1) // 7  # day 1 was a Monday


def read(content: Mapping[str, Any]) -> LearnedState:
    """Parse a JSON object; invalid parts are reset."""
    kept = content.get("calibrations")
    found = {
        subject: calibration
        for subject, one in (kept.items() if isinstance(kept, dict) else ())
        if (calibration := _valid(one, Calibration))
    }
    week = _valid(content.get("week"), WeekCounts) or WeekCounts()
    is_possible = week.accepted <= week.shown and week.retained <= week.executed
    return LearnedState(dict(list(found.items())[-SUBJECTS:]), week if is_possible else WeekCounts())


def _valid(kept: Any, kind: type[T]) -> T | None:
    try:
        return msgspec.convert(kept, kind)
    except msgspec.ValidationError:
        return None


class Learner(SuggestionListener):
    """The calibrations learned for one user, saved in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = LearnedState()  # content of the file, as far as it could be read
        with suppress(OSError):
            self._kept = self._read()
        self._learned = self._kept  # values in effect
        self._waiting = Observations()  # not in the file yet
        self._outcomes = Outcomes()
        self._lock = threading.Lock()
        self._forgotten = 0  # number of resets
        self._behind = WriteBehind[Observations](
            self._write,
            lambda reason: f"Learned thresholds cannot be saved: {reason}.",
            room=WAITING,
            settle=SETTLE,
            retry=SETTLE,
        )

    def calibration(self, subject: str) -> Calibration:
        """Return the calibration of a model's scores at a setting."""
        return self._learned.calibration(subject)

    @property
    def week(self) -> WeekCounts:
        """This week's counts."""
        with self._lock:
            return self._kept.counted(self._waiting, time.time())

    def requested(self, _request: Completion, plan: Plan) -> Listener | None:
        """Return a function that records the suggestions in the replies to an automatic request."""
        return partial(self._observe, plan) if plan.automatic else None

    def _observe(self, plan: Plan, reply: Reply) -> None:
        if reply.items and (terms := plan.terms()):  # only these replies need the conditions
            item = reply.items[0]
            judged = replace(terms, promised=None) if item.from_index else terms
            self.sent(reply.id, judged, len(item.shown), item.confidence)

    def sent(self, name: str, terms: DisplayConditions, length: int, score: float) -> None:
        """Record a suggestion that is sent to an editor."""
        with self._lock:
            self._outcomes.sent(name, terms, length, score, time.monotonic())

    def receive(self, feedback: Feedback) -> None:
        """Learn from feedback, without blocking."""
        with self._lock:
            self._add(self._outcomes.receive(feedback, time.monotonic()))

    def forget(self) -> None:
        """Reset everything and delete the file. Raises OSError if it cannot be deleted."""
        with self._lock:
            self._kept = self._learned = LearnedState()
            self._waiting = Observations()
            self._outcomes = Outcomes()
            self._forgotten += 1
        remove(self._path)

    def close(self) -> None:
        """Write the queued observations and stop."""
        with self._lock:
            self._add(self._outcomes.end())
        self._behind.close(PATIENCE)

    def _add(self, observed: Observations) -> None:
        if observed and self._behind.put(observed):
            self._waiting += observed

    def _write(self, _observed: Sequence[Observations]) -> None:
        """Add the queued observations to the file's content, unless `forget` has dropped them meanwhile."""
        forgotten, failure = self._forgotten, None
        try:
            kept = self._read()
        except OSError as error:
            kept, failure = self._kept, error
        with self._lock:
            if forgotten == self._forgotten:
                self._kept = kept
            forgotten, added = self._forgotten, self._waiting
            self._learned = learned = self._kept.after(added, time.time())
        if failure:
            raise failure
        if not added:
            return
        replace_content(self._path, msgspec.json.encode(learned), private=True)
        with self._lock:
            if forgotten == self._forgotten:
                self._kept, self._waiting = learned, self._waiting.since(added)
                return
        remove(self._path)

    def _read(self) -> LearnedState:
        """Read the file; invalid parts are reset. Raises OSError if it cannot be read."""
        try:
            return read(object_in(self._path.read_bytes()))
        except FileNotFoundError:
            return LearnedState()
