"""The thread that writes a study log: no keystroke waits for a disk, or for a schema."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from jupyter_turbopilot.study.events import Dropped, line_of
from jupyter_turbopilot.study.file import append, check, located, opened

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jupyter_turbopilot.study.events import Event, Session

log = logging.getLogger(__name__)

WAITING = 1000  # events in the queue; more are counted and dropped
BATCH = 256  # lines that are written at once
RETRY = 5.0  # seconds after which a file that could not be written is tried again
PATIENCE = 1.0  # seconds that `close` waits for the thread


class Writer:
    """Writes events on its own thread. `trouble` says why they are not written, or is empty.

    Before the first event of a session, and of a file, its session line is written.
    """

    trouble = ""

    def __init__(self, name: str | Path, session: Session) -> None:
        self.session = session  # of the events that are put from now on
        self._name = name
        self._waiting: deque[tuple[Session, Callable[[], Event]]] = deque()
        self._lines: list[tuple[Session, bytes]] = []  # checked, to be written
        self._dropped = 0
        self._in_file: Session | None = None  # the last session line that is in the file
        self._file, self._end = 0, 0  # which file that is, and how long it was
        self._wake = threading.Condition()
        self._ended = False
        # A daemon: a disk that does not respond must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="turbopilot-study", daemon=True)
        self._thread.start()

    def put(self, make: Callable[[], Event]) -> None:
        """Have an event written; `make` is called on the thread."""
        with self._wake:
            if self._ended:
                return
            if len(self._waiting) < WAITING:
                self._waiting.append((self.session, make))
            else:
                self._dropped += 1
            self._wake.notify()

    def close(self) -> None:
        """Write the waiting events, and end."""
        with self._wake:
            self._ended = True
            self._wake.notify()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        ended = False
        while True:
            try:
                self._write()
                self._set_trouble("")
            except (OSError, ValueError) as error:
                self._set_trouble(getattr(error, "strerror", None) or type(error).__name__)
            if ended:
                return
            with self._wake:
                if self.trouble:
                    self._wake.wait_for(lambda: self._ended, RETRY)
                else:
                    self._wake.wait_for(lambda: self._ended or self._waiting)
                ended = self._ended

    def _write(self) -> None:
        """Write all waiting events, or raise an OSError that says why they cannot be written."""
        path = located(self._name)
        check(path)
        while self._next_lines():
            with opened(path) as handle:
                self._append(handle)

    def _next_lines(self) -> bool:
        """Make lines of waiting events; return whether there are any."""
        while self._waiting and len(self._lines) < BATCH:
            session, make = self._waiting.popleft()
            try:
                self._lines.append((session, line_of(make())))
            except Exception:
                log.exception("Turbopilot: an event is not in the study log")
                with self._wake:
                    self._dropped += 1
        if self._dropped and not self._waiting:
            with self._wake:
                session, dropped, self._dropped = self.session, self._dropped, 0
            event = Dropped(t=round(time.time(), 1), session=session.session, lines=dropped)
            self._lines.append((session, line_of(event)))
        return bool(self._lines)

    def _append(self, handle: int) -> None:
        status = os.fstat(handle)
        replaced = status.st_ino != self._file or status.st_size < self._end
        in_file = None if replaced else self._in_file
        parts = []
        for session, line in self._lines:
            if session is not in_file:
                parts.append(line_of(session))
                in_file = session
            parts.append(line)
        data = b"".join(parts)
        append(handle, data)
        self._in_file, self._file, self._end = in_file, status.st_ino, status.st_size + len(data)
        self._lines.clear()

    def _set_trouble(self, reason: str) -> None:
        if reason and reason != self.trouble:
            log.warning("Turbopilot: the file of c.Turbopilot.study_log cannot be written: %s.", reason)
        elif self.trouble and not reason:
            log.warning("Turbopilot: the study log can be written again.")
        self.trouble = reason
