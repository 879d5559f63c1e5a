"""What is to be done to the cache of keys and values: `sequences` decides it, the engine does it. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Copy:
    """Let `target` share the first `count` cells of `source`."""

    source: int
    target: int
    count: int


@dataclass(frozen=True)
class Truncate:
    """Forget what `sequence` holds from `start` on."""

    sequence: int
    start: int


@dataclass(frozen=True)
class Park:
    """Copy a sequence out of the cache, under a number."""

    sequence: int
    number: int


@dataclass(frozen=True)
class Restore:
    """Copy a sequence back into the cache and forget the copy."""

    number: int
    sequence: int


@dataclass(frozen=True)
class Discard:
    """Forget a copy."""

    number: int


@dataclass(frozen=True)
class Clear:
    """Begin with the first cell again; the cache is empty."""


@dataclass(frozen=True)
class Detach:
    """Let `target` hold a part of `source`, from `start` to `stop`."""

    source: int
    target: int
    start: int
    stop: int


@dataclass(frozen=True)
class Reattach:
    """Move a detached part by so many positions, to the end of `target`."""

    source: int
    target: int
    start: int
    stop: int
    by: int


Move = Copy | Truncate | Park | Restore | Discard | Clear | Detach | Reattach
