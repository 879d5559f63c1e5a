"""Background threads for blocking calls: asyncio's default executor belongs to Jupyter.

They are daemon threads: a disk that hangs must not keep the process from ending.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from jupyter_turbopilot.protocol.errors import BusyError, NotReadyError
from jupyter_turbopilot.util.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

THREADS = 4
DISK_THREADS = 64  # most of them may wait for a disk that hangs
MAX_PENDING = 256  # running and waiting calls
STOP_SECONDS = 2.0  # until the end of the process, if a disk hangs

T = TypeVar("T")


class _Call(NamedTuple):
    """A queued or running call."""

    caller: Hashable
    function: Callable[[], Any]
    result: Future[Any]


async def stop_within(stop: Callable[[], object], seconds: float = STOP_SECONDS) -> None:
    """Call a function that stops something; return after some seconds if a disk hangs."""
    with suppress(TimeoutError, BusyError):  # the process is ending, also if no thread can start
        await asyncio.wait_for(BackgroundThreads(1).run("", stop), seconds)


class BackgroundThreads:
    """Runs a limited number of functions at a time outside the event loop, the callers' in turn.

    A caller may have as many running calls as there are free threads: half of the threads, a quarter if
    another caller has half of them, and so on. So none can occupy all threads. The same applies to the queue.
    """

    def __init__(self, threads: int = THREADS) -> None:
        self._limit = threads
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, deque[_Call]] = {}  # by caller, the next caller first
        self._running: Counter[Hashable] = Counter()  # calls by caller
        self._pending: Counter[Hashable] = Counter()  # running and waiting calls by caller
        self.is_closed = False

    async def run(self, caller: Hashable, function: Callable[..., T], *given: object, **named: object) -> T:
        """Return the result of a function, which sees the context variables of the current task.

        If the task is cancelled while the call waits, it is not made.
        """
        call = _Call(caller, partial(copy_context().run, function, *given, **named), Future())
        self._submit(call)
        try:
            return cast("T", await asyncio.wrap_future(call.result))
        except asyncio.CancelledError:
            self._forget(call)
            raise

    def check_open(self) -> None:
        """Raise an error after `close`."""
        if self.is_closed:
            raise _stopped()

    def close(self) -> None:
        with self._lock:
            self.is_closed = True
            waiting = [call for calls in self._waiting.values() for call in calls]
            self._waiting.clear()
        for call in waiting:
            if call.result.set_running_or_notify_cancel():
                call.result.set_exception(_stopped())

    def _submit(self, call: _Call) -> None:
        """Queue a call, and start a thread if it may run now."""
        with self._lock:
            self.check_open()
            if self._pending[call.caller] >= MAX_PENDING - self._pending.total():
                raise BusyError("Too many requests are waiting. Try again shortly.")
            self._pending[call.caller] += 1
            self._waiting.setdefault(call.caller, deque()).append(call)
            begun = self._take()
        if begun and not start_thread("turbopilot-background", partial(self._run, begun)):
            with self._lock:
                self._end(begun)
            raise BusyError("The system cannot start another thread. Try again shortly.")

    def _take(self) -> _Call | None:
        """Return the next call that may run, and put its caller last; None if there is none."""
        free = self._limit - self._running.total()
        for caller, calls in self._waiting.items():
            if self._running[caller] < free:
                call = calls.popleft()
                del self._waiting[caller]
                if calls:
                    self._waiting[caller] = calls
                self._running[caller] += 1
                return call
        return None

    def _forget(self, call: _Call) -> None:
        """Remove a cancelled call from the queue unless it is running."""
        with self._lock:
            calls = self._waiting.get(call.caller, deque())
            if call in calls:
                calls.remove(call)
                if not calls:
                    del self._waiting[call.caller]
                self._pending -= Counter([call.caller])

    def _end(self, call: _Call) -> None:
        ended = Counter([call.caller])
        self._running -= ended  # without callers that have none left
        self._pending -= ended

    def _run(self, call: _Call | None) -> None:
        """Run a call, then the next ones: the end of a call lets at most one more start."""
        while call:
            if call.result.set_running_or_notify_cancel():
                try:
                    call.result.set_result(call.function())
                except BaseException as error:  # noqa: BLE001 - the caller receives it
                    call.result.set_exception(error)
            with self._lock:
                self._end(call)
                call = self._take()


def _stopped() -> NotReadyError:
    return NotReadyError("The server is stopping.", code="stopped")


class DiskThreads:
    """Runs calls that read a disk, which may hang: at most one pending call for each key."""

    def __init__(self) -> None:
        self._threads = BackgroundThreads(DISK_THREADS)
        self._pending: dict[Hashable, asyncio.Task[Any]] = {}

    async def run(self, caller: Hashable, key: Hashable, function: Callable[..., T], *given: object) -> T:
        """Return the result of a function, or of the pending call with the same key.

        A caller that stops waiting leaves the call pending.
        """
        if not (call := self._pending.get(key)):
            call = self._pending[key] = asyncio.create_task(self._threads.run(caller, function, *given))
            call.add_done_callback(lambda _: self._pending.pop(key))
        return cast("T", await asyncio.shield(call))

    def close(self) -> None:
        self._threads.close()
