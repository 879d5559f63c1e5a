"""Learns from feedback on suggestions, and keeps what it learned in a file of the person's own.

What is learned is applied as it is written, a while after the feedback: a threshold that moved with every key
would have answers written anew. What cannot be written waits, and is applied meanwhile. Several servers share
the file: each reads what the others have made of it before it adds its own observations. Of two that write at
the same moment one loses what it observed within some seconds; the file is always whole.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from jupyter_turbopilot.completer.learned import Learned, Week, read
from jupyter_turbopilot.completer.outcomes import Observations, Outcomes
from jupyter_turbopilot.files import object_in, remove, replace_content

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_turbopilot.completer.outcomes import Terms
    from jupyter_turbopilot.request import Feedback
    from jupyter_turbopilot.suggestion.learning import Calibration

log = logging.getLogger(__name__)

SETTLE = 20.0  # seconds in which observations are gathered before they are written
PATIENCE = 1.0  # seconds that the end waits for them to be written
WAITING = 4096  # verdicts that wait to be written; what comes beyond is lost


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
        self._changed = threading.Condition()
        self._ended = False
        self._thread: threading.Thread | None = None  # that writes what waits
        self._in_trouble = False  # whether it was said that the file cannot be read or written
        self._forgotten = 0  # how often

    def calibration(self, subject: str) -> Calibration:
        """Return how the scores of a model at a setting are read."""
        return self._learned.calibration(subject)

    @property
    def week(self) -> Week:
        """The counts of this week."""
        with self._changed:
            return self._kept.counted(self._waiting, time.time())

    def sent(self, name: str, terms: Terms, length: int, score: float) -> None:
        """Remember a suggestion that is sent to an editor."""
        with self._changed:
            self._outcomes.sent(name, terms, length, score, time.monotonic())

    def receive(self, feedback: Feedback) -> None:
        """Learn from feedback; nothing is waited for."""
        with self._changed:
            if not self._ended:
                self._add(self._outcomes.receive(feedback, time.monotonic()))

    def forget(self) -> None:
        """Begin anew, and delete the file. An `OSError` says why it stays."""
        with self._changed:
            self._kept = self._learned = Learned()
            self._waiting = Observations()
            self._outcomes = Outcomes()
            self._forgotten += 1
        remove(self._path)

    def close(self) -> None:
        """Write what waits, and end."""
        with self._changed:
            self._add(self._outcomes.end())
            self._ended = True
            self._changed.notify()
            thread = self._thread
        if thread and thread.is_alive():
            thread.join(PATIENCE)

    def _add(self, observed: Observations) -> None:
        if not observed or len(self._waiting.verdicts) >= WAITING:
            return
        self._waiting += observed
        if not self._thread:
            # A daemon: a disk that does not answer must not keep the process from ending.
            thread = threading.Thread(target=self._write_all, name="turbopilot-learning", daemon=True)
            with suppress(RuntimeError):  # there can be no more threads now, as while Python exits
                thread.start()
                self._thread = thread

    def _write_all(self) -> None:
        """Write what waits, until nothing does or it cannot be written: what comes next tries again."""
        writing = True
        while writing:
            with self._changed:
                self._changed.wait_for(lambda: self._ended, SETTLE)
            error = self._write()
            if error and not self._in_trouble:
                log.warning(
                    "Turbopilot: what is learned from suggestions is not kept across restarts: %s.",
                    error.strerror or error,
                )
            with self._changed:
                self._in_trouble = bool(error)
                writing = bool(self._waiting) and not error
                if not writing:
                    self._thread = None

    def _write(self) -> OSError | None:
        """Add what waits to what is in the file; return why that cannot be done."""
        forgotten, trouble = self._forgotten, None
        try:
            kept = self._read()
        except OSError as error:
            kept, trouble = self._kept, error
        with self._changed:
            if forgotten == self._forgotten:
                self._kept = kept
            forgotten, added = self._forgotten, self._waiting
            self._learned = learned = self._kept.after(added, time.time())
        if trouble or not added:
            return trouble
        try:
            replace_content(self._path, json.dumps(learned.content()).encode(), private=True)
            with self._changed:
                if forgotten == self._forgotten:
                    self._kept, self._waiting = learned, self._waiting.since(added)
                    return None
            remove(self._path)
        except OSError as error:
            return error
        return None

    def _read(self) -> Learned:
        """Read the file; what is damaged in it begins anew. An `OSError` says why it cannot be read."""
        try:
            return read(object_in(self._path.read_bytes()))
        except FileNotFoundError:
            return Learned()
