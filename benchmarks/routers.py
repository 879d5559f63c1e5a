"""The overhead of load balancers between a user's server and the replicas: Ray Serve, vllm-router, none.

    python benchmarks/routers.py [--requests 300]

Needs the environments of `make test-scale`. A tiny model with random weights generates one token per request,
so that nearly all of the time is spent in the network. Prints the tables of benchmarks/results/scale.md.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import httpx
from harness import percentile

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.scale.fleet import ASK, KEY, Fleet, RayFleet, RouterFleet
from tests.serving import Server
from tests.tiny_model import write_tiny_model

PEOPLE, KEYS = 20, 30
BEGUN, TYPED = 220, 2  # characters in a notebook at the start of typing; per keystroke
LONG = {"prompt": "x", "max_tokens": 900, "temperature": 1, "ignore_eos": True, "stream": True}
CLOSED, SESSIONS, WARMING = 40, 300, 20


class ServeApp(Fleet):
    """One server without a load balancer."""

    def __init__(self, model: Path) -> None:
        self._server = Server(model, environment={"TURBOPILOT_API_KEY": KEY})
        self.url = self._server.url

    def stop(self) -> None:
        """Stop the server."""
        self._server.stop()


def round_trips(fleets: dict[str, Any], rounds: int) -> dict[str, list[float]]:
    """Send a request to each per round, in a different order, so that disturbances affect all alike."""
    clients = {name: fleet.client() for name, fleet in fleets.items()}
    took: dict[str, list[float]] = {name: [] for name in fleets}
    order, random = list(fleets), Random(rounds)  # noqa: S311 - no secret
    for number in range(WARMING + rounds):
        random.shuffle(order)
        for name in order:
            headers = {"x-session-id": f"{number % PEOPLE}"}
            begun = time.perf_counter()
            assert (
                clients[name].post("/v1/completions", json=ASK, headers=headers).status_code == httpx.codes.OK
            )
            took[name].append(time.perf_counter() - begun)
    return {name: times[WARMING:] for name, times in took.items()}


def evaluated(fleet: Fleet) -> float:
    """Let twenty users type in turns; return the evaluated tokens per keystroke."""
    read, keys = 0, 0
    with fleet.client() as client:
        for key in range(KEYS + 1):
            for person in range(PEOPLE):
                line = f"value_{person} = table_{person}['column {person}'].mean()\n"
                text = (line * 9)[: BEGUN + TYPED * key]
                body = {"prompt": text, "max_tokens": 1, "temperature": 0}
                headers = {"x-session-id": f"notebook {person}"}
                usage = client.post("/v1/completions", json=body, headers=headers).json()["usage"]
                if key:
                    read += usage["prompt_tokens"] - usage["prompt_tokens_details"]["cached_tokens"]
                    keys += 1
    return read / keys


def until_free(fleet: Fleet) -> list[float]:
    """Close the connections of long generations one by one; return the time until each ends."""
    took: list[float] = []
    with fleet.client() as asking:
        for number in count():
            if len(took) == CLOSED:
                break
            session = {"x-session-id": f"{number}"}
            with asking.stream("POST", "/v1/completions", json=LONG, headers=session) as answer:
                parts = answer.iter_raw()  # closing it closes the connection
                next(parts)
                writes = any(fleet.busy({"": f"{number}"}))  # repetitive texts end early
                closed = time.perf_counter()
            while writes and any(fleet.busy({"": f"{number}"})):
                pass
            if writes:
                took.append(time.perf_counter() - closed)
    return took


def moved(fleet: RayFleet) -> float:
    """Add a replica to two; return the share of sessions that move to another replica."""
    names = [f"notebook {number}" for number in range(SESSIONS)]
    before = {name: fleet.who_answers(name) for name in names}
    fleet.deploy(3)
    return sum(fleet.who_answers(name) != before[name] for name in names) / len(names)


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = write_tiny_model(Path(folder) / "tiny.gguf")
        makers: dict[str, Any] = {
            "one server": lambda: ServeApp(model),
            "vllm-router": lambda: RouterFleet(model),
            "vllm-router, random": lambda: RouterFleet(model, policy="random"),
            "Ray Serve": lambda: RayFleet(model),
        }
        fleets: dict[str, Any] = {}
        try:
            for name, make in makers.items():
                fleets[name] = make()
            report(fleets, options.requests)
        finally:
            for fleet in fleets.values():
                with suppress(AssertionError):
                    fleet.stop()


def report(fleets: dict[str, Any], requests: int) -> None:
    """Measure all fleets."""
    print("| load balancer | p50 | p95 | added p50 | tokens per keystroke | closed → free, p50 and p95 |")
    print("| --- | --- | --- | --- | --- | --- |")
    times = round_trips({name: fleets[name] for name in fleets if "random" not in name}, requests)
    alone = times["one server"]
    for name, fleet in fleets.items():
        read = evaluated(fleet)
        cells = ["", "", "", f"{read:.2f}", ""]
        if name in times:
            middle = statistics.median(times[name]) * 1000
            free = until_free(fleet)
            added = (
                statistics.median(one - other for one, other in zip(times[name], alone, strict=True)) * 1000
            )
            cells[:3] = (
                f"{middle:.1f} ms",
                f"{percentile(times[name], 0.95) * 1000:.1f} ms",
                f"{added:.1f} ms",
            )
            cells[4] = f"{statistics.median(free) * 1000:.0f}, {percentile(free, 0.95) * 1000:.0f} ms"
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    share = moved(fleets["Ray Serve"])
    print(
        f"\nMoved sessions when two replicas become three under Ray Serve: {share:.2f} of {SESSIONS} sessions"
    )


if __name__ == "__main__":
    main()
