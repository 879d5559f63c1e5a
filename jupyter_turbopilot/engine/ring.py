"""Callers who take turns, each for a share of the time: a deficit round robin. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# A caller's turn lasts so many seconds of computing, once it writes. A prompt may have to be read again after
# others had its room, so shorter turns cost more; longer ones keep a ninth caller waiting.
TURN = 0.5
MOST_OWED = 8.0  # turns: whoever has had so many of the others' waits no longer for it
# The time that an editor has used counts half after so many seconds of computing for all editors.
HALF_LIFE = 10.0
NEGLIGIBLE = 1e-4  # seconds


class Asked(Protocol):
    """A request of somebody's."""

    @property
    def caller(self) -> str:
        """Who asks."""

    @property
    def client(self) -> str:
        """The caller's editor; empty for requests that name none."""


T = TypeVar("T", bound=Asked)


@dataclass
class _Caller(Generic[T]):
    """A caller's requests in the order they came, and how much of its turn is over."""

    requests: list[T]
    turn: float  # how long it lasts
    round: int  # in which it has its turn
    owed: float = 0.0  # what reading took in turns that it wrote in
    used: float = 0.0
    wrote: bool = False  # whether anything was written in this turn


class Ring(Generic[T]):
    """All of one priority, by callers: each has a turn in every round.

    It is a deficit round robin: what somebody's prompts take is paid with rounds that are left out.
    """

    def __init__(self) -> None:
        self.callers: dict[str, _Caller[T]] = {}
        self.spent = 0.0  # time that was used, in parts of its share
        self._round = 0  # the latest that anybody was served in
        self._recent: dict[tuple[str, str], float] = {}  # seconds that an editor has used, decaying

    def __iter__(self) -> Iterator[T]:
        """List everybody's first, then everybody's second, and so on."""
        return self.by_turns(0)

    def by_turns(self, most: int) -> Iterator[T]:
        """List as `iter` does, of each caller so many at most; 0: all."""
        rounds = zip_longest(*(caller.requests[: most or None] for caller in self.callers.values()))
        return (request for request in chain.from_iterable(rounds) if request is not None)

    def __contains__(self, request: T) -> bool:
        return request.caller in self.callers and request in self.callers[request.caller].requests

    def of(self, name: str) -> tuple[T, ...]:
        """Return a caller's requests in the order they came."""
        return tuple(self.callers[name].requests) if name in self.callers else ()

    def first(self, request: T) -> bool:
        """Tell whether a request is the first of its caller."""
        return self.callers[request.caller].requests[0] is request

    def add(self, request: T) -> None:
        """Add a request behind its caller's others, but before editors that have recently used a turn more.

        So the editor that a user types in does not wait for long prompts of the user's other editors. The
        caller's first request stays the first: its turn is under way.
        """
        if request.caller not in self.callers:
            self._enter(request.caller, _Caller([], TURN, self._round + 1))
        requests, most = self.callers[request.caller].requests, self._used(request) + TURN
        behind = (i for i, other in enumerate(requests) if i and self._used(other) > most)
        requests.insert(next(behind, len(requests)), request)

    def remove(self, request: T) -> None:
        """Remove a request; with a caller's first its turn ends."""
        first = self.first(request)
        requests = self.callers[request.caller].requests
        requests.remove(request)
        if first or not requests:
            self._to_the_end(request.caller, TURN)

    def replace(self, older: T, newer: T) -> None:
        """Put a request in the place of another of the same caller, whose turn continues."""
        requests = self.callers[older.caller].requests
        requests[requests.index(older)] = newer

    def serve(self, request: T) -> None:
        """Note that it is a request's turn."""
        self._round = max(self._round, self.callers[request.caller].round)

    def use(self, seconds: float, served: Mapping[T, float]) -> None:
        """Charge callers for a step; a caller that has used up its turn goes to the end of the ring."""
        self._note_editors(seconds, served)
        # Counted by caller: another request may have taken the place of the one that was served.
        places = Counter(request.caller for request in served if request.caller in self.callers)
        writing = {request.caller for request, wrote in served.items() if wrote}
        # Of those whose turns end together, whoever had more places stands further back from now on.
        for name in sorted(places, key=places.__getitem__):
            caller = self.callers[name]
            if name in writing and not caller.wrote:
                self.owe(name, caller.used)
                caller.wrote, caller.used, caller.turn = True, 0.0, TURN
            caller.used += seconds
            if caller.used >= caller.turn:
                # A turn that was too short to read the prompt is too short again if others had its room
                # meanwhile: the next one is longer.
                again = caller.wrote or len(places) == len(self.callers)
                self._to_the_end(name, TURN if again else 2 * caller.turn)

    def _used(self, request: T) -> float:
        return self._recent.get((request.caller, request.client), 0.0)

    def _note_editors(self, seconds: float, served: Mapping[T, float]) -> None:
        """Charge editors for a step, and let what they used before count less."""
        decay = 0.5 ** (seconds / HALF_LIFE)
        used = {key: before * decay for key, before in self._recent.items()}
        for request in served:
            key = request.caller, request.client
            used[key] = used.get(key, 0.0) + seconds / len(served)
        self._recent = {key: now for key, now in used.items() if now > NEGLIGIBLE}

    def owe(self, name: str, seconds: float) -> None:
        """Note what a caller has taken beside its turn."""
        if caller := self.callers.get(name):
            caller.owed = min(MOST_OWED * TURN, caller.owed + seconds)

    def _to_the_end(self, name: str, turn: float) -> None:
        """Begin a caller's next turn, behind all others; whoever owes some leaves them out."""
        caller = self.callers.pop(name)
        if caller.requests:
            left_out, owed = divmod(caller.owed, TURN)
            due = self._round + 1 + int(left_out)
            self._enter(name, _Caller(caller.requests, turn, due, owed))

    def _enter(self, name: str, caller: _Caller[T]) -> None:
        """Put a caller behind those of its round."""
        self.callers[name] = caller
        self.callers = dict(sorted(self.callers.items(), key=lambda item: item[1].round))
