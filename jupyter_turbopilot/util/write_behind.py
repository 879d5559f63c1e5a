"""A bounded queue written in the background: its callers never wait for a disk."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from jupyter_turbopilot.util.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

T = TypeVar("T")


class WriteBehind(Generic[T]):
    """Passes queued items to `write`, in order, on one daemon thread.

    The thread starts with the first item. It passes all queued items, which leave the queue when `write`
    returns: `write` has to write all of them or none. If it raises an error, `error` is the reason, and
    `failure` returns the message that is logged once. `write` is called again after `retry` seconds; without
    `retry`, the queue is closed and emptied. `at_end` is called last, on the thread.

    A forked process has the queue but no thread, and writes nothing.
    """

    error = ""  # why the last call of `write` failed; empty after a success

    def __init__(
        self,
        write: Callable[[Sequence[T]], None],
        failure: Callable[[str], str],
        *,
        room: int,
        settle: float = 0.0,
        retry: float | None = None,
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        """`room`: maximum length of the queue; `settle`: seconds in which further items are collected."""
        self._write = write
        self._failure = failure
        self._room = room
        self._settle = settle
        self._retry = retry
        self._at_end = at_end
        self._queue: deque[T] = deque()
        self._wake = threading.Condition()
        self._due = False  # whether to call `write`
        self._thread: threading.Thread | None = None
        self.ended = False  # set at the end: `write` should not wait for other processes then

    def start(self) -> None:
        """Call `write` even if the queue is empty, to open or check its file."""
        with self._wake:
            self._call()

    def put(self, item: T) -> bool:
        """Queue an item; return False if the queue is full or closed."""
        with self._wake:
            if self.ended or len(self._queue) >= self._room:
                return False
            self._queue.append(item)
            self._call()
            return True

    def close(self, patience: float) -> None:
        """Accept no more items; wait up to `patience` seconds until the queue is written."""
        with self._wake:
            self.ended = True
            self._wake.notify()
            thread = self._thread
        if thread and thread.is_alive():
            thread.join(patience)

    def _call(self) -> None:
        self._due = True
        self._wake.notify()
        if not (self._thread or self.ended):
            self._thread = start_thread("turbopilot-files", self._run)

    def _run(self) -> None:
        is_last = False
        while not is_last:
            self._wait()
            with self._wake:
                is_last, self._due, items = self.ended, False, list(self._queue)
            reason = self._attempt(items)
            with self._wake:
                self.error = reason
                if not reason:
                    for _ in items:
                        self._queue.popleft()
                elif self._retry is None:
                    is_last = self.ended = True
                    self._queue.clear()
        self._at_end()

    def _wait(self) -> None:
        """Wait until it is time to call `write`."""
        with self._wake:
            if self.error:
                self._wake.wait_for(lambda: self.ended, self._retry)
                return
            self._wake.wait_for(lambda: self.ended or self._due)
            self._wake.wait_for(lambda: self.ended, self._settle)

    def _attempt(self, items: Sequence[T]) -> str:
        """Call `write`; return the reason if it failed, or ""."""
        try:
            self._write(items)
        except OSError as error:
            reason = error.strerror or type(error).__name__
        except Exception as error:
            reason = f"an unexpected error occurred, see the log ({type(error).__name__})"
            if reason != self.error:
                log.exception("Turbopilot: A file could not be written")
        else:
            return ""
        if reason != self.error:
            log.warning("Turbopilot: %s", self._failure(reason))
        return reason
