"""Rate limits for each caller. Pure."""

from __future__ import annotations

from jupyter_turbopilot.protocol.errors import BusyError
from jupyter_turbopilot.util.limited_dict import LimitedDict

MAX_CALLERS = 4096
MINUTE = 60.0
BURST = 60  # requests of a caller at once, before the limit per minute applies
# The share of the burst that prefetch requests leave to requests that a user waits for.
RESERVED = 0.5


class RateLimiter:
    """A token bucket per caller with a capacity of `burst` requests; `per_minute` 0: no limit."""

    def __init__(self, per_minute: float, burst: float, most: int = MAX_CALLERS) -> None:
        self._per_minute = per_minute
        self._burst = burst
        # Remaining requests and the time of the last one, by caller. Other callers have a full bucket.
        self._buckets = LimitedDict[str, tuple[float, float]](most)

    def __len__(self) -> int:
        return len(self._buckets)

    def wait(self, caller: str, now: float) -> float:
        """Return the seconds until the caller may send a request; nothing is counted."""
        if not self._per_minute:
            return 0.0
        left, then = self._buckets.get(caller, (self._burst, now))
        return max(0.0, (1.0 - left) * MINUTE / self._per_minute - max(0.0, now - then))

    def take(self, caller: str, now: float, *, awaited: bool = True, count: float = 1.0) -> None:
        """Count a request, or raise a `BusyError` with the seconds to wait. `now` may be of any clock.

        `count`: the cost of the request, limited to a full bucket.
        """
        if not self._per_minute:
            return
        second = self._per_minute / MINUTE
        left, then = self._buckets.get(caller, (self._burst, now))
        # If the clock is set back, nothing is added; if it is set forward, at most a full bucket.
        left = min(self._burst, left + max(0.0, now - then) * second)
        count = min(self._burst, count)
        needed = count if awaited else min(self._burst, count + self._burst * RESERVED)
        if left >= needed:
            left, missing = left - count, 0.0
        else:
            missing = needed - left
        self._buckets[caller] = left, now
        if missing:
            raise BusyError(
                f"You have made more than {self._per_minute:g} requests per minute. Try again shortly.",
                code="too_many_requests",
                after=missing / second,
            )
