"""Delays before retries."""

from __future__ import annotations


def backoff(failures: int, first: float, longest: float) -> float:
    """Return the delay before the next try; it doubles with each earlier failure."""
    return min(longest, first * 2.0 ** min(failures, 16))
