"""How long something may take, watched by a thread that sleeps as long as all is well."""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class TimeLimit:
    """Calls `expired` with the limit, in seconds, when something takes longer than that.

    Its thread is woken when a limit ends before the one it sleeps for, so seldom: not for each limit.
    """

    def __init__(self, expired: Callable[[float], None]) -> None:
        self._expired = expired
        self._changed = threading.Condition()
        self._end = math.inf
        self._seconds = 0.0
        self._wakes = math.inf  # when the thread looks again
        self._open = True
        self._thread = threading.Thread(target=self._watch, name="turbopilot-limit", daemon=True)
        self._thread.start()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Limit the time that the block may take."""
        self.shorten(seconds)
        try:
            yield
        finally:
            with self._changed:
                self._end = math.inf

    def shorten(self, seconds: float) -> None:
        """Let what is under way take so much longer at most."""
        end = time.monotonic() + seconds
        with self._changed:
            if end < self._end:
                self._end, self._seconds = end, seconds
                if end < self._wakes:
                    self._changed.notify()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._open = False
            self._changed.notify()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _watch(self) -> None:
        with self._changed:
            while self._open:
                left = self._end - time.monotonic()
                if left <= 0:
                    self._end = math.inf
                    self._expired(self._seconds)
                    continue
                self._wakes = self._end
                self._changed.wait(None if left == math.inf else left)
