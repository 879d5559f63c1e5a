"""Asking memory before the engine is asked: on a thread of its own, for a disk may be slow."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.completer.task import Recollection
    from jupyter_turbopilot.engine.job import Job

    Look = Callable[[], Recollection]
    Then = Callable[[Recollection | None, Job | None], None]

log = logging.getLogger(__name__)

PATIENCE, FOCUS = 0.05, 1.0  # seconds that a key, and the reading of a cell, are kept from the engine at most
MOST = 8  # requests that wait at once; any more go to the engine without
IDLE = 30.0  # seconds after which a thread with nothing to do ends


@dataclass(frozen=True)
class _Waiting:
    """A request for which memory is asked: whose place it takes, how it goes on, and until when it waits."""

    older: Job | None
    then: Then
    until: float


class Recalling:
    """The requests for which memory is asked first."""

    def __init__(self) -> None:
        self._waiting: dict[Job, _Waiting] = {}
        self._looks: deque[tuple[Job, Look]] = deque()
        self._running: set[str] = set()  # threads
        self._since = 0.0  # when the look that is going on began; 0: none is
        # Held while a job goes on to the engine: it is either here or there.
        self._changed = threading.Condition(threading.RLock())

    def first(self, job: Job, older: Job | None, look: Look, then: Then, patience: float) -> None:
        """Ask memory; `then` is called with what it says, or with nothing where that takes too long."""
        with self._changed:
            now = time.monotonic()
            slow = self._since and now - self._since > PATIENCE
            if not slow and len(self._waiting) < MOST and self._is_running():
                self._waiting[job] = _Waiting(older, then, now + patience)
                self._looks.append((job, look))
                self._changed.notify_all()
            else:
                then(None, older)

    def withdraw(self, job: Job) -> tuple[bool, Job | None]:
        """Tell whether a job waits for memory, which goes no further then, and whose place it was to take."""
        with self._changed:
            waiting = self._waiting.pop(job, None)
            return waiting is not None, waiting.older if waiting else None

    def _is_running(self) -> bool:
        """Have both threads run; False where there can be no more threads."""
        for name, run in (("turbopilot-recall", self._ask), ("turbopilot-recall-late", self._expire)):
            if name in self._running:
                continue
            try:
                # A daemon: a disk that does not answer must not keep the process from ending.
                threading.Thread(target=run, args=(name,), name=name, daemon=True).start()
            except RuntimeError:
                return False
            self._running.add(name)
        return True

    def _ask(self, name: str) -> None:
        while True:
            with self._changed:
                self._since = 0.0
                while not self._looks:
                    if not self._changed.wait(IDLE) and not self._looks:
                        self._running.discard(name)
                        return
                job, look = self._looks.popleft()
                if job not in self._waiting:
                    continue
                self._since = time.monotonic()
            found = None
            try:
                if not job.cancel.is_set():
                    found = look()
            except BaseException:
                log.exception("Turbopilot: memory could not be asked")
            self._go_on(job, found)

    def _expire(self, name: str) -> None:
        """Let those go on without memory that have waited long enough."""
        with self._changed:
            while True:
                now = time.monotonic()
                for job in [job for job, one in self._waiting.items() if one.until <= now]:
                    self._go_on(job, None)
                left = min((one.until for one in self._waiting.values()), default=now + IDLE) - now
                if not self._changed.wait(max(0.0, left)) and not self._waiting:
                    self._running.discard(name)
                    return

    def _go_on(self, job: Job, found: Recollection | None) -> None:
        with self._changed:
            if waiting := self._waiting.pop(job, None):
                try:
                    waiting.then(found, waiting.older)
                except BaseException:
                    log.exception("Turbopilot: a request could not go on from memory")
