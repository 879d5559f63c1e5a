"""Bounds on what is looked at and on what is remembered, in characters. Pure.

A compiled pattern cannot be interrupted and keeps every other thread waiting. So patterns are linear, and
whatever has no natural limit is cut to what matters before it is scanned.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STATEMENT = 20_000  # characters of Python that its parser is given at once
LINE = 20_000  # a longer line is data, not code
FUNCTION_TOKENS, MOST_FUNCTION_TOKENS = 2048, 16384  # of functions that are written together
# The largest values of a completion request, of the options of the command line, and of the magics.
MOST_TOKENS, MOST_SUGGESTIONS, MOST_TEMPERATURE = 2048, 8, 2.0
MOST_CONTEXT, MOST_THREADS = 131072, 512  # of a model; the settings have the same

R = TypeVar("R")
_OWNER = ContextVar("owner", default="")


@contextmanager
def remembering_for(owner: str) -> Iterator[None]:
    """Remember and find only what was worked out for one owner: the time it takes tells of nobody else."""
    before = _OWNER.set(owner)
    try:
        yield
    finally:
        _OWNER.reset(before)


def end_of(text: str, room: int) -> str:
    """Return the end of a text, cut in steps of a quarter of the room: its start seldom moves as it grows."""
    if len(text) <= room:
        return text
    step = max(1, room // 4)
    return text[-(-(len(text) - room) // step) * step :]


def remembered(limit: int) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Remember what a function returned, the least recently used out first, bounded in characters."""

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        known: OrderedDict[tuple[str, tuple[Any, ...]], tuple[R, int]] = OrderedDict()
        lock = threading.Lock()
        size = 0

        @wraps(function)
        def call(*given: Any) -> R:
            nonlocal size
            key = _OWNER.get(), given
            with lock:
                if (entry := known.get(key)) is not None:
                    known.move_to_end(key)
                    return entry[0]
            result = function(*given)
            cost = size_of(given) + size_of(result)
            if cost > limit // 4:
                return result
            with lock:
                if key not in known:
                    known[key] = (result, cost)
                    size += cost
                while size > limit:
                    _, (_, gone) = known.popitem(last=False)
                    size -= gone
            return result

        return call

    return decorate


def size_of(value: Any) -> int:
    """Return about how many characters a value holds, what it is wrapped in counted as some more."""
    if isinstance(value, str):
        return len(value) + 64
    if isinstance(value, tuple | list | frozenset):
        return 64 + sum(map(size_of, value))
    return 64
