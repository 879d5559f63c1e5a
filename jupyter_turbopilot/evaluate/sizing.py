"""How many replicas people need, and how much memory: arithmetic on measured and guessed figures. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Above this utilisation, most requests wait for others.
BUSIEST = 0.6
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
    """Return the memory with which no prompt is evaluated again because others type, too."""
    people = max(1, math.ceil(round(demand.typing / replicas, _NOISE)))
    return MemoryNeeded(model.weights + model.compute, people * model.person, people, replicas)
