"""A few threads of our own for what would hold up the event loop: the default ones are Jupyter's."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from jupyter_turbopilot.errors import BusyError, NotReadyError

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 4
MOST = 256  # that are under way or wait

T = TypeVar("T")


class BackgroundThreads:
    """Runs functions beside the event loop, so many at a time and no more."""

    def __init__(self, threads: int = THREADS) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="turbopilot-background")
        self._pending = 0

    async def run(self, function: Callable[..., T], *given: object, **named: object) -> T:
        """Return what a function returns; it sees the context variables of the caller."""
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
        """Begin nothing more; what is under way comes to its end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
