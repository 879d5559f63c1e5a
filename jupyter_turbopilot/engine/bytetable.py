"""Every token's bytes, and which tokens agree with bytes that were already typed. Pure."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np


class ByteTable:
    """Built once for a vocabulary, so that no text is put together from tokens twice."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self._order: list[int] | None = None
        self._sorted: list[bytes] = []

    def compatible(self, forced: bytes) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return the tokens that begin with `forced`, or that `forced` begins with."""
        if self._order is None:
            self._order = sorted(range(len(self.pieces)), key=self.pieces.__getitem__)
            self._sorted = [self.pieces[token] for token in self._order]
        found: list[int] = []
        start = bisect_left(self._sorted, forced)
        for index in range(start, len(self._sorted)):
            if not self._sorted[index].startswith(forced):
                break
            found.append(self._order[index])
        for length in range(1, len(forced)):
            part = forced[:length]
            index = bisect_left(self._sorted, part)
            while index < len(self._sorted) and self._sorted[index] == part:
                found.append(self._order[index])
                index += 1
        return np.array(sorted(found), dtype=np.int64)
