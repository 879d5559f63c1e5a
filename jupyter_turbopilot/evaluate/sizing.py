"""How many replicas people need, and how much memory; how often they ask, by a server's counters. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from jupyter_turbopilot.engine.job import DEADLINE, DISCONNECTED, STOPPED, SUPERSEDED
from jupyter_turbopilot.errors import BadRequestError

# Busier than that, whoever asks waits for others more often than not.
BUSIEST = 0.6
_REQUESTS, _CREATED = "turbopilot_requests_total", "turbopilot_requests_created"
_KNOWN, _TAKEN_OVER = "turbopilot_known_total", "turbopilot_taken_over_total"
# What was refused, or given up before it began, gave the model nothing to do.
_SERVED = frozenset({"answered", SUPERSEDED, DISCONNECTED, DEADLINE, STOPPED})
_WHAT = "Give what GET turbopilot/metrics of a server of ours answers, or its address."
_NOISE = 9  # decimals: 3.0000000000000004 replicas are three


@dataclass(frozen=True)
class Demand:
    """What is asked of all replicas together."""

    people: int
    typing_share: float  # of the people, how many type at the same time
    requests_per_second: float  # of one who types, as far as they reach an engine
    seconds_per_request: float  # of one replica's time

    @property
    def typing(self) -> float:
        """How many people type at the same time."""
        return self.people * self.typing_share

    @property
    def busy(self) -> float:
        """How many replicas would be busy all of the time."""
        return self.typing * self.requests_per_second * self.seconds_per_request

    def exactly(self, utilisation: float = BUSIEST) -> float:
        """Return how many replicas keep each busy for this part of the time, in fractions."""
        return round(self.busy / utilisation, _NOISE)

    def replicas(self, utilisation: float = BUSIEST) -> int:
        """Return how many replicas are needed so that none is busier than that."""
        return max(1, math.ceil(self.exactly(utilisation)))


@dataclass(frozen=True)
class ModelMemory:
    """What a model takes, in bytes."""

    weights: int
    compute: int  # beside the weights: the cache of what is being written, buffers
    token: float  # keys and values of one token
    context: int  # tokens that one person's notebook may take

    @property
    def person(self) -> int:
        """Keys and values of one who types."""
        return math.ceil(self.token * self.context)


@dataclass(frozen=True)
class MemoryNeeded:
    """The memory of one replica, in bytes, and of all together."""

    model: int
    keys_and_values: int  # of those who type at the same replica
    people: int  # how many these are
    replicas: int

    @property
    def each(self) -> int:
        """One replica's."""
        return self.model + self.keys_and_values

    @property
    def all(self) -> int:
        """Of all replicas, each with the model in memory of its own."""
        return self.each * self.replicas


def memory_needed(demand: Demand, replicas: int, model: ModelMemory) -> MemoryNeeded:
    """Return the memory with which nobody's prompt is read again because others type, too."""
    people = max(1, math.ceil(round(demand.typing / replicas, _NOISE)))
    return MemoryNeeded(model.weights + model.compute, people * model.person, people, replicas)


@dataclass(frozen=True)
class Counted:
    """What a server has counted up to a moment."""

    at: float  # seconds since 1970
    since: float  # when it began to count
    requests: float  # that had the model begin a text


def read_counters(text: str, at: float) -> Counted:
    """Read counters as Prometheus gets them."""
    requests, since = 0.0, at
    saved: dict[str, float] = {}  # requests with which the model began nothing
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == _REQUESTS and sample.labels.get("outcome") in _SERVED:
                    requests += sample.value
                elif sample.name == _CREATED:
                    since = min(since, sample.value)
                elif sample.name in {_KNOWN, _TAKEN_OVER}:
                    saved[sample.name] = sample.value
    except ValueError:
        raise BadRequestError(f"These are no counters. {_WHAT}", field="from_metrics") from None
    if not (len(saved) == 2 and math.isfinite(requests + sum(saved.values()) + since)):  # noqa: PLR2004
        raise BadRequestError(
            f"These are not the counters of a server of ours. {_WHAT}", field="from_metrics"
        )
    return Counted(at, since, max(0.0, requests - sum(saved.values())))


def requests_per_second(now: Counted, earlier: Counted | None = None) -> float:
    """Return the requests a second since an earlier moment, or since the counting began."""
    begun, before = (earlier.at, earlier.requests) if earlier else (now.since, 0.0)
    if earlier and (now.since > earlier.at or now.requests < before):
        raise BadRequestError(
            "The server was started again between the two. Take both after its start.", field="from_metrics"
        )
    if now.at - begun < 1 or now.requests <= before:
        raise BadRequestError(
            "Nothing was counted in that time. Take the counters while people type, at least a second apart.",
            field="from_metrics",
        )
    return (now.requests - before) / (now.at - begun)
