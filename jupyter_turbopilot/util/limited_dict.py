"""A dictionary of limited size."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


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
