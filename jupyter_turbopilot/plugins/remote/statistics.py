"""Metrics of remote servers: requests, waits, and prompt cache hits of sessions. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, SummaryMetricFamily

from jupyter_turbopilot.util.limited_dict import LimitedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.metrics_core import Metric

    from jupyter_turbopilot.plugins.remote.dialect import EventContent

MOST_SESSIONS = 4096  # sessions whose last server is stored
_SIZE = 8  # bytes of a digest


@dataclass
class AddressFigures:
    """The metrics of one address."""

    requests: int = 0
    throttled: int = 0
    answers: int = 0
    waited: float = 0.0  # the total seconds from request to first token


class Figures:
    """The metrics since the engine was loaded. They contain no prompts, and sessions only as digests."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self.addresses = {address: AddressFigures() for address in addresses}
        self.hits = 0  # answers to a known session with cached prompt tokens
        self.misses = 0  # answers to a known session without cached prompt tokens
        self.moved = 0  # answers from another address or replica than the session's previous one
        self._last = LimitedDict[bytes, bytes](MOST_SESSIONS)  # the last address and replica of each session

    def sent(self, address: str, session: str, now: float) -> CountedAnswer:
        """Count a request, and return the counter for its answer."""
        self.addresses[address].requests += 1
        return CountedAnswer(self, address, session, now)

    def answered(self, answer: CountedAnswer) -> None:
        """Count an answer."""
        figures = self.addresses[answer.address]
        figures.answers += 1
        figures.waited += answer.first - answer.begun
        if not answer.session:
            return
        name, by = _digest(answer.session), _digest(f"{answer.address}\n{answer.replica}")
        before = self._last.get(name)
        self._last[name] = by
        if before is None:
            return
        self.moved += before != by
        if answer.cached is not None:
            self.hits += answer.cached > 0
            self.misses += answer.cached == 0

    def metrics(self) -> Iterator[Metric]:
        """Return the metrics of the remote servers since the engine connected."""
        requests = CounterMetricFamily(
            "turbopilot_engine_requests", "Requests to the remote server.", labels=["address"]
        )
        waits = CounterMetricFamily(
            "turbopilot_engine_throttled",
            "Requests that the remote server answered with 429 or 503.",
            labels=["address"],
        )
        first = SummaryMetricFamily(
            "turbopilot_engine_first_token_seconds",
            "From a request to the first token of its answer.",
            labels=["address"],
        )
        for address, counted in self.addresses.items():
            requests.add_metric([address], counted.requests)
            waits.add_metric([address], counted.throttled)
            first.add_metric([address], counted.answers, counted.waited)
        found = CounterMetricFamily(
            "turbopilot_engine_affinity",
            "Answers to known sessions, by whether the remote server reused a cached prompt.",
            labels=["found"],
        )
        found.add_metric(["hit"], self.hits)
        found.add_metric(["miss"], self.misses)
        yield from (requests, waits, first, found)
        yield CounterMetricFamily(
            "turbopilot_engine_sessions_moved",
            "Times that another address or replica than before answered a session.",
            value=self.moved,
        )


@dataclass
class CountedAnswer:
    """An answer, which is counted at its end unless it is empty."""

    figures: Figures
    address: str
    session: str
    begun: float
    first: float = math.inf
    replica: str = ""
    cached: int | None = None  # cached prompt tokens, if reported

    def received(self, received: EventContent, now: float) -> None:
        """Process an event."""
        self.replica = self.replica or received.replica
        if received.cached is not None:
            self.cached = received.cached
        if received.tokens or received.ended:
            self.first = min(self.first, now)

    def end(self) -> None:
        if self.first < math.inf:
            self.figures.answered(self)


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "replace"), digest_size=_SIZE).digest()
