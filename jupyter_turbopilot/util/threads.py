"""Starts the threads of a process, makes calls at a given time, and ends a child process with its parent."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_PARENT_INTERVAL = 0.5  # seconds between two checks of the parent
R = TypeVar("R")


def start_thread(
    name: str, work: Callable[[], object], failed: Callable[[], object] = lambda: False
) -> threading.Thread | None:
    """Start a thread that calls `work` as long as it returns a true value; None if the system cannot.

    An exception is logged, and `failed` is called for the value. The thread is a daemon: a disk that hangs or
    a computation must not keep the process from ending.
    """

    def run() -> None:
        while True:
            try:
                goes_on = work()
            except BaseException:
                log.exception("Turbopilot: The thread %s failed", name)
                goes_on = failed()
            if not goes_on:
                return

    with suppress(RuntimeError):  # too many threads, or Python is exiting
        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread
    return None


def result_of(name: str, call: Callable[[], R]) -> Future[R]:
    """Call a function in a thread of its own, with the context variables of this one."""
    result: Future[R] = Future()
    context = copy_context()

    def run() -> None:
        try:
            result.set_result(context.run(call))
        except BaseException as error:  # noqa: BLE001 - the caller receives it
            # Others than exceptions would end the caller's event loop.
            result.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))

    if not start_thread(name, run):
        result.set_exception(RuntimeError("The system cannot start another thread."))
    return result


class Alarm:
    """A call that the timer's thread makes at a given time. It must not block."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.call = call
        self.at = math.inf

    def set(self, at: float) -> None:
        """Make the call at a time of the monotonic clock, unless it is set for an earlier one."""
        _timer.set(self, at)


class _Timer:
    """The thread of all alarms of the process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._alarms: list[tuple[float, int, Alarm]] = []  # a heap; the number keeps their order
        self._numbers = count()
        self._thread: threading.Thread | None = None

    def set(self, alarm: Alarm, at: float) -> None:
        with self._changed:
            if at < alarm.at:
                alarm.at = at
                heappush(self._alarms, (at, next(self._numbers), alarm))
                if self._alarms[0][-1] is alarm:
                    self._changed.notify()
            if self._alarms and not self._thread:  # the system may have been unable to start it before
                self._thread = start_thread("turbopilot-timer", self._ring, lambda: True)

    def _ring(self) -> bool:
        """Wait for the earliest alarm and make its call."""
        with self._changed:
            left = self._alarms[0][0] - time.monotonic() if self._alarms else None
            if left is None or left > 0:
                self._changed.wait(left and min(left, threading.TIMEOUT_MAX))
                return True
            at, _, alarm = heappop(self._alarms)
            if at != alarm.at:
                return True  # the call was made at an earlier time
            alarm.at = math.inf
        alarm.call()
        return True


_timer = _Timer()


def exit_with_parent(parent: int) -> None:
    """End this process when its parent ends. An empty file replaces its standard input, a pipe.

    On Windows, the system closes the pipe. A thread waiting on standard input blocks native libraries that
    another thread loads: so the thread reads from a copy. On POSIX systems, processes that the parent forked
    may keep the pipe open. The parent's id is an argument, as the parent may end before the first check.
    """
    pipe = os.dup(0) if os.name != "posix" else 0
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a device, not a path
        os.dup2(nothing.fileno(), 0)

    def wait() -> None:
        if os.name != "posix":
            os.read(pipe, 1)
        else:
            while os.getppid() == parent:
                time.sleep(_PARENT_INTERVAL)
        os._exit(1)

    start_thread("parent", wait)
