"""Guesses of the next tokens, verified in one batch: only as many as pay on this machine. Pure."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BATCH = 16  # the largest batch that a guess may be part of
_SHORTEST, _LONGEST = 2, 4  # tokens that have to agree before what followed them is guessed again
_BYTES = array("i").itemsize
# The time of a batch relative to that of one token, until it has been measured on this machine: kernels that
# work on four rows at once make the fourth and the eighth token nearly free and the fifth expensive.
_PRIOR = {1: 1.0, 2: 1.2, 3: 1.35, 4: 1.5, 5: 2.1, 6: 2.3, 7: 2.45, 8: 2.2, 9: 2.8, 10: 2.95, 11: 3.1,
          12: 2.75, 13: 3.35, 14: 3.5, 15: 3.6, 16: 3.3}  # fmt: skip
# How often the first guess of a source is right, to begin with: the rest of an answer that was typed into up
# to a token's end, up to the middle of a token, and what followed the same words elsewhere.
_FIRST = {"aligned": 0.9, "split": 0.5, "lookup": 0.4}
_LEARNED = 0.1  # the weight of what was seen last
_TRY_AGAIN = (
    24  # a source that does not pay is still tried once in so many times, since its text may have changed
)


def look_up(tokens: Sequence[int], corpus: Sequence[int], room: int) -> list[int]:
    """Return what followed the last place in `corpus` that reads as `tokens` end."""
    raw = array("i", corpus).tobytes()
    for length in range(min(_LONGEST, len(tokens)), _SHORTEST - 1, -1):
        wanted = array("i", tokens[-length:]).tobytes()
        # Something has to follow, and not the end of `tokens` itself.
        at = raw.rfind(wanted, 0, len(raw) - _BYTES)
        while at >= 0 and at % _BYTES:
            at = raw.rfind(wanted, 0, at + len(wanted) - 1)
        if at >= 0:
            start = at // _BYTES + length
            return list(corpus[start : start + room])
    return []


class Drafting:
    """How many guessed tokens to verify: learns what a batch costs and how often each source is right.

    The first token of a guess is judged apart from those that follow: a guess that has begun rightly mostly
    goes on so.
    """

    def __init__(self) -> None:
        self._ms = dict(_PRIOR)
        self._unit = 0.0  # milliseconds of one token, once it was seen
        self._right = {source: [first, 0.9] for source, first in _FIRST.items()}
        self._refused = dict.fromkeys(_FIRST, 0)

    def saw(self, size: int, ms: float) -> None:
        """Learn what a batch of `size` tokens cost."""
        if size > MAX_BATCH:
            return
        if size == 1:
            self._unit = ms if not self._unit else self._unit + _LEARNED * (ms - self._unit)
        if self._unit:
            self._ms[size] += _LEARNED * (ms / self._unit - self._ms[size])

    def judged(self, source: str, offered: int, accepted: int, *, continues: bool) -> None:
        """Learn how much of a guess was right; `continues`: the guess before it was right to its end."""
        for number in range(min(offered, accepted + 1)):
            follows = int(continues or number > 0)
            self._right[source][follows] += _LEARNED * ((number < accepted) - self._right[source][follows])

    def length(self, source: str, pending: int, available: int, *, continues: bool) -> int:
        """Return how many guessed tokens to add to a batch of `pending`: as saves most time."""
        first, following = self._right[source]
        most = min(available, MAX_BATCH - pending)
        if most <= 0:
            return 0
        best, most_saved = 0, 0.0
        expected, chance = 0.0, 1.0
        for count in range(1, most + 1):
            chance *= following if continues or count > 1 else first
            expected += chance
            # Each guess that holds saves a step of one token; the larger batch costs what it costs.
            saved = expected - (self._ms[pending + count] - self._ms[pending])
            if saved > most_saved:
                best, most_saved = count, saved
        if best == 0:
            self._refused[source] += 1
            if self._refused[source] % _TRY_AGAIN == 0:
                return min(most, 3)
        return best
