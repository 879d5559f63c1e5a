"""Failures: which exceptions damaged files cause, and cleaning up after any."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


# The exceptions that libraries raise for damaged files and messages, or when they are damaged themselves.
DAMAGED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


@contextmanager
def on_failure(undo: Callable[[], object], *, unless: tuple[type[BaseException], ...] = ()) -> Iterator[None]:
    """Call `undo` if the block ends with an exception other than `unless`. The exception passes."""
    try:
        yield
    except unless:
        raise
    except BaseException:
        undo()
        raise
