"""Asking memory before the engine is asked: on threads of its own, for a disk may be slow, and in order."""

from __future__ import annotations

import logging
import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.engine.job import Job
    from jupyter_turbopilot.memory.recall import Recalled

    Look = Callable[[], Recalled | None]
    Then = Callable[[Recalled | None, Job | None], None]

log = logging.getLogger(__name__)

PATIENCE = 0.05  # seconds that the engine is kept from a request at most


class Errands:
    """Things to be done one after the other, on a thread that is there while there are any."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: deque[Callable[[], None]] = deque()
        self._going = False
        self._lock = threading.Lock()

    def put(self, errand: Callable[[], None]) -> None:
        """Have something done after what was put before."""
        with self._lock:
            self._waiting.append(errand)
            if not self._going:
                # A daemon: a disk that does not answer may not keep the process from ending.
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
                self._going = True

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._going = False
                    return
                errand = self._waiting.popleft()
            try:
                errand()
            except BaseException:
                log.exception("Turbopilot: memory could not be asked")


class Recalling:
    """The requests for which memory is asked first. They keep their order."""

    def __init__(self) -> None:
        self._requests = Errands("turbopilot-recall")
        self._looks = Errands("turbopilot-memory")
        self._waiting: dict[Job, Job | None] = {}  # with the jobs whose places they are to take
        # Held while a job goes on to the engine: it is either here or there.
        self._lock = threading.RLock()
        self._answered = threading.Event()  # clear while memory has yet to answer an earlier question
        self._answered.set()

    def first(self, job: Job, older: Job | None, look: Look, then: Then) -> None:
        """Ask memory; `then` is called with what it says, nothing if that takes too long."""
        with self._lock:
            self._waiting[job] = older
        self._requests.put(partial(self._go_on, job, look, then))

    def withdraw(self, job: Job) -> tuple[bool, Job | None]:
        """Tell whether a job waits for memory, which goes no further then, and whose place it was to take."""
        with self._lock:
            waits = job in self._waiting
            return waits, self._waiting.pop(job, None)

    def _go_on(self, job: Job, look: Look, then: Then) -> None:
        found = None if job.cancel.is_set() else self._within(look)
        with self._lock:
            if job in self._waiting:
                then(found, self._waiting.pop(job))

    def _within(self, look: Look) -> Recalled | None:
        """Return what memory says in time; nothing while it has yet to answer an earlier question."""
        if not self._answered.is_set():
            return None
        found: list[Recalled | None] = [None]
        self._answered.clear()

        def ask() -> None:
            try:
                found[0] = look()
            finally:
                self._answered.set()

        self._looks.put(ask)
        return found[0] if self._answered.wait(PATIENCE) else None
