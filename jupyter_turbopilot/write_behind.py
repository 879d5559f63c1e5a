"""A bounded queue that is written in the background: its callers never wait for a disk."""

from __future__ import annotations

import logging
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

T = TypeVar("T")


class WriteBehind(Generic[T]):
    """Passes queued items to `write`, in their order, on one daemon thread.

    The thread starts with the first item. It passes all items that wait, which leave the queue when `write`
    returns: `write` has to write all of them or none. If it raises an error, `trouble` is the reason, and
    `failure` words the message that is logged once. `write` is called again after `retry` seconds; without
    `retry`, the queue is closed and emptied. `at_end` is called last, on the thread.

    A forked process has the queue but no thread, and writes nothing.
    """

    trouble = ""  # why the last call of `write` failed; empty if it did not

    def __init__(
        self,
        name: str,
        write: Callable[[Sequence[T]], None],
        failure: Callable[[str], str],
        *,
        room: int,
        settle: float = 0.0,
        retry: float | None = None,
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        """`room`: items that may wait; `settle`: seconds in which further items are gathered."""
        self._name = name
        self._write = write
        self._failure = failure
        self._room = room
        self._settle = settle
        self._retry = retry
        self._at_end = at_end
        self._queue: deque[T] = deque()
        self._wake = threading.Condition()
        self._due = False  # whether `write` is to be called
        self._thread: threading.Thread | None = None
        self.ended = False  # a `write` that could wait for another process should not then

    def start(self) -> None:
        """Have `write` called even if no item waits: it may open or check its file."""
        with self._wake:
            self._call()

    def put(self, item: T) -> bool:
        """Queue an item; return False where the queue is full or closed."""
        with self._wake:
            if self.ended or len(self._queue) >= self._room:
                return False
            self._queue.append(item)
            self._call()
            return True

    def close(self, patience: float) -> None:
        """Take no more items; wait so many seconds for those in the queue to be written."""
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
            # A daemon: a disk that does not answer must not keep the process from ending.
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            with suppress(RuntimeError):  # there can be no more threads now, as while Python exits
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        is_last = False
        while not is_last:
            self._wait()
            with self._wake:
                is_last, self._due, items = self.ended, False, list(self._queue)
            reason = self._attempt(items)
            with self._wake:
                self.trouble = reason
                if not reason:
                    for _ in items:
                        self._queue.popleft()
                elif self._retry is None:
                    is_last = self.ended = True
                    self._queue.clear()
        self._at_end()

    def _wait(self) -> None:
        """Wait until `write` is to be called."""
        with self._wake:
            if self.trouble:
                self._wake.wait_for(lambda: self.ended, self._retry)
                return
            self._wake.wait_for(lambda: self.ended or self._due)
            self._wake.wait_for(lambda: self.ended, self._settle)

    def _attempt(self, items: Sequence[T]) -> str:
        """Call `write`; return why it failed, or nothing."""
        try:
            self._write(items)
        except OSError as error:
            reason = error.strerror or type(error).__name__
        except Exception as error:
            reason = f"an error that the server's log has ({type(error).__name__})"
            if reason != self.trouble:
                log.exception("Turbopilot: %s failed", self._name)
        else:
            return ""
        if reason != self.trouble:
            log.warning("Turbopilot: %s", self._failure(reason))
        return reason
