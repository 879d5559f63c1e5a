"""Learns from feedback on suggestions, and keeps what it learned in a file of the person's own.

What is learned is applied as it is written, a while after the feedback: a threshold that moved with every key
would have answers written anew. What cannot be written waits, and is applied meanwhile. Several servers share
the file: each reads what the others have made of it before it adds its own observations. Of two that write at
the same moment one loses what it observed within some seconds; the file is always whole. It holds numbers and
digests only: no text, no path, no name, no time but the week's number.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from jupyter_turbopilot.files import object_in, remove, replace_content
from jupyter_turbopilot.learning.calibration import AS_FITTED, Calibration, Count
from jupyter_turbopilot.learning.outcomes import Observations, Outcomes
from jupyter_turbopilot.write_behind import WriteBehind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jupyter_turbopilot.learning.outcomes import Terms
    from jupyter_turbopilot.reply import Reply
    from jupyter_turbopilot.request import Feedback

SETTLE = 20.0  # seconds in which observations are gathered before they are written, or tried again
PATIENCE = 1.0  # seconds that the end waits for them to be written
WAITING = 4096  # observations that wait to be written; what comes beyond is lost
SUBJECTS = 32  # of which something is kept; the one that was used longest ago is forgotten

T = TypeVar("T")


@dataclass(frozen=True)
class Week:
    """How many suggestions appeared by themselves in a week, and how many of them were taken."""

    number: Count = 0
    shown: Count = 0
    taken: Count = 0


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
        # A suggestion that was shown before this week may be accepted in it.
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
        if (calibration := _valid(one, Calibration))
    }
    week = _valid(content.get("week"), Week) or Week()
    return Learned(dict(list(found.items())[-SUBJECTS:]), week if week.taken <= week.shown else Week())


def _valid(kept: Any, kind: type[T]) -> T | None:
    try:
        return msgspec.convert(kept, kind)
    except msgspec.ValidationError:
        return None


class Learner:
    """What was learned of one person, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = Learned()  # what the file holds, as far as it could be read
        with suppress(OSError):
            self._kept = self._read()
        self._learned = self._kept  # what is applied
        self._waiting = Observations()  # what the file does not hold yet
        self._outcomes = Outcomes()
        self._lock = threading.Lock()
        self._forgotten = 0  # how often
        self._behind = WriteBehind[Observations](
            "turbopilot-learning",
            self._write,
            lambda reason: f"what is learned from suggestions is not kept across restarts: {reason}.",
            room=WAITING,
            settle=SETTLE,
            retry=SETTLE,
        )

    def calibration(self, subject: str) -> Calibration:
        """Return how the scores of a model at a setting are read."""
        return self._learned.calibration(subject)

    @property
    def week(self) -> Week:
        """The counts of this week."""
        with self._lock:
            return self._kept.counted(self._waiting, time.time())

    def observe(self, terms: Terms, reply: Reply) -> None:
        """Remember the suggestion in a reply to an editor."""
        if reply.items:
            item = reply.items[0]
            judged = replace(terms, promised=None) if item.recalled else terms
            self.sent(reply.id, judged, len(item.text), item.confidence)

    def sent(self, name: str, terms: Terms, length: int, score: float) -> None:
        """Remember a suggestion that is sent to an editor."""
        with self._lock:
            self._outcomes.sent(name, terms, length, score, time.monotonic())

    def receive(self, feedback: Feedback) -> None:
        """Learn from feedback; nothing is waited for."""
        with self._lock:
            self._add(self._outcomes.receive(feedback, time.monotonic()))

    def forget(self) -> None:
        """Begin anew, and delete the file. An `OSError` says why it stays."""
        with self._lock:
            self._kept = self._learned = Learned()
            self._waiting = Observations()
            self._outcomes = Outcomes()
            self._forgotten += 1
        remove(self._path)

    def close(self) -> None:
        """Write what waits, and end."""
        with self._lock:
            self._add(self._outcomes.end())
        self._behind.close(PATIENCE)

    def _add(self, observed: Observations) -> None:
        if observed and self._behind.put(observed):
            self._waiting += observed

    def _write(self, _observed: Sequence[Observations]) -> None:
        """Add what waits to what is in the file: `forget` may have taken back what was queued."""
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

    def _read(self) -> Learned:
        """Read the file; what is damaged in it begins anew. An `OSError` says why it cannot be read."""
        try:
            return read(object_in(self._path.read_bytes()))
        except FileNotFoundError:
            return Learned()
