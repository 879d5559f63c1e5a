"""A cancellation signal that can interrupt a running computation."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Cancelled(Exception):  # noqa: N818 - not an error
    """The work of this thread was cancelled."""


class Cancel:
    """A cancellation signal, which any thread may set once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._interrupt: Callable[[], object] | None = None
        self.reason: str | None = None

    def set(self, reason: str) -> None:
        """Cancel; a later call does not change the reason."""
        with self._lock:
            if self.reason is None:
                self.reason = reason
                if self._interrupt:
                    self._interrupt()

    def is_set(self) -> bool:
        """Return whether `set` was called."""
        return self.reason is not None

    def watch(self, interrupt: Callable[[], object] | None) -> None:
        """Call `interrupt` when the signal is set, or now if it is set already; None removes the callback."""
        with self._lock:
            self._interrupt = interrupt
            if interrupt and self.reason is not None:
                interrupt()

    @contextmanager
    def interrupting(self, interrupt: Callable[[], object]) -> Iterator[None]:
        """Call `interrupt` if the signal is set within the block."""
        self.watch(interrupt)
        try:
            yield
        finally:
            self.watch(None)

    @contextmanager
    def governing(self) -> Iterator[None]:
        """Make `check` raise within the block when the signal is set."""
        before = _governing.set(self)
        try:
            yield
        finally:
            _governing.reset(before)


_governing: ContextVar[Cancel | None] = ContextVar("governing", default=None)


def check() -> None:
    """Raise Cancelled if the work of this thread was cancelled. Call it regularly during long work."""
    cancel = _governing.get()
    if cancel and cancel.is_set():
        raise Cancelled
