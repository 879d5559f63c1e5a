"""How often users who type ask an engine, and how long it computes: measured here or counted by a server."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, replace
from itertools import cycle
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from jupyter_turbopilot.engine.job import DEADLINE, DISCONNECTED, STOPPED, SUPERSEDED
from jupyter_turbopilot.errors import BadRequestError, TurbopilotError
from jupyter_turbopilot.evaluate import traces, typist

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.engine.base import Engine, Run
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.evaluate.notebooks import TypedNotebook
    from jupyter_turbopilot.generation import Ask
    from jupyter_turbopilot.shell.in_process import InProcess

_LOOK = 0.2  # seconds between two looks at those who type
_REQUESTS, _CREATED = "turbopilot_requests_total", "turbopilot_requests_created"
_KNOWN, _TAKEN_OVER = "turbopilot_known_total", "turbopilot_taken_over_total"
# What was refused, or given up before it began, gave the model nothing to do.
_SERVED = frozenset({"answered", SUPERSEDED, DISCONNECTED, DEADLINE, STOPPED})
_WHAT = "Give what GET turbopilot/metrics of a server of ours answers, or its address."


@dataclass(frozen=True)
class Measured:
    """What some people asked of one engine, and what that cost it."""

    people: int
    seconds: float  # that each typed, on average
    requests: int  # that reached the engine
    busy: float  # seconds that it computed

    @property
    def requests_per_second(self) -> float:
        """Of one who types."""
        return self.requests / (self.people * self.seconds)

    @property
    def seconds_per_request(self) -> float:
        """Of the engine's time."""
        return self.busy / self.requests if self.requests else 0.0

    @property
    def utilisation(self) -> float:
        """The part of the time in which the engine computed."""
        return min(1.0, self.busy / self.seconds)

    def people_for(self, utilisation: float, most: int) -> int:
        """Return how many people would keep the engine so busy, if each of them cost as much."""
        each = self.busy / self.seconds / self.people
        return max(1, min(most, round(utilisation / each))) if each > 0 else most


class Meter:
    """Counts what an engine is asked, and for how long it computes."""

    def __init__(self, engine: Engine) -> None:
        self.requests, self.busy = 0, 0.0
        self._engine = engine
        self._start, self._step = engine.start, engine.step
        engine.start = self._started  # type: ignore[method-assign]
        engine.step = self._stepped  # type: ignore[method-assign]

    def take_off(self) -> None:
        """Leave the engine as it was."""
        self._engine.start = self._start  # type: ignore[method-assign]
        self._engine.step = self._step  # type: ignore[method-assign]

    def _started(self, ask: Ask) -> Run | None:
        begun = time.perf_counter()
        run = self._start(ask)
        self.requests += run is not None
        self.busy += time.perf_counter() - begun
        return run

    def _stepped(self, runs: list[Run], interrupt: Cancel) -> None:
        begun = time.perf_counter()
        try:
            self._step(runs, interrupt)
        finally:
            self.busy += time.perf_counter() - begun


def type_at_once(
    local: InProcess,
    notebooks: Sequence[TypedNotebook],
    people: int,
    seconds: float,
    key: float,
    tell: Callable[[float], None] = lambda _: None,
) -> Measured:
    """Have people type for a while, each in notebooks of their own; `tell` hears how long they have."""
    engine = local.pilot.worker.engine
    if engine is None or engine.abilities.elsewhere:
        raise TurbopilotError("The model does not compute here, so its time cannot be measured here.")
    meter, crowd = Meter(engine), _Crowd(local, notebooks, people, seconds, key)
    try:
        lasted = crowd.type(tell)
    finally:
        crowd.leave()
        meter.take_off()
    return Measured(people, lasted, meter.requests, meter.busy)


class _Crowd:
    """People who type, a thread for each."""

    def __init__(
        self, local: InProcess, notebooks: Sequence[TypedNotebook], people: int, seconds: float, key: float
    ) -> None:
        self._local = local
        self._key = key
        self._seconds = seconds
        self._left = False
        self._lasted = [0.0] * people
        self._failures: list[BaseException] = []
        # Each has other notebooks, as far as there are enough: what one asked for is never another's answer.
        self._threads = [
            threading.Thread(target=self._person, args=(number, notebooks[number % len(notebooks) :: people]))
            for number in range(people)
        ]

    def type(self, tell: Callable[[float], None]) -> float:
        """Return how long they typed on average."""
        begun = self._begun = time.perf_counter()
        for thread in self._threads:
            thread.daemon = True  # the command can be stopped without waiting for them
            thread.start()
        while any(thread.is_alive() for thread in self._threads):
            time.sleep(_LOOK)
            tell(time.perf_counter() - begun)
            if self._failures:
                break
        if self._failures:
            raise self._failures[0]
        return sum(self._lasted) / len(self._lasted)

    def leave(self) -> None:
        """Have them stop."""
        self._left = True

    def _person(self, number: int, notebooks: Sequence[TypedNotebook]) -> None:
        try:
            typist.on_a_clock(
                self._local, self._cells(notebooks), lambda _: None, self._key, number, f"typist {number}"
            )
            self._lasted[number] = time.perf_counter() - self._begun
        except BaseException as failure:  # noqa: BLE001 - `type` raises it
            if not self._left:
                self._failures.append(failure)

    def _cells(self, notebooks: Sequence[TypedNotebook]) -> Iterator[traces.Trace]:
        """List what is typed until the time is over, the last of it cut short."""
        for trace in cycle(traces.of_kind(notebooks, "append", 0, every=1)):
            left = self._seconds - (time.perf_counter() - self._begun)
            if left <= 0 or self._left:
                return
            yield replace(trace, keystrokes=trace.keystrokes[: max(1, int(left / self._key))])


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
