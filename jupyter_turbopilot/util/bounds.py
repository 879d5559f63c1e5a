"""Bounds on the length of scanned text, on the work for a request, and on the size of caches. Pure.

A regular expression cannot be interrupted and blocks every other thread. So patterns take linear time, and
text of unlimited length is truncated to its relevant part before it is scanned. Work that grows with a
request's body is counted, and ends at a limit.
"""

from __future__ import annotations

import math
import re
import sys
import threading
import unicodedata
from collections import OrderedDict
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import wraps
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

STATEMENT = 20_000  # characters of Python that are parsed at once
LINE = 20_000  # a longer line is data, not code
# Characters of a cell and of all cells. In longer ones, any name may exist: parsing them would take too long.
LONGEST_CELL, MOST_CODE = 2**15, 2**18
FUNCTION_TOKENS, MOST_FUNCTION_TOKENS = 2048, 16384  # for multi-function generation
# The largest values in completion requests, command line options and magics.
MOST_TOKENS, MOST_SUGGESTIONS, MOST_TEMPERATURE = 2048, 8, 2.0
MOST_CONTEXT, MOST_THREADS = 131072, 512  # the same as in the settings
MOST_OPERATIONS = 400_000  # of a request for fixes or a rename, each of about a microsecond

MOST_MARKS = 30  # combining marks after each other, as in Unicode's Stream-Safe Text Format
# Possible combining marks; U+FF9E and U+FF9F are letters that decompose to marks.
_MARK = r"[^\w\x00-\x7f]", r"[\uff9e\uff9f]"
_MANY_MARKS = re.compile(rf"(?<!{_MARK[0]})(?<!{_MARK[1]})(?:{'|'.join(_MARK)}){{{MOST_MARKS + 1},}}+")
_LINE_END = re.compile(r"\n")
_PIECE = 2**14  # characters

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")
_TENANT = ContextVar("tenant", default="")
_ENTRY_BYTES = 256  # of a cached result, besides its key and value


class OperationLimitError(Exception):
    """A request needs more operations than one request may use."""


class Operations:
    """Counts the operations of a request, each of about a microsecond. `most`: the limit.

    `check` is called with each count; it raises an error to end the work, for example after a disconnect.
    """

    def __init__(self, most: float = math.inf, check: Callable[[], None] = lambda: None) -> None:
        self.count = 0
        self._most = most
        self._check = check

    def add(self, count: int) -> None:
        """Count operations before they are made; raise an OperationLimitError above the limit."""
        self._check()
        self.count += count
        if self.count > self._most:
            raise OperationLimitError


_OPERATIONS: ContextVar[Operations | None] = ContextVar("operations", default=None)


@contextmanager
def counted_operations(operations: Operations) -> Iterator[None]:
    """Count the operations of this context."""
    before = _OPERATIONS.set(operations)
    try:
        yield
    finally:
        _OPERATIONS.reset(before)


def count_operations(count: int) -> None:
    """Count operations of the current request before they are made."""
    if operations := _OPERATIONS.get():
        operations.add(count)


@contextmanager
def tenant_cache(tenant: str) -> Iterator[None]:
    """Use a separate cache for a tenant: response times must not reveal the content of others."""
    before = _TENANT.set(tenant)
    try:
        yield
    finally:
        _TENANT.reset(before)


def has_many_marks(text: str) -> bool:
    """Return whether more combining marks follow each other than in any real text.

    Python's parser sorts them in quadratic time.
    """
    if text.isascii():
        return False
    parts = (unicodedata.normalize("NFKD", each) for run in _MANY_MARKS.finditer(text) for each in run[0])
    return any(
        is_mark and sum(1 for _ in marks) > MOST_MARKS
        for is_mark, marks in groupby(chain.from_iterable(parts), key=_is_mark)
    )


def normalized(form: Literal["NFC", "NFKC"], text: str) -> str:
    """Return the normal form of a text; `unicodedata` alone sorts combining marks in quadratic time."""
    if text.isascii():
        return text
    decomposition: Literal["NFD", "NFKD"] = "NFD" if form == "NFC" else "NFKD"

    def in_order(run: re.Match[str]) -> str:
        parts = (unicodedata.normalize(decomposition, each) for each in run[0])
        groups = groupby(chain.from_iterable(parts), key=_is_mark)
        ordered = (
            sorted(group, key=unicodedata.combining) if is_mark else group for is_mark, group in groups
        )
        return "".join(chain.from_iterable(ordered))

    return unicodedata.normalize(form, _MANY_MARKS.sub(in_order, text))


def _is_mark(character: str) -> bool:
    return unicodedata.combining(character) > 0


def common_prefix_length(left: Sequence[Any], right: Sequence[Any]) -> int:
    """Return the length of the common prefix. Comparing slices is faster than a loop."""
    high = min(len(left), len(right))
    if left[:high] == right[:high]:
        return high
    low = 0
    while low + 1 < high:
        middle = (low + high) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return low + (left[low : low + 1] == right[low : low + 1])


def changed_region(before: Sequence[Any], after: Sequence[Any]) -> tuple[int, int, int]:
    """Return where the first difference starts, and where the last one ends in each of the two."""
    start = common_prefix_length(before, after)
    tail = common_prefix_length(before[start:][::-1], after[start:][::-1])
    return start, len(before) - tail, len(after) - tail


def end_of(text: str, room: int) -> str:
    """Return the end of a text, cut in steps of a quarter of the room, so that its start seldom moves."""
    if len(text) <= room:
        return text
    step = max(1, room // 4)
    return text[-(-(len(text) - room) // step) * step :]


def cached_function(limit: int) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Cache results of a function, bounded in bytes; the least recently used are evicted first."""

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        known: OrderedDict[tuple[str, tuple[Any, ...]], tuple[R, int]] = OrderedDict()
        lock = threading.Lock()
        size = 0

        @wraps(function)
        def call(*given: Any) -> R:
            nonlocal size
            key = _TENANT.get(), given
            with lock:
                if (entry := known.get(key)) is not None:
                    known.move_to_end(key)
                    return entry[0]
            result = function(*given)
            cost = _ENTRY_BYTES + size_of(key) + size_of(result)
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


def pieces(text: str, end: re.Pattern[str] = _LINE_END) -> Iterator[str]:
    """Yield a text in pieces, each up to an `end`: searching all of it at once blocks all other threads."""
    start = 0
    while start < len(text):
        found = end.search(text, start + _PIECE)
        stop = found.end() if found else len(text)
        yield text[start:stop]
        start = stop


class LimitedDict(OrderedDict[K, V]):
    """A dictionary that keeps the items that were set last, at most `most`."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        self.pop(key, None)  # not moved to the end below: another thread may have dropped the item by then
        super().__setitem__(key, value)
        if len(self) > self._most:
            with suppress(KeyError):  # another thread may have cleared it
                self.popitem(last=False)


def size_of(value: Any) -> int:
    """Return the approximate number of bytes of a value."""
    parts = value if isinstance(value, tuple | list | frozenset) else ()
    return sys.getsizeof(value) + sum(map(size_of, parts))
