"""Fifty clients for a minute, against ours and against llama.cpp's own server with as many slots.

    python benchmarks/load.py [--clients 50] [--seconds 60]

Prints answers, tokens a second, what the slowest and the quickest client got, memory before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent))

from baseline import programs
from desk import default_weights
from replay import Player

from jupyter_turbopilot.engine.queue import PLACES

TOKENS = 24


@dataclass
class Heard:
    """What one client got."""

    answers: int = 0
    tokens: int = 0
    told_to_wait: int = 0
    failed: int = 0
    waits: list[float] = field(default_factory=list)


async def client(link: httpx.AsyncClient, number: int, end: float, heard: Heard) -> None:
    """Ask again and again, a little more each time, as somebody types."""
    text = f"# client {number}\ndef task_{number}(values):\n    total = "
    while time.monotonic() < end:
        begun = time.monotonic()
        body = {"prompt": text, "n_predict": TOKENS, "temperature": 0, "cache_prompt": True}
        try:
            reply = await link.post("/completion", json=body)
        except httpx.HTTPError:
            heard.failed += 1
            continue
        if reply.status_code == 429:  # noqa: PLR2004
            heard.told_to_wait += 1
            await asyncio.sleep(float(reply.headers["Retry-After"]))
            continue
        if reply.status_code != 200:  # noqa: PLR2004
            heard.failed += 1
            continue
        found = reply.json()
        heard.answers += 1
        heard.tokens += found["tokens_predicted"]
        heard.waits.append(time.monotonic() - begun)
        text += f"values[{heard.answers}] + "


async def crowd(port: int, clients: int, seconds: float) -> list[Heard]:
    """Let them all in at once."""
    heard = [Heard() for _ in range(clients)]
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120, limits=limits) as link:
        end = time.monotonic() + seconds
        await asyncio.gather(*(client(link, number, end, heard[number]) for number in range(clients)))
    return heard


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    theirs = [str(programs()["llama-server"]), "-m", str(default_weights()), "-t", "2", "--no-webui"]
    theirs += ["-c", str(1024 * PLACES), "-np", str(PLACES)]
    ours = [str(Path(sys.executable).with_name("jupyter-turbopilot")), "serve", "--no-api-key"]
    rates = {}
    more = "c.Turbopilot.queue_limit = 64\n"
    for name, command in (("llama-server", theirs), ("turbopilot", ours)):
        with Player(name, command, "infill", more if name == "turbopilot" else "") as player:
            process = psutil.Process(player.process.pid)
            asyncio.run(crowd(player.port, options.clients, 5))
            before = process.memory_info().rss / 1e6
            begun = time.monotonic()
            heard = asyncio.run(crowd(player.port, options.clients, options.seconds))
            took = time.monotonic() - begun
            after = process.memory_info().rss / 1e6
        answers = [one.answers for one in heard]
        waits = sorted(wait for one in heard for wait in one.waits)
        rates[name] = sum(one.tokens for one in heard) / took
        print(
            f"{name}: {sum(answers)} answers, {rates[name]:.1f} tokens/s, of one client {min(answers)} to "
            f"{max(answers)}, told to wait {sum(one.told_to_wait for one in heard)}, failed "
            f"{sum(one.failed for one in heard)}, wait median {waits[len(waits) // 2]:.1f} s, most "
            f"{waits[-1]:.1f} s, memory {before:.0f} to {after:.0f} MB",
            flush=True,
        )
    print(f"throughput, ours / theirs: {rates['turbopilot'] / rates['llama-server']:.2f}")


if __name__ == "__main__":
    main()
