"""Asks what may never answer, and waits for a short time only: a network disk that is gone blocks."""

from __future__ import annotations

import logging
import threading
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_WAITING = 8  # that may wait for one that is stuck
_IDLE = 30.0  # seconds after which the thread ends


class InTime:
    """Runs short functions one after the other, on a thread that is there while they come."""

    def __init__(self) -> None:
        self._waiting: Queue[tuple[Callable[[], object], threading.Event]] = Queue(_WAITING)
        self._lock = threading.Lock()
        self._runs = False

    def run(self, act: Callable[[], object], seconds: float) -> bool:
        """Run a function, and tell whether it ended in time; otherwise it may still run."""
        done = threading.Event()
        try:
            with self._lock:
                self._waiting.put_nowait((act, done))
                if not self._runs:
                    # A daemon: what is stuck must not keep the process from ending.
                    threading.Thread(target=self._run, name="turbopilot-look", daemon=True).start()
                    self._runs = True
        except (Full, RuntimeError):  # stuck, or no more threads
            return False
        return done.wait(seconds)

    def _run(self) -> None:
        while True:
            try:
                act, done = self._waiting.get(timeout=_IDLE)
            except Empty:
                with self._lock:
                    if self._waiting.empty():
                        self._runs = False
                        return
                continue
            try:
                act()
            except Exception:
                log.debug("Turbopilot: a look at the disk failed", exc_info=True)
            else:
                done.set()
