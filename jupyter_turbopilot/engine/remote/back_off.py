"""How long an address that failed is left alone, and how long a server asked to be. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST, LONGEST = 1.0, 60.0  # seconds
LEAST = 0.1  # seconds, though a server says that it may be asked at once


@dataclass
class _Rest:
    failures: int = 0
    until: float = -math.inf


class Rests:
    """The addresses that rest, by their number."""

    def __init__(self, count: int) -> None:
        self._rests = [_Rest() for _ in range(count)]

    def failed(self, number: int, now: float) -> None:
        """Have an address rest: a second, twice as long after each further failure."""
        rest = self._rests[number]
        if rest.until > now:
            return  # requests that fail together are one failure
        rest.until = now + pause(rest.failures)
        rest.failures += 1

    def answered(self, number: int) -> None:
        """Forget the failures of an address."""
        self._rests[number] = _Rest()

    def next(self, now: float, tried: int | None = None) -> int | None:
        """Return the first address that does not rest, another than the one tried; None: all rest."""
        return next((n for n, rest in enumerate(self._rests) if rest.until <= now and n != tried), None)


class Waits:
    """Sessions for which a server asked to be left alone, by its number: until when, and with which status.

    Each session waits for itself: behind one address others may be answered.
    """

    def __init__(self) -> None:
        self._waits: dict[tuple[int, str], tuple[float, int]] = {}

    def asked(self, number: int, session: str, status: int, seconds: float, now: float) -> float:
        """Have a session wait; return for how many seconds."""
        seconds = max(LEAST, seconds)
        self._waits = {key: wait for key, wait in self._waits.items() if wait[0] > now}
        self._waits[number, session] = now + min(seconds, LONGEST), status
        return seconds

    def left(self, number: int, session: str, now: float) -> tuple[float, int]:
        """Return for how many seconds a session still waits, and with which status it was told to."""
        until, status = self._waits.get((number, session), (now, 0))
        return max(0.0, until - now), status


def pause(failures: int) -> float:
    """Return the seconds to wait after so many failures before this one."""
    return min(LONGEST, FIRST * 2.0 ** min(failures, 10))


def retry_after(header: str, now: datetime) -> float | None:
    """Return how many seconds `Retry-After` asks for; None where it says nothing that can be read."""
    header = header.strip()
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())
