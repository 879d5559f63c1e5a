"""Request rate and compute time of simulated users, measured here."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.plugins.evaluate import replay, traces
from jupyter_turbopilot.plugins.evaluate.notebooks import read, standard_library
from jupyter_turbopilot.plugins.evaluate.sources import OwnSource
from jupyter_turbopilot.protocol.errors import BadRequestError, TurbopilotError
from jupyter_turbopilot.terminal.commands.progress import Bar
from jupyter_turbopilot.terminal.in_process import InProcess
from jupyter_turbopilot.util.threads import start_thread

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.plugins.evaluate.notebooks import TypedNotebook
    from jupyter_turbopilot.plugins.evaluate.replay import TypingResult
    from jupyter_turbopilot.settings.config import Turbopilot

MAX_SIMULATED_USERS = 16
WAIT_SHARE = 0.95
PAUSE = 3.0  # seconds that a user looks at the screen at the beginning of each line
_LOOK = 0.2  # seconds between two checks of the simulated users
_OTHERWISE = "Or set --requests-per-second and --seconds-per-request from an earlier measurement."


@dataclass(frozen=True)
class Measured:
    """The load that simulated users put on one engine."""

    users: int
    seconds: float  # of typing per user, on average
    requests: int  # that reached the engine
    busy: float  # compute seconds of the engine
    wait: float = 0.0  # 95th percentile of the seconds from a request at a pause to its answer
    refused: int = 0  # requests, because the server was busy
    in_time: float = 0.0  # share of the automatic requests that were answered before the next keystroke

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


@dataclass
class Meter:
    """An engine's requests and compute time."""

    requests: int = 0
    busy: float = 0.0


@contextmanager
def metering(engine: Engine) -> Iterator[Meter]:
    """Count an engine's requests and compute time by wrapping its methods."""
    meter, start, step = Meter(), engine.start, engine.step

    def counted(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            begun = time.perf_counter()
            run = method(*arguments)
            meter.busy += time.perf_counter() - begun
            meter.requests += run is not None  # `start` returns a run, `step` nothing
            return run

        return call

    engine.start, engine.step = counted(start), counted(step)  # type: ignore[method-assign]
    try:
        yield meter
    finally:
        engine.start, engine.step = start, step  # type: ignore[method-assign]


def measure(options: argparse.Namespace, settings: Turbopilot) -> list[Measured]:
    """Measure one simulated user, then as many as reach the requested utilisation."""
    if settings.engine == "remote":
        raise BadRequestError(
            "The model runs on a remote server, so it cannot be measured here. Run this command there. "
            f"{_OTHERWISE}"
        )
    try:
        typed = read(options.notebooks) if options.notebooks else standard_library()
    except BadRequestError as error:
        error.hint = _OTHERWISE
        raise
    if not typed:
        raise TurbopilotError(f"This Python's standard library contains no suitable functions. {_OTHERWISE}")
    # The measured requests are the only load.
    settings.keep_sequences = settings.yield_cpu = False
    settings.cache_file = ""
    local = InProcess(settings)

    def simulate(name: str, users: int) -> Measured:
        seconds = options.seconds
        with Bar(name) as bar:
            tell = lambda passed: bar.show(min(passed, seconds), seconds, f"of {seconds} s")  # noqa: E731
            return simulate_users(local, typed, users, seconds, options.key_interval / 1000, tell)

    try:
        local.wait()
        runs = [simulate("one user", 1)]
        if (users := runs[0].users_for(options.utilisation, MAX_SIMULATED_USERS)) > 1:
            runs.append(simulate("several users", users))
    finally:
        local.close()
    if not runs[-1].requests:
        raise TurbopilotError(f"No request reached the model in that time. Increase --seconds. {_OTHERWISE}")
    return runs


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
    lasted: list[float] = []
    results: list[TypingResult] = []
    failures: list[TurbopilotError] = []
    stopped = threading.Event()
    begun = time.perf_counter()

    def cells(own: Sequence[TypedNotebook]) -> Iterator[traces.Trace]:
        """Iterate over traces until the time is over; truncate the last one."""
        for trace in cycle(traces.of_kind(own, "append", 0, every=1)):
            left = seconds - (time.perf_counter() - begun)
            if left <= 0 or stopped.is_set():
                return
            yield replace(trace, keystrokes=trace.keystrokes[: max(1, int(left / key))])

    def type_cells(number: int) -> None:
        # Users type different notebooks, as far as possible, so that they do not share cached completions.
        own = notebooks[number % len(notebooks) :: users]
        try:
            results.append(
                replay.in_real_time(
                    OwnSource(local, f"typist {number}"),
                    cells(own),
                    lambda _: None,
                    replay.steady(key, seed=number),
                    pause=PAUSE,
                )
            )
        except TurbopilotError as failure:
            failures.append(failure)
        lasted.append(time.perf_counter() - begun)

    def fail() -> None:
        failures.append(TurbopilotError("A simulated user failed. See the log."))

    with metering(engine) as meter:
        try:
            works = [partial(type_cells, number) for number in range(users)]
            threads = [start_thread("turbopilot-typist", work, fail) for work in works]
            while any(thread and thread.is_alive() for thread in threads) and not failures:
                time.sleep(_LOOK)
                tell(time.perf_counter() - begun)
        finally:
            stopped.set()
    if failures:
        raise failures[0]
    waits = sorted(wait for typed in results for wait in typed.waits)
    wait = waits[int(len(waits) * WAIT_SHARE)] if waits else 0.0
    paces = [typed.pace for typed in results if typed.pace]
    refused = sum(pace.refused for pace in paces)
    in_time = 1 - sum(pace.unanswered for pace in paces) / max(1, sum(pace.asked for pace in paces))
    return Measured(users, sum(lasted) / users, meter.requests, meter.busy, wait, refused, in_time)
