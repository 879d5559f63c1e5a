"""A thread of its own for connections, with an event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Future

    from jupyter_turbopilot.engine.cancel import Cancel

T = TypeVar("T")
CLOSING = 2.0  # seconds to wait for connections to be closed


class Connections:
    """The thread. It is a daemon: no far side may keep the process from ending."""

    def __init__(self) -> None:
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="turbopilot-remote", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin some work; cancelling what is returned cancels it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait_for(self, work: Coroutine[Any, Any, T], cancel: Cancel) -> T:
        """Do some work and wait for it; a `CancelledError` of `concurrent.futures` where it was cancelled."""
        future = self.begin(work)

        def stop() -> None:
            future.cancel()

        with cancel.interrupting(stop):
            return future.result()

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """End all work, then do the last of it, then end the thread."""
        if self._closed:
            last.close()
            return
        self._closed = True
        self.begin(self._end(last))
        self._thread.join(CLOSING)

    async def _end(self, last: Coroutine[Any, Any, None]) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        try:
            await last
        finally:
            self._loop.call_soon(self._loop.stop)
