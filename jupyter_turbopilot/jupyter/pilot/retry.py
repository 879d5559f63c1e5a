"""Decides when to retry a failed load."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from jupyter_turbopilot.util.failures import backoff

if TYPE_CHECKING:
    from collections.abc import Callable

SOONEST = 2.0  # seconds
LATEST = 1800.0
LATEST_MEMORY = 15.0  # because programs may free memory at any time; longer after a long load
SHARE = 20  # failing loads take at most 1/20 of the time
AFTER_LOAD = 30.0  # seconds before a model that was loaded but cannot compute is loaded again
LOOKS = 0.5  # seconds between checks of the disk
BY_ITSELF = {"engine_gone"}  # the worker retries these without requests
# The file is invalid or missing: a retry is pointless until it has changed.
OF_THE_FILE = {"model_refused", "model_missing", "model_damaged", "unknown_model"}


class Recovery:
    """Decides on retries, at every completion and every request for the state. It starts no load itself.

    `files` changes with the files of the model; it is empty if there are none.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._files = ""
        self._tries = 0
        self._since = self._wait = self._took = 0.0
        self._looked = 0.0

    def forget(self) -> None:
        """Reset the failures, because the user chose a model."""
        self._tries = 0

    def loaded(self, files: str) -> None:
        """Record a successful load. The model may still fail when it computes."""
        self._tries, self._files, self._since, self._wait = 0, files, self._clock(), AFTER_LOAD

    def failed(self, files: str, took: float = 0.0) -> None:
        """Record a failure. The delay is longer after a long load, and doubles each time."""
        self._wait, self._took = backoff(self._tries, max(SOONEST, took * SHARE), math.inf), took
        self._tries, self._files, self._since = self._tries + 1, files, self._clock()

    def due(self, code: str, look: Callable[[], str]) -> bool:
        """Return whether to retry now after a failure with this code."""
        now = self._clock()
        if code in BY_ITSELF or now < self._looked + LOOKS:
            return False
        self._looked = now
        files = look()
        if code in OF_THE_FILE:
            return bool(files) and files != self._files
        latest = max(LATEST_MEMORY, self._took * SHARE) if code == "memory" else LATEST
        return files != self._files or now >= self._since + min(self._wait, latest)
