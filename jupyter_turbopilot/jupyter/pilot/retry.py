"""Decides when to retry a failed load."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

SOONEST = 2.0  # seconds
LATEST = 1800.0
SHARE = 20  # failing loads take at most 1/20 of the time
AFTER_LOAD = 30.0  # seconds before a model that was loaded but cannot compute is loaded again
LOOKS = 0.5  # seconds between checks of the disk and the memory
MORE_MEMORY = 64 * 1024**2
BY_ITSELF = {"engine_gone"}  # the worker retries these without requests
# The file is invalid or missing: a retry is pointless until it has changed.
OF_THE_FILE = {"model_refused", "model_missing", "model_damaged", "unknown_model"}


class LoadConditions(NamedTuple):
    """The conditions of a load that can be checked without loading."""

    file: str = ""  # changes with the model's file; empty if there is none
    free: int = 0  # bytes of memory


class Recovery:
    """Decides on retries, at every completion and every request for the state. It starts no load itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._conditions = LoadConditions()
        self._tries = 0
        self._due = 0.0
        self._looked = 0.0

    def forget(self) -> None:
        """Reset the failures, because the user chose a model."""
        self._tries = 0

    def loaded(self, conditions: LoadConditions) -> None:
        """Record a successful load. The model may still fail when it computes."""
        self._tries, self._conditions, self._due = 0, conditions, self._clock() + AFTER_LOAD

    def failed(self, conditions: LoadConditions, took: float = 0.0) -> None:
        """Record a failure and its conditions. The delay is longer after a load that took long to fail."""
        self._tries += 1
        wait = max(SOONEST, took * SHARE) * 2 ** min(self._tries - 1, 16)
        self._conditions, self._due = conditions, self._clock() + min(wait, LATEST)

    def due(self, code: str, look: Callable[[], LoadConditions]) -> bool:
        """Return whether to retry now after a failure with this code."""
        now = self._clock()
        if code in BY_ITSELF or now < self._looked + LOOKS:
            return False
        self._looked = now
        conditions = look()
        if code in OF_THE_FILE:
            return bool(conditions.file) and conditions.file != self._conditions.file
        freed = code == "memory" and conditions.free > self._conditions.free * 1.1 + MORE_MEMORY
        return freed or conditions.file != self._conditions.file or now >= self._due
