"""Concurrent clients of this server and of llama.cpp's server with the same number of slots.

    python benchmarks/load.py editors --set notebooks.json.gz [--rounds 3]
    python benchmarks/load.py clients [--clients 50] [--seconds 30] [--rounds 6]

`editors`: eight editors each stream one completion at the same time, after a notebook that neither server has
evaluated. `clients`: each client repeatedly sends a short prompt. Both servers run all the time and are
measured alternately, in a different order each round, because a machine's speed drifts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import psutil
from harness import OK, ServerProcess, llama_server, turbopilot_server

from jupyter_turbopilot.engine.base import SLOTS
from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.evaluate.traces import Keystroke, mixed

if TYPE_CHECKING:
    from collections.abc import Sequence

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


async def stream_all(port: int, steps: Sequence[Keystroke]) -> tuple[float, float, float]:
    """Stream all completions at once; return tokens per second, the slowest first chunk and the mean time."""
    begun = time.perf_counter()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=300) as link:
        texts = await asyncio.gather(*(stream(link, step) for step in steps))
    rate = sum(text.tokens for text in texts) / (time.perf_counter() - begun)
    return rate, max(text.first_ms for text in texts), statistics.mean(text.ms for text in texts)


def editors(options: argparse.Namespace) -> None:
    """Compare eight editors on each server."""
    traces = mixed(read(options.set), 4000)
    steps = [trace.keystrokes[-1] for trace in traces if len(trace.keystrokes[-1].prefix) < LONGEST]
    with llama_server(8192, EDITORS) as theirs, turbopilot_server() as ours:
        found: dict[str, list[tuple[float, float, float]]] = {ours.name: [], theirs.name: []}
        for number in range(options.rounds):
            asked = [steps[(number * EDITORS + n) % len(steps)] for n in range(EDITORS)]
            for server in (theirs, ours)[:: 1 if number % 2 else -1]:
                found[server.name].append(asyncio.run(stream_all(server.port, asked)))
                print(server.name, found[server.name][-1], flush=True)
    for index, what in enumerate(("tokens per second", "slowest first token, ms", "mean time of a text, ms")):
        a, b = (statistics.mean(run[index] for run in runs) for runs in found.values())
        print(f"{what}: Turbopilot {a:.1f}, llama-server {b:.1f}; {a / b:.2f}")


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
    print(
        f"{server.name}: {sum(answers)} replies, {rate:.1f} tokens/s; per client {min(answers)} to "
        f"{max(answers)}; {sum(client.refused for client in clients)} refused, "
        f"{sum(client.failed for client in clients)} failed; wait median {statistics.median(waits):.1f} s, "
        f"maximum {max(waits):.1f} s; memory {before:.0f} to {process.memory_info().rss / 1e6:.0f} MB",
        flush=True,
    )
    return rate


def clients(options: argparse.Namespace) -> None:
    """Compare many clients on each server."""
    with (
        llama_server(1024 * SLOTS, SLOTS) as theirs,
        turbopilot_server("c.Turbopilot.queue_limit = 64\n") as ours,
    ):
        rates: dict[str, list[float]] = {ours.name: [], theirs.name: []}
        for server in (theirs, ours):
            asyncio.run(ask_all(server.port, options.clients, min(5.0, options.seconds)))
        for number in range(options.rounds):
            for server in (theirs, ours)[:: 1 if number % 2 else -1]:
                rates[server.name].append(one_round(server, options.clients, options.seconds))
    a, b = rates.values()
    pairs = ", ".join(f"{one / other:.2f}" for one, other in zip(a, b, strict=True))
    print(f"tokens per second, Turbopilot / llama-server: {sum(a) / sum(b):.2f} (pairs: {pairs})")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("editors", help=editors.__doc__)
    command.add_argument("--set", type=Path, required=True)
    command.add_argument("--rounds", type=int, default=3)
    command.set_defaults(run=editors)
    command = commands.add_parser("clients", help=clients.__doc__)
    command.add_argument("--clients", type=int, default=50)
    command.add_argument("--seconds", type=float, default=30)
    command.add_argument("--rounds", type=int, default=6)
    command.set_defaults(run=clients)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
