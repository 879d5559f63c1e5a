"""When somebody may come back who has been refused. Pure."""

from __future__ import annotations

from collections import Counter

LONGEST = 8.0  # seconds; who is told to wait for longer may give up
WEIGHT = 1 / 8  # of the latest text in the average


class Refusals:
    """Of one person's requests only so many may wait; `running` are written at a time, 0: any number."""

    def __init__(self, running: int = 0) -> None:
        self._running = running
        self._seconds = 1.0  # that a text takes, on average
        self._refused: Counter[str] = Counter()  # by caller, since nothing of theirs waited

    def ended(self, seconds: float) -> None:
        """Note how long a text took that was written to its end."""
        self._seconds += (min(seconds, LONGEST) - self._seconds) * WEIGHT

    def accept(self, caller: str, waiting: int) -> None:
        """Note that a request was accepted while so many of the caller's waited."""
        self._refused[caller] -= 1
        if not waiting or self._refused[caller] <= 0:
            del self._refused[caller]

    def refuse(self, caller: str) -> float:
        """Note a refusal; return after how many seconds it makes sense to ask again.

        For each that was refused a text has to be written: told the same time, all would come back together.
        """
        self._refused[caller] += 1
        return min(LONGEST, self._seconds * self._refused[caller] / max(1, self._running))
