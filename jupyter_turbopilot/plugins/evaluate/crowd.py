"""Request rate and compute time of simulated users, measured here, or read from a server's metrics."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, replace
from itertools import cycle
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from jupyter_turbopilot.engine.job import DISCONNECTED, STOPPED, SUPERSEDED
from jupyter_turbopilot.plugins.evaluate import traces, typist
from jupyter_turbopilot.protocol.errors import BadRequestError, TurbopilotError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.engine.base import Engine, Run
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.plugins.evaluate.notebooks import TypedNotebook
    from jupyter_turbopilot.protocol.engine_request import EngineRequest
    from jupyter_turbopilot.terminal.in_process import InProcess

WAIT_SHARE = 0.95
PAUSE = 3.0  # seconds that a user looks at the screen at the beginning of each line
_LOOK = 0.2  # seconds between two checks of the simulated users
_REQUESTS, _CREATED = "turbopilot_requests_total", "turbopilot_requests_created"
_CACHE_HITS, _CONTINUED = "turbopilot_cache_hits_total", "turbopilot_continued_total"
# Refused requests, and those cancelled in the queue, cost the model nothing.
_SERVED = frozenset({"completed", "empty", "timed_out", SUPERSEDED, DISCONNECTED, STOPPED})
_WHAT = "Pass the URL of a Turbopilot server's metrics (GET turbopilot/metrics), or a file with its response."


@dataclass(frozen=True)
class Measured:
    """The load that simulated users put on one engine."""

    users: int
    seconds: float  # of typing per user, on average
    requests: int  # that reached the engine
    busy: float  # compute seconds of the engine
    wait: float = 0.0  # 95th percentile of the seconds from a request at a pause to its answer
    refused: int = 0  # requests, because the server was busy

    @property
    def requests_per_second(self) -> float:
        """The requests per second and user."""
        return self.requests / (self.users * self.seconds)

    @property
    def seconds_per_request(self) -> float:
        """The engine's compute seconds per request."""
        return self.busy / self.requests if self.requests else 0.0

    @property
    def utilisation(self) -> float:
        """The share of the time in which the engine computed."""
        return min(1.0, self.busy / self.seconds)

    def users_for(self, utilisation: float, most: int) -> int:
        """Return the number of users that cause this utilisation, assuming the same load per user."""
        each = self.busy / self.seconds / self.users
        return max(1, min(most, round(utilisation / each))) if each > 0 else most


class Meter:
    """Counts an engine's requests and compute time by wrapping its methods."""

    def __init__(self, engine: Engine) -> None:
        self.requests, self.busy = 0, 0.0
        self._engine = engine
        self._start, self._step = engine.start, engine.step
        engine.start = self._started  # type: ignore[method-assign]
        engine.step = self._stepped  # type: ignore[method-assign]

    def restore(self) -> None:
        """Restore the engine's methods."""
        self._engine.start = self._start  # type: ignore[method-assign]
        self._engine.step = self._step  # type: ignore[method-assign]

    def _started(self, request: EngineRequest) -> Run | None:
        begun = time.perf_counter()
        run = self._start(request)
        self.requests += run is not None
        self.busy += time.perf_counter() - begun
        return run

    def _stepped(self, runs: list[Run], interrupt: Cancel) -> None:
        begun = time.perf_counter()
        try:
            self._step(runs, interrupt)
        finally:
            self.busy += time.perf_counter() - begun


def simulate_users(
    local: InProcess,
    notebooks: Sequence[TypedNotebook],
    users: int,
    seconds: float,
    key: float,
    tell: Callable[[float], None] = lambda _: None,
) -> Measured:
    """Simulate users for a while, each in different notebooks; `tell` receives the elapsed seconds."""
    engine = local.pilot.worker.engine
    if engine is None or engine.capabilities.remote:
        raise TurbopilotError("The model runs on a remote server, so its speed cannot be measured here.")
    local.pilot.worker.sheds_load = True
    meter, crowd = Meter(engine), _Crowd(local, notebooks, users, seconds, key)
    try:
        lasted = crowd.type(tell)
    finally:
        crowd.leave()
        meter.restore()
    waits = sorted(crowd.waits)
    wait = waits[int(len(waits) * WAIT_SHARE)] if waits else 0.0
    return Measured(users, lasted, meter.requests, meter.busy, wait, crowd.refused)


class _Crowd:
    """Simulated users, one thread each."""

    def __init__(
        self, local: InProcess, notebooks: Sequence[TypedNotebook], users: int, seconds: float, key: float
    ) -> None:
        self._local = local
        self._key = key
        self._seconds = seconds
        self._left = False
        self._lasted = [0.0] * users
        self._failures: list[BaseException] = []
        self.waits: list[float] = []
        self.refused = 0
        # Users type different notebooks, as far as possible, so that they do not share cached completions.
        self._threads = [
            threading.Thread(target=self._type, args=(number, notebooks[number % len(notebooks) :: users]))
            for number in range(users)
        ]

    def type(self, tell: Callable[[float], None]) -> float:
        """Type until the time is over; return the mean typing time."""
        begun = self._begun = time.perf_counter()
        for thread in self._threads:
            thread.daemon = True  # the command can be interrupted without waiting for them
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
        """Tell the users to stop."""
        self._left = True

    def _type(self, number: int, notebooks: Sequence[TypedNotebook]) -> None:
        try:
            typed = typist.in_real_time(
                self._local,
                self._cells(notebooks),
                lambda _: None,
                self._key,
                number,
                f"typist {number}",
                PAUSE,
            )
            self.waits += typed.waits
            self.refused += typed.pace.refused if typed.pace else 0
            self._lasted[number] = time.perf_counter() - self._begun
        except BaseException as failure:  # noqa: BLE001 - `type` raises it
            if not self._left:
                self._failures.append(failure)

    def _cells(self, notebooks: Sequence[TypedNotebook]) -> Iterator[traces.Trace]:
        """Iterate over traces until the time is over; truncate the last one."""
        for trace in cycle(traces.of_kind(notebooks, "append", 0, every=1)):
            left = self._seconds - (time.perf_counter() - self._begun)
            if left <= 0 or self._left:
                return
            yield replace(trace, keystrokes=trace.keystrokes[: max(1, int(left / self._key))])


@dataclass(frozen=True)
class Counted:
    """A server's request counters at one time."""

    at: float  # seconds since 1970
    since: float  # start of counting
    requests: float  # that reached the model


def read_counters(text: str, at: float) -> Counted:
    """Parse counters in Prometheus' text format."""
    requests, since = 0.0, at
    saved: dict[str, float] = {}  # requests that did not reach the model
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == _REQUESTS and sample.labels.get("outcome") in _SERVED:
                    requests += sample.value
                elif sample.name == _CREATED:
                    since = min(since, sample.value)
                elif sample.name in {_CACHE_HITS, _CONTINUED}:
                    saved[sample.name] = sample.value
    except ValueError:
        raise BadRequestError(f"These are not Prometheus metrics. {_WHAT}", field="from_metrics") from None
    if not (len(saved) == 2 and math.isfinite(requests + sum(saved.values()) + since)):  # noqa: PLR2004
        raise BadRequestError(
            f"These are not the metrics of a Turbopilot server. {_WHAT}", field="from_metrics"
        )
    return Counted(at, since, max(0.0, requests - sum(saved.values())))


def requests_per_second(now: Counted, earlier: Counted | None = None) -> float:
    """Return the requests per second since an earlier time, or since the start of counting."""
    begun, before = (earlier.at, earlier.requests) if earlier else (now.since, 0.0)
    if earlier and (now.since > earlier.at or now.requests < before):
        raise BadRequestError(
            "The server was restarted between the two measurements. Take both after its start.",
            field="from_metrics",
        )
    if now.at - begun < 1 or now.requests <= before:
        raise BadRequestError(
            "No requests were counted in that time. Measure while users type, at least one second apart.",
            field="from_metrics",
        )
    return (now.requests - before) / (now.at - begun)
