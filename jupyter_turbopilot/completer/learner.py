"""Learns from feedback on suggestions, and keeps what it learned in a file of the person's own.

What is learned is applied as it is written, a while after the feedback: a threshold that moved with every key
would have answers written anew. What cannot be written waits, and is applied meanwhile. Several servers share
the file: each reads what the others have made of it before it adds its own observations. Of two that write at
the same moment one loses what it observed within some seconds; the file is always whole.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from jupyter_turbopilot.completer.learned import Learned, Week, read
from jupyter_turbopilot.completer.outcomes import Observations, Outcomes
from jupyter_turbopilot.files import object_in, remove, replace_content
from jupyter_turbopilot.write_behind import WriteBehind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jupyter_turbopilot.completer.outcomes import Terms
    from jupyter_turbopilot.request import Feedback
    from jupyter_turbopilot.suggestion.learning import Calibration

SETTLE = 20.0  # seconds in which observations are gathered before they are written, or tried again
PATIENCE = 1.0  # seconds that the end waits for them to be written
WAITING = 4096  # observations that wait to be written; what comes beyond is lost


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
            "turbopilot-learning", self._write, _failure, room=WAITING, settle=SETTLE, retry=SETTLE
        )

    def calibration(self, subject: str) -> Calibration:
        """Return how the scores of a model at a setting are read."""
        return self._learned.calibration(subject)

    @property
    def week(self) -> Week:
        """The counts of this week."""
        with self._lock:
            return self._kept.counted(self._waiting, time.time())

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
        replace_content(self._path, json.dumps(learned.content()).encode(), private=True)
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


def _failure(reason: str) -> str:
    return f"what is learned from suggestions is not kept across restarts: {reason}."
