"""What is counted of a server elsewhere: requests, waits, whether sessions find what was read. Pure."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_turbopilot.engine.remote.dialect import EventContent

MOST_SESSIONS = 4096  # that are remembered, by a digest
_SIZE = 8  # bytes of a digest


@dataclass
class AddressFigures:
    """What is counted of one address."""

    requests: int = 0
    throttled: int = 0
    answers: int = 0
    waited: float = 0.0  # seconds from a request to the first word of its answer, of all answers


class Figures:
    """Counts since the engine was loaded. No session, prompt or text can be told from them."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self.addresses = {address: AddressFigures() for address in addresses}
        self.hits = 0  # answers to a session that was there before, with something read before
        self.misses = 0  # and those for which all was read again
        self.moved = 0  # sessions that another address, or another replica there, answered than last time
        self._last: OrderedDict[bytes, bytes] = OrderedDict()  # who answered each session last

    def sent(self, address: str, session: str, now: float) -> CountedAnswer:
        """Count a request; what is returned is told of its answer."""
        self.addresses[address].requests += 1
        return CountedAnswer(self, address, session, now)

    def answered(self, answer: CountedAnswer) -> None:
        """Count an answer, and what its session found."""
        figures = self.addresses[answer.address]
        figures.answers += 1
        figures.waited += answer.first - answer.begun
        if not answer.session:
            return
        name, by = _digest(answer.session), _digest(f"{answer.address}\n{answer.replica}")
        before = self._last.pop(name, None)
        self._last[name] = by
        if len(self._last) > MOST_SESSIONS:
            self._last.popitem(last=False)
        if before is None:
            return
        self.moved += before != by
        if answer.cached is not None:
            self.hits += answer.cached > 0
            self.misses += answer.cached == 0


@dataclass
class CountedAnswer:
    """An answer that is counted when it has ended, if there is any word of it."""

    figures: Figures
    address: str
    session: str
    begun: float
    first: float = math.inf
    replica: str = ""
    cached: int | None = None  # tokens of the prompt that were not read again, where that is said

    def heard(self, heard: EventContent, now: float) -> None:
        """Take note of an event."""
        self.replica = self.replica or heard.replica
        if heard.cached is not None:
            self.cached = heard.cached
        if heard.tokens or heard.ended:
            self.first = min(self.first, now)

    def end(self) -> None:
        """Count it."""
        if self.first < math.inf:
            self.figures.answered(self)


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "replace"), digest_size=_SIZE).digest()
