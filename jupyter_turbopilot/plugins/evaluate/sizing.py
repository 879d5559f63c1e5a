"""The number of replicas and the memory that users need, from measured and assumed values. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Up to this utilisation, 95 % of the requests at the beginning of a line are answered within a second
# (benchmarks/results/scale.md).
BUSIEST = 0.9
_NOISE = 9  # decimals to round to: 3.0000000000000004 replicas are 3


@dataclass(frozen=True)
class Demand:
    """The total load on all replicas."""

    users: int
    typing_share: float  # share of users that type at the same time
    requests_per_second: float  # per typing user, that reach an engine
    seconds_per_request: float  # of one replica

    @property
    def typing(self) -> float:
        """The number of users that type at the same time."""
        return self.users * self.typing_share

    @property
    def busy(self) -> float:
        """The number of replicas that would be busy all the time."""
        return self.typing * self.requests_per_second * self.seconds_per_request

    def exactly(self, utilisation: float = BUSIEST) -> float:
        """Return the fractional number of replicas for a utilisation."""
        return round(self.busy / utilisation, _NOISE)

    def replicas(self, utilisation: float = BUSIEST) -> int:
        """Return the number of replicas so that none exceeds the utilisation."""
        return max(1, math.ceil(self.exactly(utilisation)))


@dataclass(frozen=True)
class ModelMemory:
    """The memory of a model in bytes."""

    weights: int
    compute: int  # shared cache cells and compute buffers
    token: float  # KV cache of one token
    context: int  # maximum tokens of a user's notebook

    @property
    def per_user(self) -> int:
        """The KV cache of one user."""
        return math.ceil(self.token * self.context)


@dataclass(frozen=True)
class MemoryNeeded:
    """The memory of one replica, and of all replicas, in bytes."""

    model: int
    keys_and_values: int  # of the users that type at the same replica
    users: int  # the number of these users
    replicas: int

    @property
    def each(self) -> int:
        """The memory of one replica."""
        return self.model + self.keys_and_values

    @property
    def all(self) -> int:
        """The memory of all replicas without sharing the model."""
        return self.each * self.replicas


def memory_needed(demand: Demand, replicas: int, model: ModelMemory) -> MemoryNeeded:
    """Return the memory with which users do not evict each other's cached prompts."""
    users = max(1, math.ceil(round(demand.typing / replicas, _NOISE)))
    return MemoryNeeded(model.weights + model.compute, users * model.per_user, users, replicas)
