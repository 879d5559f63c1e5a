"""Many users of one server.

    python research/benchmarks/load.py editors --set notebooks.json.gz [--rounds 3] [--weights FILE]
    python research/benchmarks/load.py clients [--clients 50] [--seconds 30] [--rounds 6] [--weights FILE]
    python research/benchmarks/load.py students [--users 2 4 6 8 10] [--threads 2] [--seconds 60] [--personal]

The first two compare this server to llama.cpp's with the same number of slots, which loads the same file or
`--weights`. `editors`: eight editors each stream one completion at the same time, after a notebook that
neither server has evaluated. `clients`: each client repeatedly sends a short prompt. Both servers run all the
time and are measured alternately, in a different order each round, because a machine's speed drifts.
Turbopilot has the settings of a service for several users; `--personal`: those of a personal server.

`students`: more and more users type notebooks at once, a request per keystroke. They are served if 95 % of
the requests at pauses, which follow each line, are answered within two seconds. For one core: `taskset -c 0 …
--threads 1`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import psutil
from harness import (
    OK,
    WEIGHTS_HELP,
    LocalPilot,
    ServerProcess,
    llama_server,
    percentile,
    turbopilot_service,
)

from jupyter_turbopilot.engine.base import SLOTS
from jupyter_turbopilot.jupyter.standalone import RUNNING_PER_USER, WAITING_PER_USER
from turbopilot_research.evaluate import replay, traces
from turbopilot_research.evaluate.notebooks import read, standard_library
from turbopilot_research.evaluate.sources import OwnSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.terminal.in_process import InProcess
    from turbopilot_research.evaluate.notebooks import TypedNotebook
    from turbopilot_research.evaluate.replay import TypingResult
    from turbopilot_research.evaluate.traces import Keystroke

EDITORS, EDITOR_TOKENS, LONGEST = 8, 48, 1800  # all prompts together fit into both caches
CLIENT_TOKENS = 24
TOO_MANY = 429


class Text(NamedTuple):
    """The time to the first chunk of a stream, the number of tokens, and the total time."""

    first_ms: float
    tokens: int
    ms: float


async def stream(link: httpx.AsyncClient, step: Keystroke) -> Text:
    """Stream one completion."""
    body = {
        "input_prefix": step.prefix,
        "input_suffix": step.suffix,
        "n_predict": EDITOR_TOKENS,
        "temperature": 0.0,
        "top_k": 1,
        "samplers": ["top_k"],
        "stream": True,
        "ignore_eos": True,
    }
    begun = time.perf_counter()
    first, tokens = 0.0, 0
    async with link.stream("POST", "/infill", json=body) as reply:
        async for line in reply.aiter_lines():
            if line.startswith("data: "):
                first = first or time.perf_counter() - begun
                tokens = json.loads(line[6:]).get("tokens_predicted", tokens)
    return Text(first * 1000, tokens, (time.perf_counter() - begun) * 1000)


async def stream_all(port: int, steps: Sequence[Keystroke]) -> tuple[float, float, float, float]:
    """Stream all completions at once.

    Return tokens per second, the slowest first chunk, the mean time, and the slowest client's share.
    """
    begun = time.perf_counter()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=300) as link:
        texts = await asyncio.gather(*(stream(link, step) for step in steps))
    rate = sum(text.tokens for text in texts) / (time.perf_counter() - begun)
    first, mean = max(text.first_ms for text in texts), statistics.mean(text.ms for text in texts)
    return rate, first, mean, slowest_share([text.tokens / text.ms for text in texts])


def slowest_share(rates: Sequence[float]) -> float:
    """Return the rate of the slowest client as a share of the mean."""
    return min(rates) / (statistics.mean(rates) or 1.0)


def editors(options: argparse.Namespace) -> None:
    """Compare eight editors on each server."""
    steps = [trace.keystrokes[-1] for trace in traces.of_kind(read(options.set), "append", 4000)]
    steps = [step for step in steps if len(step.prefix) < LONGEST]
    with llama_server(options.weights, 8192, EDITORS) as theirs, turbopilot_service() as ours:
        found: dict[str, list[tuple[float, ...]]] = {ours.name: [], theirs.name: []}
        for number in range(options.rounds):
            asked = [steps[(number * EDITORS + n) % len(steps)] for n in range(EDITORS)]
            for server in (theirs, ours)[:: 1 if number % 2 else -1]:
                found[server.name].append(asyncio.run(stream_all(server.port, asked)))
                print(server.name, found[server.name][-1], flush=True)
    columns = (
        "tokens per second",
        "slowest first token, ms",
        "mean time of a text, ms",
        "slowest client's share",
    )
    for index, what in enumerate(columns):
        a, b = (statistics.mean(run[index] for run in runs) for runs in found.values())
        print(f"{what}: Turbopilot {a:.2f}, llama-server {b:.2f}; {a / b:.2f}")


@dataclass
class Client:
    """The replies to one client."""

    answers: int = 0
    tokens: int = 0
    refused: int = 0
    failed: int = 0
    waits: list[float] = field(default_factory=list)

    async def ask(self, link: httpx.AsyncClient, number: int, end: float) -> None:
        """Send requests with a growing prompt, like a typing user."""
        text = f"# client {number}\ndef task_{number}(values):\n    total = "
        while time.monotonic() < end:
            begun = time.monotonic()
            body = {"prompt": text, "n_predict": CLIENT_TOKENS, "temperature": 0, "cache_prompt": True}
            try:
                reply = await link.post("/completion", json=body)
            except httpx.HTTPError:
                self.failed += 1
                continue
            if reply.status_code == TOO_MANY:
                self.refused += 1
                await asyncio.sleep(float(reply.headers["Retry-After"]))
            elif reply.status_code != OK:
                self.failed += 1
            else:
                self.answers += 1
                self.tokens += reply.json()["tokens_predicted"]
                self.waits.append(time.monotonic() - begun)
                text += f"values[{self.answers}] + "


async def ask_all(port: int, count: int, seconds: float) -> list[Client]:
    """Let clients send requests for some seconds."""
    clients = [Client() for _ in range(count)]
    limits = httpx.Limits(max_connections=count)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120, limits=limits) as link:
        end = time.monotonic() + seconds
        await asyncio.gather(*(client.ask(link, number, end) for number, client in enumerate(clients)))
    return clients


def one_round(server: ServerProcess, count: int, seconds: float) -> float:
    """Measure one server; print the results, and return the tokens per second."""
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss / 1e6
    begun = time.monotonic()
    clients = asyncio.run(ask_all(server.port, count, seconds))
    rate = sum(client.tokens for client in clients) / (time.monotonic() - begun)
    answers = [client.answers for client in clients]
    waits = [wait for client in clients for wait in client.waits]
    slowest = slowest_share([client.tokens for client in clients])
    print(
        f"{server.name}: {sum(answers)} replies, {rate:.1f} tokens/s; per client {min(answers)} to "
        f"{max(answers)}, the slowest {slowest:.2f} of the mean; "
        f"{sum(client.refused for client in clients)} refused, "
        f"{sum(client.failed for client in clients)} failed; wait median {statistics.median(waits):.1f} s, "
        f"maximum {max(waits):.1f} s; memory {before:.0f} to {process.memory_info().rss / 1e6:.0f} MB",
        flush=True,
    )
    return rate


def clients(options: argparse.Namespace) -> None:
    """Compare many clients on each server."""
    with llama_server(options.weights, 1024 * SLOTS, SLOTS) as theirs, turbopilot_service() as ours:
        rates: dict[str, list[float]] = {ours.name: [], theirs.name: []}
        for server in (theirs, ours):
            asyncio.run(ask_all(server.port, options.clients, min(5.0, options.seconds)))
        for number in range(options.rounds):
            for server in (theirs, ours)[:: 1 if number % 2 else -1]:
                rates[server.name].append(one_round(server, options.clients, options.seconds))
    a, b = rates.values()
    pairs = ", ".join(f"{one / other:.2f}" for one, other in zip(a, b, strict=True))
    print(f"tokens per second, Turbopilot / llama-server: {sum(a) / sum(b):.2f} (pairs: {pairs})")


# Students ---------------------------------------------------------------------------------------------------

LONGEST_WAIT = 2.0  # seconds that 95 % of the requests may wait for an answer
TYPING_SHARE = 0.3  # of a class
PAUSE = 3.0  # seconds that a user looks at the screen at the beginning of each line


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


class Load(NamedTuple):
    """The load that simulated users put on one engine."""

    requests_per_second: float  # of each user
    seconds_per_request: float  # of the engine
    utilisation: float  # share of the time in which the engine computed
    wait: float  # 95th percentile of the seconds from a request at a pause to its answer
    refused: int  # requests, because the server was busy
    in_time: float  # share of the automatic requests that were answered before the next keystroke


def simulate_users(
    local: InProcess, notebooks: Sequence[TypedNotebook], users: int, seconds: float, key: float
) -> Load:
    """Simulate users for a while, each in different notebooks."""
    engine = local.pilot.worker.engine
    assert engine
    local.pilot.worker.sheds_load = True
    begun = time.perf_counter()

    def cells(number: int) -> Iterator[traces.Trace]:
        """Iterate over traces until the time is over; truncate the last one."""
        # Users type different notebooks, as far as possible, so that they do not share cached completions.
        own = notebooks[number % len(notebooks) :: users]
        for trace in cycle(traces.of_kind(own, "append", 0, every=1)):
            if (left := seconds - (time.perf_counter() - begun)) <= 0:
                return
            yield replace(trace, keystrokes=trace.keystrokes[: max(1, int(left / key))])

    def type_cells(number: int) -> tuple[TypingResult, float]:
        source, rhythm = OwnSource(local, f"typist {number}"), replay.steady(key, seed=number)
        typed = replay.in_real_time(source, cells(number), lambda _: None, rhythm, pause=PAUSE)
        return typed, time.perf_counter() - begun

    with metering(engine) as meter, ThreadPoolExecutor(users) as pool:
        results, lasted = zip(*pool.map(type_cells, range(users)), strict=True)
    mean = statistics.mean(lasted)
    paces = [typed.pace for typed in results if typed.pace]
    return Load(
        meter.requests / (users * mean),
        meter.busy / max(1, meter.requests),
        min(1.0, meter.busy / mean),
        percentile([wait for typed in results for wait in typed.waits] or [0.0], 0.95),
        sum(pace.refused for pace in paces),
        1 - sum(pace.unanswered for pace in paces) / max(1, sum(pace.asked for pace in paces)),
    )


def students(options: argparse.Namespace) -> None:
    """Measure how many users can type at once."""
    notebooks = read(options.set) if options.set else standard_library()
    local = LocalPilot(
        caches=True,
        yield_cpu=False,
        separate_caches=not options.personal,
        threads=options.threads,
        sequences_memory=options.sequences,
    )
    limits = local.pilot.worker.limits
    limits.running, limits.waiting = RUNNING_PER_USER, WAITING_PER_USER
    columns = ("typing at once", "requests/s each", "s per request", "busy", "p95, s", "refused", "in time")
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    served = 0
    for users in options.users:
        load = simulate_users(local, notebooks, users, options.seconds, options.key)
        print(
            f"| {users} | {load.requests_per_second:.2f} | {load.seconds_per_request:.3f} | "
            f"{load.utilisation:.2f} | {load.wait:.2f} | {load.refused} | {load.in_time:.3f} |",
            flush=True,
        )
        if load.wait <= LONGEST_WAIT:
            served = max(served, users)
    local.close()
    print(f"served: {served} typing, a class of {int(served / TYPING_SHARE)}")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("editors", help=editors.__doc__)
    command.add_argument("--set", type=Path, required=True)
    command.add_argument("--rounds", type=int, default=3)
    command.add_argument("--weights", type=Path, help=WEIGHTS_HELP)
    command.set_defaults(run=editors)
    command = commands.add_parser("clients", help=clients.__doc__)
    command.add_argument("--clients", type=int, default=50)
    command.add_argument("--seconds", type=float, default=30)
    command.add_argument("--rounds", type=int, default=6)
    command.add_argument("--weights", type=Path, help=WEIGHTS_HELP)
    command.set_defaults(run=clients)
    command = commands.add_parser("students", help=students.__doc__)
    command.add_argument("--users", type=int, nargs="+", default=[1, 2, 4, 6, 8, 10, 12])
    command.add_argument("--threads", type=int, default=0)
    command.add_argument("--seconds", type=float, default=60)
    command.add_argument("--key", type=float, default=0.2, help="seconds between keystrokes")
    command.add_argument("--sequences", type=int, default=400, help="megabytes for cached notebooks")
    command.add_argument("--set", type=Path, help="notebooks; default: functions of the standard library")
    command.add_argument("--personal", action="store_true")
    command.set_defaults(run=students)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
