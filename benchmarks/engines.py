"""The overhead of other engines, and the outcome of requests when an engine fails.

    python benchmarks/engines.py isolated --set notebooks.json.gz
    python benchmarks/engines.py remote --set notebooks.json.gz
    python benchmarks/engines.py failover --set notebooks.json.gz
    python benchmarks/engines.py killed

`isolated` and `remote` alternate between two engines (A B B A), because a machine's speed drifts.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import DEFAULT, LocalPilot, ServerProcess, llama_server, turbopilot_server, typed_requests
from traitlets.config import Config

from jupyter_turbopilot.protocol.request import Cell, Completion

if TYPE_CHECKING:
    from collections.abc import Sequence

# By default each engine would mistake the other for another program, and leave a core to it.
ALL_THREADS: dict[str, Any] = {"yield_cpu": False}
SERVER_CONFIG = "c.Turbopilot.yield_cpu = False\nc.Turbopilot.cache_memory = 0\n"
TOGETHER = 8  # concurrent requests of `failover`
SOURCE = "def mean(values):\n    return sum(values) / len(values)\n\n\ndef median(values):\n    "


def compare(name: str, local: LocalPilot, other: LocalPilot, asked: Sequence[Completion]) -> None:
    """Send the same requests to both; print mean times, evaluated tokens and the share of equal texts."""
    pilots = local, other
    times: tuple[list[float], list[float]] = ([], [])
    evaluated, same = [0, 0], 0
    for number, request in enumerate(asked):
        texts: list[list[str]] = [[], []]
        for which in ((0, 1), (1, 0))[number % 2]:
            milliseconds, reply = pilots[which].ask(request)
            assert not reply.error, reply.error
            times[which].append(milliseconds)
            evaluated[which] += reply.timings.prompt_tokens - reply.timings.cached_tokens
            texts[which] = [item.text for item in reply.items]
        same += texts[0] == texts[1]
    for title, each, tokens in zip(("in process", name), times, evaluated, strict=True):
        print(
            f"{title}: {statistics.mean(each):.1f} ms per keystroke on average, "
            f"{statistics.median(each):.1f} at the median; {tokens / len(asked):.2f} tokens evaluated"
        )
    print(
        f"{name} / in process: {sum(times[1]) / sum(times[0]):.3f} of the time, "
        f"{evaluated[1] / max(1, evaluated[0]):.3f} of the tokens; the same text {same} of {len(asked)}",
        flush=True,
    )


def isolated(options: argparse.Namespace) -> None:
    """Compare the engine in a child process with the one in this process."""
    local, child = LocalPilot(**ALL_THREADS), LocalPilot(subprocess=True, **ALL_THREADS)
    compare("in a child process", local, child, typed_requests(options.set, options.requests))
    child.close()
    local.close()


def remote_pilot(*servers: ServerProcess, vocabulary: str = DEFAULT) -> LocalPilot:
    """Return a pilot whose engine is a server on this machine."""
    urls = [f"http://127.0.0.1:{server.port}/v1" for server in servers]
    config = Config(TurbopilotRemote={"urls": urls, "vocabulary": vocabulary})
    return LocalPilot(engine="remote", config=config, **ALL_THREADS)


def remote(options: argparse.Namespace) -> None:
    """Compare a remote Turbopilot server and llama-server with the engine in this process."""
    asked = typed_requests(options.set, options.requests)
    local = LocalPilot(**ALL_THREADS)
    with turbopilot_server(SERVER_CONFIG) as server:
        other = remote_pilot(server)
        compare("our own server", local, other, asked)
        other.close()
    with llama_server() as server:
        for vocabulary in (DEFAULT, "none"):
            other = remote_pilot(server, vocabulary=vocabulary)
            compare(f"llama-server, vocabulary {vocabulary}", local, other, asked)
            other.close()
    local.close()


def failover(options: argparse.Namespace) -> None:
    """Kill the first of two servers under load; count the requests that failed without a token."""
    asked = typed_requests(options.set, options.requests)
    lost = cut = 0
    with turbopilot_server(SERVER_CONFIG) as first, turbopilot_server(SERVER_CONFIG) as second:
        local = remote_pilot(first, second)
        for at in range(0, len(asked), TOGETHER):
            begun = [local.submit(request)[1] for request in asked[at : at + TOGETHER]]
            if at <= len(asked) // 2 < at + TOGETHER:
                time.sleep(0.3)  # some of them have received tokens by then
                first.process.kill()
            for replies in begun:
                reply = replies.last()
                lost += reply.error is not None and not reply.items
                cut += any(item.finish_reason != "stop" for item in reply.items)
        local.close()
    print(
        f"{len(asked)} requests, {TOGETHER} at a time, first of two servers killed: {lost} failed without "
        f"a token, {cut} truncated or ended by their length"
    )


def killed(options: argparse.Namespace) -> None:
    """Kill the child process while it decodes; print the time to the next suggestion."""
    local = LocalPilot(subprocess=True)

    def request(number: int, **more: Any) -> Completion:
        text = f"# {number}\n{SOURCE}"
        return Completion(cells=[Cell(source=text)], offset=len(text), lines="multi", **more)

    waits, explained = [], 0
    for number in range(options.times):
        _, replies = local.submit(request(number, max_tokens=400, stream=True))
        while not (reply := replies.within(60)) or not (reply.done or reply.items):
            pass
        assert not reply.done, "the generation ended before the process could be killed"
        engine: Any = local.pilot.worker.engine
        os.kill(engine.pid, signal.SIGKILL)
        begun = time.perf_counter()
        explained += replies.last().error is not None
        _, after = local.ask(request(number, max_tokens=8))
        assert after.items, after
        waits.append(time.perf_counter() - begun)
        time.sleep(options.pause)
    local.close()
    loads = []
    for _ in range(3):
        fresh = LocalPilot(subprocess=True)
        loads.append(fresh.load_ms / 1000)
        fresh.close()
    wait, load = statistics.mean(waits), statistics.mean(loads)
    print(
        f"killed {options.times} times: {explained} replies gave the reason; the next suggestion came after "
        f"{wait:.2f} s on average, {max(waits):.2f} at most; a load takes {load:.2f} s: {wait / load:.2f}"
    )


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    for run, requests in ((isolated, 250), (remote, 200), (failover, 200)):
        command = commands.add_parser(run.__name__, help=run.__doc__)
        command.add_argument("--set", type=Path, required=True)
        command.add_argument("--requests", type=int, default=requests)
        command.set_defaults(run=run)
    command = commands.add_parser("killed", help=killed.__doc__)
    command.add_argument("--times", type=int, default=20)
    command.add_argument("--pause", type=float, default=11.0, help="seconds before the next kill")
    command.set_defaults(run=killed)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
