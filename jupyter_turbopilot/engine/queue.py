"""Whose turn it is: people who type before bulk, and of each a share for every caller. Pure."""

from __future__ import annotations

from collections import Counter
from enum import IntEnum
from itertools import chain
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from jupyter_turbopilot.engine.ring import Asked, Ring

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PLACES = 8  # texts written at a time, by an engine that can
# Where somebody waits for one text, bulk gets one part in eight of the time: enough to come to an end.
ONE_SHARE, BULK_SHARE = 7.0, 1.0
HEAD_START = 2.0  # seconds of computing that somebody may use before who matters less gets a part


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


class Waiting(Asked, Protocol):
    """A request in a queue."""

    priority: Priority  # how much it matters: it may become bulk

    @property
    def asked_as(self) -> Priority:
        """How much it mattered when it came."""

    @property
    def over(self) -> bool:
        """Tell whether nobody wants it any more."""


T = TypeVar("T", bound=Waiting)


class Queue(Generic[T]):
    """Everything that waits or is under way; at most `limit` wait.

    Whoever is served depends on nothing but this order. What has begun may have to stand still for what came
    later: a caller's second waits for everybody's first, and whoever has used up a turn waits for the others.
    """

    def __init__(self, limit: int, places: int = PLACES, *, running: int = 0, waiting: int = 0) -> None:
        """`running`, `waiting`: how many of a caller's are served at a time, or wait, at most; 0: all.

        Requests beyond `running` of equal or higher priority become bulk until one of those has ended.
        """
        self.limit = limit
        self.places = places  # how many texts that somebody waits for are written at a time
        self._running = running
        self._waiting = waiting
        self._ranks: dict[Priority, Ring[T]] = {priority: Ring() for priority in Priority}
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

    def is_enough(self, waiting: int) -> bool:
        """Tell whether as many of a caller's requests wait as may."""
        return 0 < self._waiting <= waiting

    def waiting_of(self, caller: str) -> int:
        """Return how many of a caller's requests wait."""
        return sum(other not in self._begun for other in self._of(caller))

    def add(self, request: T) -> T | None:
        """Add a request; return the one that is crowded out, which may be itself.

        Who has enough that waits crowds out something of their own.
        """
        own = self.is_enough(self.waiting_of(request.caller))
        self._demote(request)
        self._put(request)
        if not own and self.waiting + self._beyond() <= self.limit:
            return None
        waiting = (other for other in self if other not in self._begun)
        *_, last = (other for other in waiting if not own or other.caller == request.caller)
        self.remove(last)
        return last

    def remove(self, request: T) -> bool:
        """Remove a request; tell whether it was there."""
        if request not in self:
            return False
        self._take(request)
        self._begun.discard(request)
        self._promote(request.caller)
        return True

    def replace(self, older: T, newer: T) -> bool:
        """Put a request in the place of another of the same caller; tell whether that was there."""
        if older not in self:
            return False
        begun = older in self._begun
        self._demote(newer, besides=older)
        if older.priority is newer.priority:
            self._ranks[older.priority].replace(older, newer)
            self._begun.discard(older)
        else:
            self._take(older)
            self._begun.discard(older)
            self._put(newer)
            self._promote(older.caller)  # with the newer one there, which counts
        if begun:
            self._begun.add(newer)
        return True

    def turns(self) -> list[Priority]:
        """Return the priority whose turn it is, and the next ones, which follow when it finds no room."""
        present = [priority for priority in Priority if self._ranks[priority].callers]
        awaited = [priority for priority in present if priority.awaited]
        return sorted(awaited, key=lambda p: self._ranks[p].spent) or present[:1]

    def together(self) -> list[T]:
        """Return the requests that are served now by an engine whose texts do not hold each other up.

        Whoever matters less has what places are left, and of many some in any case if somebody waits.
        """
        under_way, most = Counter[str](), self._most(*Priority)
        lines = [(each, self._allowed(self._line(each, most), under_way, most)) for each in Priority]
        part, together = self.places // PLACES, list[T]()
        for place, (_, line) in enumerate(lines):
            kept = sum(min(part, len(rest)) for priority, rest in lines[place + 1 :] if priority.awaited)
            together += line[: max(0, self.places - kept - len(together))]
        return together

    def line(self, priority: Priority) -> list[T]:
        """Return the requests of one priority that are served now, in order."""
        return self._line(priority, self._most(priority))

    def _line(self, priority: Priority, most: int) -> list[T]:
        """Return these, with so many of one caller; 0: all."""
        places, rank = self._places(priority), self._ranks[priority]
        # What stands still takes memory, so callers begin their second only while few have begun. Their first
        # they always begin: nobody's turn depends on when others come to an end.
        room = 2 * places - self._under_way(priority)
        line: list[T] = []
        for request in rank.by_turns(most):
            if len(line) == places:
                break
            if request not in self._begun:
                if room <= 0 and not rank.first(request):
                    continue
                room -= 1
            line.append(request)
        return line

    def _most(self, *priorities: Priority) -> int:
        """Return how many of one caller's are served now, of requests that are served together; 0: all.

        Such texts slow each other down, so nobody has more of them than whoever asks for least.
        """
        asked = Counter(request.caller for p in priorities if p.awaited for request in self._ranks[p])
        return min(self._running, *asked.values()) if self._running and asked else self._running

    @staticmethod
    def _allowed(line: Iterable[T], under_way: Counter[str], most: int) -> list[T]:
        """Return those with which no caller has too many under way, whatever they matter; count them."""
        allowed: list[T] = []
        for request in line:
            if not most or under_way[request.caller] < most:
                under_way[request.caller] += 1
                allowed.append(request)
        return allowed

    def _of(self, caller: str) -> Iterator[T]:
        """Iterate over what a caller has asked for, the most important first."""
        for rank in self._ranks.values():
            yield from rank.of(caller)

    def _take(self, request: T) -> None:
        self._ranks[request.priority].remove(request)
        self._size -= 1

    def _put(self, request: T) -> None:
        rank = self._ranks[request.priority]
        if not rank.callers:
            self._catch_up(request.priority)
        rank.add(request)
        self._size += 1

    def _demote(self, request: T, besides: T | None = None) -> None:
        """Make a request bulk where its caller has asked for as many of its kind as may be served."""
        if self._running and request.priority < Priority.BULK and self._is_beyond(request, besides):
            request.priority = Priority.BULK

    def _promote(self, caller: str) -> None:
        """Let a caller's requests matter again as they were asked for, the oldest first, while they may."""
        for request in self._ranks[Priority.BULK].of(caller) if self._running else ():
            served = (other.priority <= request.asked_as and not other.over for other in self._of(caller))
            if request.asked_as < Priority.BULK and sum(served) < self._running:
                self._take(request)
                request.priority = request.asked_as
                self._put(request)

    def _is_beyond(self, request: T, besides: T | None) -> bool:
        """Tell whether a caller has asked for so many others of a request's kind as may be served."""
        others = (other for other in self._of(request.caller) if other is not besides)
        return sum(other.asked_as <= request.asked_as and not other.over for other in others) >= self._running

    def _share(self, priority: Priority) -> float:
        """Return which part of the time a priority gets: all bulk together no more than one who types."""
        share = _SHARES.get(priority, 1.0)
        if priority is not Priority.BULK:
            return share
        callers = max(len(self._ranks[each].callers) for each in Priority if each < Priority.BULK)
        return min(share, ONE_SHARE / max(1, callers))

    def _places(self, priority: Priority) -> int:
        return self.places if priority.awaited else max(1, self.places // PLACES)

    def _under_way(self, priority: Priority) -> int:
        return sum(request.priority is priority for request in self._begun)

    def _beyond(self) -> int:
        """Return how many have begun beyond the usual number: they take places in the queue."""
        return sum(max(0, self._under_way(p) - 2 * self._places(p)) for p in Priority)

    def begin(self, request: T) -> None:
        """Note that a request is served: once it has begun, it stays until it has ended."""
        self._begun.add(request)
        self._ranks[request.priority].serve(request)

    def used(self, priority: Priority, seconds: float, served: Mapping[T, float]) -> None:
        """Note the time spent on requests of one priority, and whether each of them wrote anything."""
        rank = self._ranks[priority]
        rank.spent += seconds / self._share(priority)
        if priority.awaited:  # the rest comes one by one
            rank.use(seconds, served)

    def owe(self, request: T, seconds: float) -> None:
        """Note what reading took elsewhere, told when it is over: it ends no turn, but costs later ones."""
        rank = self._ranks[request.priority]
        rank.spent += seconds / self._share(request.priority)
        rank.owe(request.caller, seconds)

    def _catch_up(self, priority: Priority) -> None:
        """Keep a priority that was absent from claiming afterwards the time it did not use."""
        if not priority.awaited:
            return
        rank = self._ranks[priority]
        for other in Priority:
            if other.awaited and other is not priority:
                head_start = HEAD_START / _SHARES[priority] if priority < other else 0.0
                rank.spent = max(rank.spent, self._ranks[other].spent - head_start)
