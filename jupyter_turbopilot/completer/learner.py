"""Learns from what became of suggestions, and keeps that in a file of the person's own.

What is learned is applied as the file has it, which is written a while after the news: a threshold that moved
with every key would have answers written anew. Several servers share the file: each reads what the others
have made of it before it adds its own news. Of two that write at the same moment one's news are lost, some
seconds of them; the file is always whole.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING

from jupyter_turbopilot.completer.learned import Learned, Week, read
from jupyter_turbopilot.completer.outcomes import News, Outcomes
from jupyter_turbopilot.files import read_object, remove, replace_content

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_turbopilot.completer.outcomes import Terms
    from jupyter_turbopilot.request import Feedback
    from jupyter_turbopilot.suggestion.learning import Calibration

log = logging.getLogger(__name__)

SETTLE = 20.0  # seconds in which news are gathered before they are written
PATIENCE = 1.0  # seconds that the end waits for them to be written
WAITING = 4096  # news that wait; what comes beyond is lost


class Learner:
    """What was learned of one person, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._learned = read(read_object(path))
        self._outcomes = Outcomes()
        self._news: list[News] = []
        self._changed = threading.Condition()
        self._ended = False
        self._writing = False  # whether news are being written, or wait for that
        self._thread: threading.Thread | None = None
        self._told = False  # whether it was said that the file cannot be written
        self._begun = 0  # how often all was forgotten

    def calibration(self, model: str, fit: str) -> Calibration:
        """Return how a model's scores are read."""
        return self._learned.calibration(model, fit)

    @property
    def week(self) -> Week:
        """The counts of this week."""
        with self._changed:
            return self._learned.after(self._news, time.time()).week

    def told(self, name: str, terms: Terms, length: int, score: float) -> None:
        """Remember a suggestion that an editor is told."""
        with self._changed:
            self._outcomes.told(name, terms, length, score, time.monotonic())

    def hear(self, feedback: Feedback) -> None:
        """Learn from what an editor says of a suggestion; nothing is waited for."""
        with self._changed:
            news = self._outcomes.hear(feedback, time.monotonic())
            if news == News() or self._ended or len(self._news) >= WAITING:
                return
            self._news.append(news)
            if not self._writing:
                self._writing = True
                # A daemon: a disk that does not answer may not keep the process from ending.
                self._thread = threading.Thread(target=self._write, name="turbopilot-learning", daemon=True)
                self._thread.start()

    def forget(self) -> None:
        """Begin anew, and delete the file. An `OSError` says why it stays."""
        with self._changed:
            self._news.clear()
            self._outcomes = Outcomes()
            self._learned = Learned()
            self._begun += 1
        remove(self._path)

    def close(self) -> None:
        """Write what waits, and end."""
        with self._changed:
            self._ended = True
            self._changed.notify()
            thread = self._thread
        if thread and thread.is_alive():
            thread.join(PATIENCE)

    def _write(self) -> None:
        """Wait a while, then add all news to what is in the file."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended, SETTLE)
            begun = self._begun
        kept = read(read_object(self._path))
        with self._changed:
            # What cannot be written is known here alone; what was forgotten meanwhile is not known any more.
            base = self._learned if self._told or begun != self._begun else kept
            begun = self._begun
            self._learned = base.after(self._news, time.time())
            content, anything = json.dumps(self._learned.content()).encode(), bool(self._news)
            self._news.clear()
            self._writing = False
        try:
            if anything:
                replace_content(self._path, content, private=True)
            if begun != self._begun:
                remove(self._path)
            self._told = False
        except OSError as error:
            if not self._told:
                log.warning(
                    "Turbopilot: what is learned from suggestions is not kept over a restart: %s.",
                    error.strerror or error,
                )
            self._told = True
