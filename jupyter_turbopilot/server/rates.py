"""How often each caller may ask: so many requests a minute, and some more at once. Pure."""

from __future__ import annotations

from collections import OrderedDict

from jupyter_turbopilot.errors import BusyError

MOST_CALLERS = 4096  # that are remembered
MINUTE = 60.0
# What is done ahead of time leaves this part of what may be asked at once to what somebody waits for.
LEFT = 0.5


class Rates:
    """A bucket of requests for each caller. It fills evenly up to `burst`; 0 `per_minute`: without end."""

    def __init__(self, per_minute: float, burst: float, most: int = MOST_CALLERS) -> None:
        self._per_minute = per_minute
        self._burst = burst
        self._most = most
        # What each may still ask at once, and when that was so. Who is not in it has all of it.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._left)

    def take(self, caller: str, now: float, *, awaited: bool = True, count: float = 1.0) -> None:
        """Count a request, or say with a `BusyError` when it may be made; `now` is of any clock.

        `count`: as how many requests it counts; more than a full bucket takes all of that.
        """
        if not self._per_minute:
            return
        second = self._per_minute / MINUTE
        left, then = self._left.pop(caller, (self._burst, now))
        # A clock that was put back gives nothing, and one that was put forward no more than all.
        left = min(self._burst, left + max(0.0, now - then) * second)
        count = min(self._burst, count)
        needed = count if awaited else min(self._burst, count + self._burst * LEFT)
        if left >= needed:
            left, missing = left - count, 0.0
        else:
            missing = needed - left
        self._left[caller] = left, now
        if len(self._left) > self._most:
            self._left.popitem(last=False)  # it asked longest ago
        if missing:
            raise BusyError(
                f"You have made more than {self._per_minute:g} requests a minute. Try again in a moment.",
                code="too_many_requests",
                after=missing / second,
            )
