"""The interface of a KV cache: `sequences.py` decides on the operations, and the engine executes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class KVCache(ABC):
    """The keys and values of evaluated tokens, by sequence."""

    can_shift = False  # whether the positions of tokens can be changed
    shifting = False  # whether the next batch rotates the keys of shifted tokens first

    @abstractmethod
    def length(self, sequence: int) -> int:
        """Return the number of a sequence's tokens."""

    @abstractmethod
    def copy(self, source: int, target: int, start: int, stop: int) -> None:
        """Add the tokens of `source` from `start` to `stop` to `target`, at the same positions."""

    @abstractmethod
    def truncate(self, sequence: int, start: int) -> None:
        """Remove the tokens of a sequence from `start` on."""

    @abstractmethod
    def save(self, sequence: int) -> Any:
        """Return a copy of a sequence outside the cache."""

    @abstractmethod
    def load(self, sequence: int, state: Any) -> None:
        """Copy a saved sequence into an empty one."""

    def shift(self, sequence: int, start: int, stop: int, by: int) -> None:
        """Change the positions of tokens; called only if `can_shift`."""
        raise NotImplementedError

    def reset(self) -> None:  # noqa: B027 - not all caches have an order
        """Let the next sequence use the first cells. The cache is empty."""
