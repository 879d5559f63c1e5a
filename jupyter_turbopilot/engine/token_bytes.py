"""The bytes of every token, and which tokens agree with bytes that were already typed. Pure."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable


class ByteTable:
    """Built once for a vocabulary, so that no text is put together from tokens twice."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self._order: list[int] | None = None
        self._sorted: list[bytes] = []
        self._longest = max(map(len, pieces), default=0)

    def compatible(self, ways: Iterable[bytes]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return the tokens that are the beginning of one of the ways, or that begin with one of them."""
        tokens = set[int]().union(*map(self._along, ways))
        return np.array(sorted(tokens), dtype=np.int64)

    def _along(self, forced: bytes) -> list[int]:
        if self._order is None:
            self._order = sorted(range(len(self.pieces)), key=self.pieces.__getitem__)
            self._sorted = [self.pieces[token] for token in self._order]
        tokens: list[int] = []
        start = bisect_left(self._sorted, forced)
        for index in range(start, len(self._sorted)):
            if not self._sorted[index].startswith(forced):
                break
            tokens.append(self._order[index])
        for length in range(1, min(len(forced), self._longest + 1)):
            part = forced[:length]
            index = bisect_left(self._sorted, part)
            while index < len(self._sorted) and self._sorted[index] == part:
                tokens.append(self._order[index])
                index += 1
        return tokens
