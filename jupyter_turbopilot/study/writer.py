"""The thread that writes the study log: nobody who types waits for a disk, or for a schema.

The events go through an event logger of Jupyter's event system, which refuses whatever no schema allows. It
is our own one also in a Jupyter server. The server's sends each event to every page that listens at
`api/events/subscribe` and to whatever handlers a configuration adds, takes events of any schema from clients
at `api/events`, and does all that on the event loop: a study log is to be in its file, and nowhere else.
What the logger returns is written, not what a handler gets: a program in a terminal may disable logging.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.study.events import EVENTS, MAGIC, schema_id, schema_of
from jupyter_turbopilot.study.file import LogFile, located, reason_of
from jupyter_turbopilot.study.lines import line_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jupyter_events import EventLogger

    from jupyter_turbopilot.study.lines import Event

log = logging.getLogger(__name__)

WAITING = 1000  # events that wait to be written; what comes beyond is counted and lost
BATCH = 256  # lines that are written at once
RETRY = 5.0  # seconds after which a file is tried again that could not be written
PATIENCE = 1.0  # seconds that the end waits for what is not written yet
LAST_PATIENCE = PATIENCE / 2  # seconds that another process may hold the file at the end


class Writer:
    """Writes events behind whoever tells them; `trouble` says why they are not written, if so."""

    trouble = ""

    def __init__(self, name: str | Path, lost: Callable[[int], Event]) -> None:
        """`lost` makes the event that says how many were."""
        self._name = name
        self._lost = lost
        self._waiting: deque[tuple[Callable[[], Event], bool]] = deque()  # and whether they must be written
        self._lines: deque[bytes] = deque()  # checked, to be written
        self._dropped = 0
        self._head = b""  # the session line that holds for the next line
        self._wake = threading.Condition()
        self._look = self._ended = False
        self._thread: threading.Thread | None = None
        self._logger: EventLogger | None = None

    def begin(self) -> None:
        """See now whether the file can be written, before there is anything to write."""
        with self._wake:
            self._look = True
            self._start()

    def put(self, make: Callable[[], Event], *, must: bool = False) -> None:
        """Have an event written soon; `make` is called on the thread.

        A session line must be: it is dropped only where another one follows at once.
        """
        with self._wake:
            if self._ended:
                return
            if len(self._waiting) + len(self._lines) >= WAITING and not must:
                self._dropped += 1
            else:
                if must and self._waiting and self._waiting[-1][1]:
                    self._waiting.pop()
                self._waiting.append((make, must))
            self._start()

    def close(self) -> None:
        """Write what waits, and end."""
        with self._wake:
            self._ended = True
            self._wake.notify()
            thread = self._thread
        if thread and thread.is_alive():
            thread.join(PATIENCE)

    def _start(self) -> None:
        if self._thread:
            self._wake.notify()
            return
        # A daemon: a disk that does not answer must not keep the process from ending.
        thread = threading.Thread(target=self._run, name="turbopilot-study", daemon=True)
        with suppress(RuntimeError):  # there can be no more threads now
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        try:
            file = LogFile(located(self._name))
        except OSError as error:
            with self._wake:
                self._ended = True
                self._waiting.clear()
            self._fail(reason_of(error))
            return
        ended = False
        while not ended:
            ended = self._wait()
            if ended:
                file.patience = LAST_PATIENCE
            try:
                self._logger = self._logger or event_logger()
                self._check()
                self._write(file)
                self._well()
            except OSError as error:
                self._fail(reason_of(error))
            except Exception as error:
                reason = f"an error that the server's log has ({type(error).__name__})"
                if reason != self.trouble:
                    log.exception("Turbopilot: writing the study log failed")
                self._fail(reason)

    def _wait(self) -> bool:
        """Wait for something to do; tell whether it is the end."""
        with self._wake:
            if self.trouble:
                self._wake.wait_for(lambda: self._ended, RETRY)
            else:
                self._wake.wait_for(lambda: self._ended or self._look or self._waiting)
            self._look = False
            return self._ended

    def _check(self) -> None:
        """Turn what waits into lines; what no schema allows is lost, and counted."""
        while True:
            with self._wake:
                if not self._waiting:
                    return
                make, must = self._waiting.popleft()
            try:
                line = self._line(make())
            except Exception:
                log.exception("Turbopilot: an event is not in the study log")
                with self._wake:
                    self._dropped += 1
            else:
                with self._wake:
                    if must and self._lines and self._lines[-1].startswith(MAGIC):
                        self._lines.pop()
                    self._lines.append(line)

    def _line(self, event: Event) -> bytes:
        logger = self._logger
        told = logger.emit(schema_id=schema_id(event["event"]), data=event) if logger else None
        # Its own marks, which the session line stands for, would double the length.
        return line_of({name: told[name] for name in event} if told else event)

    def _write(self, file: LogFile) -> None:
        if not self._lines:
            file.check()
        while lines := list(islice(self._lines, BATCH)):
            file.append(lines, b"" if lines[0].startswith(MAGIC) else self._head)
            with self._wake:
                for line in lines:
                    self._lines.popleft()
                    if line.startswith(MAGIC):
                        self._head = line
        with self._wake:
            dropped = self._dropped
        if dropped:
            file.append([self._line(self._lost(dropped))], self._head)
            with self._wake:
                self._dropped -= dropped

    def _well(self) -> None:
        if self.trouble:
            log.warning("Turbopilot: the study log can be written again.")
        self.trouble = ""

    def _fail(self, reason: str) -> None:
        if reason != self.trouble:
            log.warning("Turbopilot: the file of c.Turbopilot.study_log cannot be written: %s.", reason)
        self.trouble = reason


def event_logger() -> EventLogger:
    """Return an event logger that knows our schemas and tells nobody."""
    from jupyter_events import EventLogger

    handlers: list[Any] = [logging.NullHandler()]  # without any it does nothing
    logger = EventLogger(handlers=handlers)
    for event in EVENTS:
        logger.register_event_schema(schema_of(event))
    return logger
