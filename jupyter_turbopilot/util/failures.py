"""Failures: which exceptions damaged files cause, cleaning up after any, and delays before retries."""

from __future__ import annotations

from contextlib import contextmanager
from struct import error as StructError  # noqa: N812 - a class
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


# The exceptions that libraries raise for damaged files and messages, or when they are damaged themselves.
DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,  # a damaged file may name any length, and the parser raises it for nested code
    NameError,
    OSError,
    RuntimeError,
    StructError,
    SyntaxError,  # an installation ended early, or a crash has filled a file with zeros
    SystemError,
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


def backoff(failures: int, first: float, longest: float) -> float:
    """Return the delay before the next try; it doubles with each earlier failure."""
    return min(longest, first * 2.0 ** min(failures, 16))
