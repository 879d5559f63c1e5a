"""Draft tokens, verified in one batch: as many as save time on this machine."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BATCH = 16  # the largest batch with draft tokens
_SHORTEST, _LONGEST = 2, 4  # tokens that must match for a prompt look-up
_BYTES = array("i").itemsize
# The time of a batch relative to that of one token, until it has been measured on this machine: kernels that
# work on four rows at once make the fourth and the eighth token nearly free and the fifth expensive.
_PRIOR = {1: 1.0, 2: 1.2, 3: 1.35, 4: 1.5, 5: 2.1, 6: 2.3, 7: 2.45, 8: 2.2, 9: 2.8, 10: 2.95, 11: 3.1,
          12: 2.75, 13: 3.35, 14: 3.5, 15: 3.6, 16: 3.3}  # fmt: skip
# The initial acceptance rate of the first draft token by source: the remainder of an answer from a token
# boundary, the remainder from the middle of a token, and a prompt look-up.
_FIRST = {"aligned": 0.9, "split": 0.5, "lookup": 0.4}
_LEARNED = 0.1  # the weight of the latest measurement
_TRY_AGAIN = 24  # a source that does not save time is tried once in 24 times, as its text may have changed


def look_up(tokens: Sequence[int], corpus: Sequence[int], room: int) -> list[int]:
    """Return the tokens after the last occurrence in `corpus` of the end of `tokens`."""
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
    """Decides how many draft tokens to verify, from batch times and the acceptance rate of each source.

    The first token of a draft has its own rate, because a draft that starts correctly mostly stays correct.
    """

    def __init__(self) -> None:
        self._ms = dict(_PRIOR)
        self._unit = 0.0  # milliseconds of one token; 0: not measured
        self._right = {source: [first, 0.9] for source, first in _FIRST.items()}
        self._refused = dict.fromkeys(_FIRST, 0)

    def saw(self, size: int, ms: float) -> None:
        """Record the time of a batch of `size` tokens."""
        if size > MAX_BATCH:
            return
        if size == 1:
            self._unit = ms if not self._unit else self._unit + _LEARNED * (ms - self._unit)
        if self._unit:
            self._ms[size] += _LEARNED * (ms / self._unit - self._ms[size])

    def judged(self, source: str, offered: int, accepted: int, *, continues: bool) -> None:
        """Record how much of a draft was accepted; `continues`: the previous one was accepted completely."""
        for number in range(min(offered, accepted + 1)):
            follows = int(continues or number > 0)
            self._right[source][follows] += _LEARNED * ((number < accepted) - self._right[source][follows])

    def length(self, source: str, pending: int, available: int, *, continues: bool) -> int:
        """Return the number of draft tokens to add to a batch of `pending` tokens."""
        first, following = self._right[source]
        most = min(available, MAX_BATCH - pending)
        if most <= 0:
            return 0
        best, most_saved = 0, 0.0
        expected, chance = 0.0, 1.0
        for count in range(1, most + 1):
            chance *= following if continues or count > 1 else first
            expected += chance
            # Each accepted token saves a step of one token; the larger batch takes longer.
            saved = expected - (self._ms[pending + count] - self._ms[pending])
            if saved > most_saved:
                best, most_saved = count, saved
        if best == 0:
            self._refused[source] += 1
            if self._refused[source] % _TRY_AGAIN == 0:
                return min(most, 3)
        return best
