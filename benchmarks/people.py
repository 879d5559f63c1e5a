"""People who type real notebooks, in any kind of time, and what they saw."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from itertools import cycle
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_turbopilot.engine.job import SUPERSEDED
from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.evaluate import typist
from jupyter_turbopilot.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.evaluate.traces import Trace

KEY = 0.2  # seconds between two keys
RESAMPLED = 400


@dataclass(frozen=True)
class Habits:
    """How people type."""

    seconds: float  # for how long
    think: float = 0.0  # mean pause before a cell
    spread: float = 0.0  # seconds in which they begin; 0: all at once, as in a lecture


@dataclass
class Outcome:
    """What people saw."""

    ms: list[list[float]] = field(default_factory=list)  # of each: from a key to the whole answer
    asked: int = 0
    overtaken: int = 0  # requests that a newer one took the place of
    refused: int = 0
    busy: list[float] = field(default_factory=list)  # of each replica, where it is known
    evaluated: int = 0
    typed: float = 0.0  # seconds, of all people

    def add(self, person: Timed) -> None:
        """Count what one person saw."""
        self.ms.append(person.ms)
        self.asked += person.asked
        self.overtaken += person.overtaken
        self.refused += person.refused

    def quantile(self, part: float) -> float:
        """Return a quantile of all waits."""
        return quantile([ms for person in self.ms for ms in person], part)

    def interval(self, part: float, seed: int = 5) -> tuple[float, float]:
        """Return where 95 % of the quantiles lie when people are drawn anew."""
        rng = random.Random(seed)  # noqa: S311 - reproducible figures
        drawn = sorted(
            quantile([ms for person in rng.choices(self.ms, k=len(self.ms)) for ms in person], part)
            for _ in range(RESAMPLED)
        )
        return drawn[int(0.025 * RESAMPLED)], drawn[int(0.975 * RESAMPLED)]


def quantile(values: Sequence[float], part: float) -> float:
    """Return a quantile; 0 where there is nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


def replica_of(session: str, replicas: int) -> int:
    """Return the replica that a session sticks to: of one more replica few sessions hear."""

    def weight(number: int) -> bytes:
        return hashlib.blake2b(f"{session} {number}".encode(), digest_size=8).digest()

    return max(range(replicas), key=weight)


def cells_of(
    traces: Sequence[Trace], person: int, habits: Habits, clock: Any, rng: random.Random
) -> Iterator[Trace]:
    """List what a person types until the time is over, beginning somewhere else than the others."""
    clock.sleep(rng.uniform(0.0, habits.spread))
    begun = clock.perf_counter()
    number = person % len(traces)
    for trace in cycle([*traces[number:], *traces[:number]]):
        if habits.think:
            clock.sleep(rng.expovariate(1 / habits.think))
        left = int((habits.seconds - (clock.perf_counter() - begun)) / KEY)
        if left <= 0:
            return
        yield type(trace)(trace.kind, trace.name, trace.keystrokes[:left])


class Timed:
    """A completer, and how long what was asked of it after a key took."""

    counters: dict[str, int] = {}  # noqa: RUF012 - nobody writes

    def __init__(self, completer: Any, clock: Any) -> None:
        self._completer, self._clock = completer, clock
        self.ms: list[float] = []
        self.asked = self.overtaken = self.refused = 0

    def submit(self, request: Any, listener: Callable[[Reply], None], caller: str, owner: str = "") -> None:
        """Ask; an editor stays quiet where it is refused."""
        begun = self._clock.perf_counter()

        def heard(reply: Reply) -> None:
            if reply.done and (reply.error or reply.finish_reason):
                self.overtaken += reply.finish_reason == SUPERSEDED
                self.refused += reply.finish_reason != SUPERSEDED
            elif reply.done:
                self.ms.append((self._clock.perf_counter() - begun) * 1000)
            listener(reply)

        awaited = request.trigger == "automatic"
        self.asked += awaited
        try:
            self._completer.submit(request, heard if awaited else listener, caller=caller, owner=owner)
        except TurbopilotError as error:
            (heard if awaited else listener)(Reply("", done=True, error=error))


def type_as(
    person: int, completer: Any, traces: Sequence[Trace], habits: Habits, clock: Any, seed: int
) -> Timed:
    """Type as `eval --clock` does, as one of several."""
    timed = Timed(completer, clock)
    local: Any = SimpleNamespace(pilot=SimpleNamespace(completer=timed))
    rng = random.Random(f"{seed} {person}")  # noqa: S311 - a reproducible pace
    cells = cells_of(traces, person, habits, clock, rng)
    typist.on_a_clock(local, cells, lambda _: None, KEY, rng.randrange(1 << 30), f"person {person}")
    return timed


def as_asked_by(request: Any, caller: str) -> Any:
    """Name the editor, and the notebook: everybody has one of their own."""
    client = caller if request.client else ""
    return msgspec.structs.replace(request, client=client, path=f"{caller}.ipynb")
