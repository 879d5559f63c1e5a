"""The probabilities that a far side tells, which may be anything. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

UNKNOWN = 0.0  # a token that nothing is known of is not shown unasked
_ROUNDING = 1e-3  # a logarithm that is so little above zero has been rounded


def probability(logarithm: float | None) -> float:
    """Return a probability by its logarithm; UNKNOWN where it is missing or none."""
    if logarithm is None or not logarithm <= _ROUNDING:
        return UNKNOWN
    return math.exp(min(0.0, logarithm))


def portion(share: float | None) -> float:
    """Return a probability that is told as such; UNKNOWN where it is missing or none."""
    return share if share is not None and 0.0 <= share <= 1.0 else UNKNOWN


def likeliest(pairs: Iterable[tuple[int, float | None]], count: int) -> tuple[tuple[int, float], ...]:
    """Return so many of the likeliest tokens with their logarithms, those that make sense."""
    known = [(token, min(0.0, value)) for token, value in pairs if value is not None and value <= _ROUNDING]
    return tuple(sorted(known, key=lambda pair: -pair[1])[:count])


def logarithm(share: float | None) -> float | None:
    """Return the logarithm of a probability that is told as such."""
    return math.log(share) if share is not None and 0.0 < share <= 1.0 else None
