"""A stop signal that also reaches into a computation that is under way."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Cancelled(Exception):  # noqa: N818 - nothing went wrong
    """Work has noticed that it was cancelled."""


class Cancel:
    """Set once, from any thread; `reason` says why."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._interrupt: Callable[[], None] | None = None
        self.reason: str | None = None

    def set(self, reason: str) -> None:
        """Ask for a stop; the first reason stands."""
        with self._lock:
            if self.reason is None:
                self.reason = reason
                if self._interrupt:
                    self._interrupt()

    def is_set(self) -> bool:
        """Tell whether somebody asked for a stop."""
        return self.reason is not None

    def watch(self, interrupt: Callable[[], None] | None) -> None:
        """Call `interrupt` when it is set, or at once if it has been; None stops watching."""
        with self._lock:
            self._interrupt = interrupt
            if interrupt and self.reason is not None:
                interrupt()

    @contextmanager
    def interrupting(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Watch for as long as the block lasts."""
        self.watch(interrupt)
        try:
            yield
        finally:
            self.watch(None)

    @contextmanager
    def governing(self) -> Iterator[None]:
        """Make `check` raise when this is set, for as long as the block lasts."""
        before = _governing.set(self)
        try:
            yield
        finally:
            _governing.reset(before)


_governing: ContextVar[Cancel | None] = ContextVar("governing", default=None)


def check() -> None:
    """Raise Cancelled if the work of this thread was cancelled: for use between the parts of long work."""
    cancel = _governing.get()
    if cancel and cancel.is_set():
        raise Cancelled
