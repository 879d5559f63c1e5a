"""Operations on the KV cache: `sequences.py` decides on them, and the engine executes them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Copy:
    """Share the first `count` cells of `source` with `target`."""

    source: int
    target: int
    count: int


@dataclass(frozen=True)
class Truncate:
    """Remove the tokens of `sequence` from `start` on."""

    sequence: int
    start: int


@dataclass(frozen=True)
class Park:
    """Copy a sequence out of the cache, under a number."""

    sequence: int
    number: int


@dataclass(frozen=True)
class Restore:
    """Copy a sequence back into the cache and delete the copy."""

    number: int
    sequence: int


@dataclass(frozen=True)
class Discard:
    """Delete a copy."""

    number: int


@dataclass(frozen=True)
class Clear:
    """Reset the empty cache to its first cell."""


@dataclass(frozen=True)
class Detach:
    """Share the tokens of `source` from `start` to `stop` with `target`."""

    source: int
    target: int
    start: int
    stop: int


@dataclass(frozen=True)
class Shift:
    """Move the detached tokens of `sequence` from `start` to `stop` by `by` positions."""

    sequence: int
    start: int
    stop: int
    by: int


@dataclass(frozen=True)
class Reattach:
    """Append a detached part to `target`."""

    source: int
    target: int


Move = Copy | Truncate | Park | Restore | Discard | Clear | Detach | Shift | Reattach
