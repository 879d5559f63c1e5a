"""A thread for look-ups, some of which call file systems that may hang."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from jupyter_turbopilot.util.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable

SLOW = 0.05  # seconds that a call may take before further calls are rejected
STUCK, MOST_STUCK = 30.0, 3  # seconds after which another thread takes over; how many threads may be stuck
IDLE = 30.0  # seconds after which a thread without calls ends
MOST = 8  # running and queued calls


class LookupThread:
    """Runs calls in order on a daemon thread, which it starts when needed."""

    def __init__(self) -> None:
        self._queue: deque[Callable[[], object]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None  # takes calls from the queue
        self._began = math.inf  # the start of the running call
        self._stuck = 0  # replaced threads whose call has not returned

    @property
    def is_slow(self) -> bool:
        """Whether the running call has taken more than `SLOW` seconds."""
        return time.monotonic() - self._began > SLOW

    def submit(self, call: Callable[[], object]) -> bool:
        """Queue a call; return False if the thread is slow or cannot be started, or the queue is full."""
        with self._changed:
            if time.monotonic() - self._began > STUCK and self._stuck < MOST_STUCK:
                self._thread, self._began, self._stuck = None, math.inf, self._stuck + 1
            if not self._thread:
                self._thread = start_thread("turbopilot-lookups", self._run_next, lambda: True)
            calls = len(self._queue) + (self._began < math.inf)
            if self.is_slow or calls >= MOST or not self._thread:
                return False
            self._queue.append(call)
            self._changed.notify()
            return True

    def _run_next(self) -> bool:
        """Run the next call; return False if the thread is idle or was replaced."""
        with self._changed:
            if threading.current_thread() is not self._thread:
                self._stuck -= 1
                return False
            self._began = math.inf
            if not self._changed.wait_for(lambda: self._queue, IDLE):
                self._thread = None
                return False
            call, self._began = self._queue.popleft(), time.monotonic()
        call()
        return True


lookups = LookupThread()
