"""Answers that hold for a while."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


class Lasting(Generic[K, V]):
    """Keeps so many answers, each for so many seconds; the oldest go first."""

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._kept: OrderedDict[K, tuple[V, float]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Return an answer that still holds."""
        kept = self._kept.get(key)
        return kept[0] if kept and time.monotonic() - kept[1] < self._seconds else None

    def last(self, key: K) -> V | None:
        """Return the last answer, whether it still holds or not."""
        kept = self._kept.get(key)
        return kept[0] if kept else None

    def keep(self, key: K, answer: V) -> None:
        """Keep an answer from now on."""
        self._kept[key] = answer, time.monotonic()
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
