"""A thread beside the worker's that ends waiting jobs as soon as they are cancelled or their time is up."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.job import DEADLINE

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.job import Job
    from jupyter_turbopilot.engine.queue import Queue


class Deadlines:
    """Watches a queue, whatever the worker's thread is doing; `lock` is the one that guards the queue.

    Jobs that have begun are only cancelled: the step that is under way ends them.
    """

    def __init__(self, queue: Queue[Job], lock: threading.Condition) -> None:
        self._queue = queue
        self._lock = lock
        self._changed = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, for the first time or because it has died."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._watch, name="turbopilot-deadlines", daemon=True)
            self._thread.start()

    def look(self) -> None:
        """Have the thread look at the queue now: a job came or was cancelled."""
        self._changed.set()

    def stop(self) -> None:
        """End the thread once it has looked at the queue for the last time."""
        self._stopping = True
        self._changed.set()

    def remove_cancelled(self) -> list[Job]:
        """Take the jobs out of the queue that were cancelled before they began; the lock is held."""
        cancelled = [job for job in self._queue if job.cancel.is_set() and not self._queue.begun(job)]
        for job in cancelled:
            self._queue.remove(job)
        return cancelled

    def _watch(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stopping
            with self._lock:
                now = time.monotonic()
                alive = [job for job in self._queue if not job.cancel.is_set()]
                cancelled = self.remove_cancelled()
            late = [job for job in alive if job.deadline <= now]
            for job in late:
                job.cancel.set(DEADLINE)
            for job in cancelled:
                job.tell(None)
            if not late and not stopping:
                earliest = min((job.deadline for job in alive), default=math.inf)
                self._changed.wait(None if earliest == math.inf else earliest - now)
                self._changed.clear()
