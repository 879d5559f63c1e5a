"""Own threads for calls that would block the event loop: the default ones belong to Jupyter."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from jupyter_turbopilot.errors import BusyError, NotReadyError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

THREADS = 4
DISK_THREADS = 32  # most of them may wait for a disk that does not respond
MOST = 256  # running and waiting calls

T = TypeVar("T")


class BackgroundThreads:
    """Runs a limited number of functions at a time outside the event loop."""

    def __init__(self, threads: int = THREADS) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="turbopilot-background")
        self._pending = 0

    async def run(self, function: Callable[..., T], *given: object, **named: object) -> T:
        """Return the result of a function, which sees the caller's context variables."""
        if self._pending >= MOST:
            raise BusyError("Too many requests are waiting. Try again shortly.")
        try:
            future = asyncio.get_running_loop().run_in_executor(
                self._pool, partial(copy_context().run, function, *given, **named)
            )
        except RuntimeError:
            raise NotReadyError("The server is stopping.", code="stopped") from None
        self._pending += 1
        try:
            return await future
        finally:
            self._pending -= 1

    def close(self) -> None:
        """Start no more calls; running ones finish."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class DiskThreads:
    """Runs calls that read a disk, which may hang: at most one pending call for each key."""

    def __init__(self) -> None:
        self._threads = BackgroundThreads(DISK_THREADS)
        self._pending: dict[Hashable, asyncio.Task[Any]] = {}

    async def run(self, key: Hashable, function: Callable[..., T], *given: object) -> T:
        """Return the result of a function, or of the pending call with the same key.

        A caller that stops waiting leaves the call pending.
        """
        if not (call := self._pending.get(key)):
            call = self._pending[key] = asyncio.create_task(self._threads.run(function, *given))
            call.add_done_callback(lambda _: self._pending.pop(key))
        return cast("T", await asyncio.shield(call))

    def close(self) -> None:
        """Start no more calls; running ones finish."""
        self._threads.close()
