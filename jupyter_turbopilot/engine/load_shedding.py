"""Load shedding: the load of several callers, and the level at which the server reduces its work. Pure."""

from __future__ import annotations

from enum import IntEnum

OVERLOADED = "overloaded"  # the code of the error of the highest level
HALF_LIFE = 5.0  # seconds after which an earlier number of callers counts half
WEIGHT = 1 / 8  # of the latest request in the average computing time
INITIAL_SECONDS = 0.25  # computing time of a request, until some have ended


class Level(IntEnum):
    """The levels of load shedding. Each one includes the lower ones."""

    NONE = 0
    NO_PREFETCH = 1
    SHORT_SUGGESTIONS = 2
    REFUSE_BUSIEST = 3  # automatic requests of callers who cause more than the average load


# The predicted wait, as a share of the deadline, at which each level begins. It ends at half of that.
THRESHOLDS = {
    Level.NO_PREFETCH: 0.05,
    Level.SHORT_SUGGESTIONS: 0.2,
    Level.REFUSE_BUSIEST: 0.4,
}
HYSTERESIS = 0.5


def next_level(level: Level, load: float) -> Level:
    """Return the level after `level` for a predicted wait, as a share of the deadline."""
    begun = max((each for each, begins in THRESHOLDS.items() if load >= begins), default=Level.NONE)
    kept = max(
        (each for each, begins in THRESHOLDS.items() if load >= HYSTERESIS * begins and each <= level),
        default=Level.NONE,
    )
    return max(begun, kept)


class LoadMeter:
    """Predicts how long a request waits for other callers, and chooses the level.

    A caller waits for one request of each other caller, so a single caller never causes a wait.
    """

    def __init__(self, deadline: float) -> None:
        self.level = Level.NONE
        self._deadline = deadline
        self._callers = 0  # now
        self._average = 0.0  # of the number of callers, with decay
        self._seconds = INITIAL_SECONDS
        self._updated_at = 0.0

    @property
    def wait(self) -> float:
        return max(0.0, self._average - 1.0) * self._seconds

    def update(self, callers: int, now: float) -> None:
        """Record the number of callers with waiting or running requests."""
        decay = 0.5 ** (max(0.0, now - self._updated_at) / HALF_LIFE)
        self._average = self._callers + (self._average - self._callers) * decay
        self._callers, self._updated_at = callers, now
        self.level = next_level(self.level, self.wait / self._deadline)

    def add_request(self, seconds: float) -> None:
        """Record the computing time of a request that has ended."""
        self._seconds += (seconds - self._seconds) * WEIGHT
