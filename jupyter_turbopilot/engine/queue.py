"""Whose turn it is: people who type before bulk, and of each a share for every caller. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PLACES = 8  # texts written at a time, by an engine that can
# Where somebody waits for one text, bulk gets one part in eight of the time: enough to come to an end.
ONE_SHARE, BULK_SHARE = 7.0, 1.0
HEAD_START = 2.0  # seconds of computing that somebody may use before who matters less gets a part
# A caller's turn lasts so many seconds of computing, once it writes. A prompt may have to be read again after
# others had its room, so shorter turns cost more; longer ones keep a ninth caller waiting.
TURN = 0.5


class Priority(IntEnum):
    """Who goes before whom."""

    TYPING = 0  # somebody looks at the cursor of an editor of ours
    TEXT = 1  # somebody waits for a text in another program
    BULK = 2  # somebody waits for several texts
    AHEAD = 3
    WARM = 4

    @property
    def awaited(self) -> bool:
        """Tell whether anybody waits for it."""
        return self <= Priority.BULK


_SHARES = {Priority.TYPING: ONE_SHARE, Priority.TEXT: ONE_SHARE, Priority.BULK: BULK_SHARE}


class Waiting(Protocol):
    """A request in a queue."""

    @property
    def priority(self) -> Priority:
        """How much it matters."""

    @property
    def owner(self) -> str:
        """Who asks."""


T = TypeVar("T", bound=Waiting)


@dataclass
class _Caller(Generic[T]):
    """A caller's requests in the order they came, and how much of its turn is over."""

    requests: list[T]
    turn: float  # how long it lasts
    used: float = 0.0
    wrote: bool = False  # whether anything was written in this turn


class _Rank(Generic[T]):
    """All of one priority: a ring of callers."""

    def __init__(self) -> None:
        self.callers: dict[str, _Caller[T]] = {}
        self.spent = 0.0  # time that was used, in parts of the share

    def __iter__(self) -> Iterator[T]:
        """List everybody's first, then everybody's second, and so on."""
        rounds = zip_longest(*(caller.requests for caller in self.callers.values()))
        return (request for request in chain.from_iterable(rounds) if request is not None)

    def __contains__(self, request: T) -> bool:
        return request.owner in self.callers and request in self.callers[request.owner].requests

    def first(self, request: T) -> bool:
        """Tell whether a request is the first of its caller."""
        return self.callers[request.owner].requests[0] is request

    def add(self, request: T) -> None:
        self.callers.setdefault(request.owner, _Caller([], TURN)).requests.append(request)

    def remove(self, request: T) -> None:
        first = self.first(request)
        requests = self.callers[request.owner].requests
        requests.remove(request)
        if first or not requests:
            self._to_the_end(request.owner, TURN)

    def replace(self, older: T, newer: T) -> None:
        """Put a request in the place of another of the same caller, whose turn continues."""
        requests = self.callers[older.owner].requests
        requests[requests.index(older)] = newer

    def use(self, seconds: float, served: Mapping[T, bool]) -> None:
        """Charge callers for a step; a caller that has used up its turn goes to the end of the ring."""
        # Counted by caller: another request may have taken the place of the one that was served.
        places = Counter(request.owner for request in served if request.owner in self.callers)
        writing = {request.owner for request, wrote in served.items() if wrote}
        # Of those whose turns end together, whoever had more places stands further back from now on.
        for owner in sorted(places, key=places.__getitem__):
            caller = self.callers[owner]
            caller.used += seconds
            if owner in writing and not caller.wrote:
                caller.wrote, caller.used, caller.turn = True, 0.0, TURN
            if caller.used >= caller.turn:
                # A turn that was too short to read the prompt is too short again if others had its room
                # meanwhile: the next one is longer.
                again = caller.wrote or len(places) == len(self.callers)
                self._to_the_end(owner, TURN if again else 2 * caller.turn)

    def _to_the_end(self, owner: str, turn: float) -> None:
        """Begin a caller's next turn, behind all others."""
        if requests := self.callers.pop(owner).requests:
            self.callers[owner] = _Caller(requests, turn)


class Queue(Generic[T]):
    """Everything that waits or is under way; at most `limit` wait.

    Whoever is served depends on nothing but this order. What has begun may have to stand still for what came
    later: a caller's second waits for everybody's first, and whoever has used up a turn waits for the others.
    """

    def __init__(self, limit: int, places: int = PLACES) -> None:
        self.limit = limit
        self.places = places  # how many texts that somebody waits for are written at a time
        self._ranks: dict[Priority, _Rank[T]] = {priority: _Rank() for priority in Priority}
        self._begun: set[T] = set()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __contains__(self, request: T) -> bool:
        return request in self._ranks[request.priority]

    def __iter__(self) -> Iterator[T]:
        """List all, the most important first."""
        return chain.from_iterable(self._ranks.values())

    @property
    def waiting(self) -> int:
        """How many have not begun."""
        return self._size - len(self._begun)

    def begun(self, request: T) -> bool:
        """Tell whether a request has begun."""
        return request in self._begun

    def add(self, request: T) -> T | None:
        """Add a request; return the one that is crowded out, which may be itself."""
        self._put(request)
        if self.waiting + self._beyond() <= self.limit:
            return None
        *_, last = (other for other in self if other not in self._begun)
        self.remove(last)
        return last

    def remove(self, request: T) -> bool:
        """Remove a request; tell whether it was there."""
        if request not in self:
            return False
        self._ranks[request.priority].remove(request)
        self._begun.discard(request)
        self._size -= 1
        return True

    def replace(self, older: T, newer: T) -> bool:
        """Put a request in the place of another of the same owner; tell whether that was there."""
        if older not in self:
            return False
        begun = older in self._begun
        if older.priority is newer.priority:
            self._ranks[older.priority].replace(older, newer)
            self._begun.discard(older)
        else:
            self.remove(older)
            self._put(newer)
        if begun:
            self._begun.add(newer)
        return True

    def turns(self) -> list[Priority]:
        """Return the priority whose turn it is, and the next ones, which follow when it finds no room."""
        present = [priority for priority in Priority if self._ranks[priority].callers]
        awaited = [priority for priority in present if priority.awaited]
        return sorted(awaited, key=lambda p: self._ranks[p].spent) or present[:1]

    def line(self, priority: Priority) -> list[T]:
        """Return the requests of one priority that are served now, in order."""
        places, rank = self._places(priority), self._ranks[priority]
        # What stands still takes memory, so callers begin their second only while few have begun. Their first
        # they always begin: nobody's turn depends on when others come to an end.
        room = 2 * places - self._under_way(priority)
        line: list[T] = []
        for request in rank:
            if len(line) == places:
                break
            if request not in self._begun:
                if room <= 0 and not rank.first(request):
                    continue
                room -= 1
            line.append(request)
        return line

    def _put(self, request: T) -> None:
        rank = self._ranks[request.priority]
        if not rank.callers:
            self._catch_up(request.priority)
        rank.add(request)
        self._size += 1

    def _places(self, priority: Priority) -> int:
        return self.places if priority.awaited else 1

    def _under_way(self, priority: Priority) -> int:
        return sum(request.priority is priority for request in self._begun)

    def _beyond(self) -> int:
        """Return how many have begun beyond the usual number: they take places in the queue."""
        return sum(max(0, self._under_way(p) - 2 * self._places(p)) for p in Priority)

    def begin(self, request: T) -> None:
        """Note that a request has begun: it stays until it has ended."""
        self._begun.add(request)

    def used(self, priority: Priority, seconds: float, served: Mapping[T, bool]) -> None:
        """Note the time spent on requests of one priority, and whether each of them wrote anything."""
        rank = self._ranks[priority]
        rank.spent += seconds / _SHARES.get(priority, 1.0)
        if priority.awaited:  # the rest comes one by one
            rank.use(seconds, served)

    def _catch_up(self, priority: Priority) -> None:
        """Keep a priority that was absent from claiming afterwards the time it did not use."""
        if not priority.awaited:
            return
        rank = self._ranks[priority]
        for other in Priority:
            if other.awaited and other is not priority:
                head_start = HEAD_START / _SHARES[priority] if priority < other else 0.0
                rank.spent = max(rank.spent, self._ranks[other].spent - head_start)
