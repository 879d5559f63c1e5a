"""Silences what llama.cpp prints past its log: its grammar parser writes whole grammars to standard error."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_lock = threading.Lock()


@contextmanager
def hushed() -> Iterator[None]:
    """Discard what native code prints to standard error; what Python prints still appears.

    The file descriptor, which all threads share, stays as it is: only C's variable `stderr` is exchanged.
    """
    streams = _streams()
    if streams is None:
        yield
        return
    stderr, nowhere = streams
    with _lock:
        before, stderr.value = stderr.value, nowhere
        try:
            yield
        finally:
            stderr.value = before


@cache
def _streams() -> tuple[ctypes.c_void_p, int] | None:
    """Return C's variable `stderr` and a stream to the null device; None on Windows, which lacks it."""
    try:
        library = ctypes.CDLL(None)
        stderr = ctypes.c_void_p.in_dll(library, "__stderrp" if sys.platform == "darwin" else "stderr")
        library.fopen.restype = ctypes.c_void_p
        nowhere = library.fopen(os.devnull.encode(), b"w")
    except (OSError, TypeError, ValueError, AttributeError):
        return None
    return (stderr, nowhere) if nowhere else None
