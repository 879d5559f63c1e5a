"""When a load that failed is worth another try: its cause may have gone. Pure, but for a clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

SOONEST = 2.0  # seconds
LATEST = 1800.0
SHARE = 20  # failing takes one part in so many of the time, at most
AFTER_LOAD = 30.0  # seconds before a model is loaded again that was loaded and cannot compute
LOOKS = 0.5  # seconds between two looks at the disk and the memory
MORE_MEMORY = 64 * 1024**2
# The file's own fault, and its absence: another try is worth nothing before the file has changed.
OF_THE_FILE = {"model_refused", "model_missing", "unknown_model"}


class Facts(NamedTuple):
    """What a load depends on, as far as it can be told without loading."""

    file: str = ""  # what tells the model's file from another; empty where there is none
    free: int = 0  # bytes of memory


class Recovery:
    """Nothing happens by itself: who asks for a completion or for the state asks here, too."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._facts = Facts()
        self._tries = 0
        self._due = 0.0
        self._looked = 0.0

    def forget(self) -> None:
        """The person chose: what comes next is judged anew."""
        self._tries = 0

    def loaded(self, facts: Facts) -> None:
        """Note that a model was loaded; it may fail yet, when it computes."""
        self._tries, self._facts, self._due = 0, facts, self._clock() + AFTER_LOAD

    def failed(self, facts: Facts, took: float = 0.0) -> None:
        """Note a failure, and under which circumstances; what takes long to fail waits longer."""
        self._tries += 1
        wait = max(SOONEST, took * SHARE) * 2 ** min(self._tries - 1, 16)
        self._facts, self._due = facts, self._clock() + min(wait, LATEST)

    def due(self, code: str, look: Callable[[], Facts]) -> bool:
        """Tell whether to try again after a failure with this code."""
        now = self._clock()
        if now < self._looked + LOOKS:
            return False
        self._looked = now
        facts = look()
        if code in OF_THE_FILE:
            return bool(facts.file) and facts.file != self._facts.file
        freed = code == "memory" and facts.free > self._facts.free * 1.1 + MORE_MEMORY
        return freed or facts.file != self._facts.file or now >= self._due
