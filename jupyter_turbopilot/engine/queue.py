"""Whose turn it is: people who type before bulk, and of each a share for every caller. Pure."""

from __future__ import annotations

from enum import IntEnum
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACES = 8  # texts written at a time
# Where somebody types, bulk gets one part in eight of the time: enough to come to an end.
TYPING_SHARE, BULK_SHARE = 7.0, 1.0
HEAD_START = 2.0  # seconds of computing that typing may use before bulk gets its part


class Priority(IntEnum):
    """Who goes before whom."""

    TYPING = 0  # somebody looks at the cursor
    BULK = 1  # somebody waits for several texts
    AHEAD = 2
    WARM = 3

    @property
    def awaited(self) -> bool:
        """Tell whether anybody waits for it."""
        return self <= Priority.BULK

    @property
    def places(self) -> int:
        """How many are written at a time."""
        return PLACES if self.awaited else 1


_SHARES = {Priority.TYPING: TYPING_SHARE, Priority.BULK: BULK_SHARE}


class Waiting(Protocol):
    """What can stand in a queue."""

    @property
    def priority(self) -> Priority:
        """How much it matters."""

    @property
    def owner(self) -> str:
        """Who asks."""


T = TypeVar("T", bound=Waiting)


class _Rank(Generic[T]):
    """All of one priority: a ring of callers, each with its own in the order they came."""

    def __init__(self) -> None:
        self.callers: dict[str, list[T]] = {}
        self.spent = 0.0  # time that was used, in parts of the share

    def __iter__(self) -> Iterator[T]:
        """List everybody's first, then everybody's second, and so on."""
        rounds = zip_longest(*self.callers.values())
        return (one for one in chain.from_iterable(rounds) if one is not None)

    def add(self, one: T) -> None:
        self.callers.setdefault(one.owner, []).append(one)

    def remove(self, one: T) -> None:
        theirs = self.callers[one.owner]
        first = theirs[0] is one
        theirs.remove(one)
        if first or not theirs:
            # Whoever has been served goes to the end of the ring with what is left.
            del self.callers[one.owner]
            if theirs:
                self.callers[one.owner] = theirs


class Queue(Generic[T]):
    """Everything that waits or is under way; at most `limit` wait.

    Whoever is served depends on nothing but this order. What has begun may have to stand still for what came
    later: a caller's second waits for everybody's first.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._ranks: dict[Priority, _Rank[T]] = {priority: _Rank() for priority in Priority}
        self._begun: set[T] = set()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __contains__(self, one: T) -> bool:
        return one in self._ranks[one.priority].callers.get(one.owner, ())

    def __iter__(self) -> Iterator[T]:
        """List all, the most important first."""
        return chain.from_iterable(self._ranks.values())

    @property
    def waiting(self) -> int:
        """How many have not begun."""
        return self._size - len(self._begun)

    def begun(self, one: T) -> bool:
        """Tell whether one has begun."""
        return one in self._begun

    def add(self, one: T) -> T | None:
        """Put one in its place; return the one that has to go for it, which may be itself."""
        rank = self._ranks[one.priority]
        if not rank.callers:
            self._catch_up(one.priority)
        rank.add(one)
        self._size += 1
        if self.waiting <= self.limit:
            return None
        *_, last = (other for other in self if other not in self._begun)
        self.remove(last)
        return last

    def remove(self, one: T) -> bool:
        """Take one out; tell whether it was there."""
        if one not in self:
            return False
        self._ranks[one.priority].remove(one)
        self._begun.discard(one)
        self._size -= 1
        return True

    def turns(self) -> list[Priority]:
        """Return whose turn it is, and who is next where those find no room."""
        present = [priority for priority in Priority if self._ranks[priority].callers]
        awaited = [priority for priority in present if priority.awaited]
        return sorted(awaited, key=lambda p: self._ranks[p].spent) or present[:1]

    def line(self, priority: Priority) -> list[T]:
        """Return who is served now of one priority, the first first."""
        places = priority.places
        # Twice as many may have begun as are written at a time: what stands still takes memory.
        room = 2 * places - sum(one.priority is priority for one in self._begun)
        found: list[T] = []
        for one in self._ranks[priority]:
            if len(found) == places:
                break
            if one in self._begun:
                found.append(one)
            elif room > 0:
                room -= 1
                found.append(one)
        return found

    def begin(self, one: T) -> None:
        """Write down that one has begun: it stays until it has ended."""
        self._begun.add(one)

    def used(self, priority: Priority, seconds: float) -> None:
        """Write down that time was spent on those of one priority."""
        self._ranks[priority].spent += seconds / _SHARES.get(priority, 1.0)

    def _catch_up(self, priority: Priority) -> None:
        """Let nobody use up later what they did not use while they were away."""
        if not priority.awaited:
            return
        typing, bulk = self._ranks[Priority.TYPING], self._ranks[Priority.BULK]
        if priority is Priority.BULK:
            bulk.spent = max(bulk.spent, typing.spent)
        else:
            typing.spent = max(typing.spent, bulk.spent - HEAD_START / TYPING_SHARE)
