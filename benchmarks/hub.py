"""The overhead of a JupyterHub's proxy and tokens, and the delay until a closed connection ends generation.

python benchmarks/hub.py [--requests 300] [--closed 60]

Compares a real hub with its proxy and Turbopilot's service to `serve` with a key; each has the default model.
Every round sends one request to each, alternating; the engine's time is subtracted. Then long generations are
started through the proxy, and the connections are closed meanwhile.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx
from harness import percentile

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from jupyter_turbopilot.models.catalog import catalog  # noqa: E402
from jupyter_turbopilot.models.folder import models_dir  # noqa: E402
from tests.plugins.hub.real_hub import RealHub, wait  # noqa: E402
from tests.serving import Server  # noqa: E402

SHORT = {"prompt": "def area(width, height):\n    return width *", "n_predict": 2, "top_k": 1}
LONG = {"prompt": "# A long program\n", "n_predict": 1500, "ignore_eos": True, "stream": True}
WARM = 20


def beyond(client: httpx.Client) -> float:
    """Send a request; return the milliseconds outside of the engine."""
    begun = time.perf_counter()
    found = client.post("completion", json=SHORT).raise_for_status().json()["timings"]
    return (time.perf_counter() - begun) * 1000 - found["prompt_ms"] - found["predicted_ms"]


def interval(values: list[float], seed: int = 1) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the median."""
    draw = random.Random(seed)  # noqa: S311
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(1000))
    return medians[25], medians[974]


def busy(client: httpx.Client) -> bool:
    """Return whether the service is generating."""
    return bool(client.get("slots").json()[0]["is_processing"])


def closed(through: httpx.Client, direct: httpx.Client, draw: random.Random) -> float:
    """Close a connection through the proxy; return the milliseconds until the service stops generating."""
    with through.stream("POST", "completion", json=LONG) as answer:
        lines = answer.raise_for_status().iter_lines()
        for _ in range(6):
            next(lines)
        time.sleep(draw.uniform(0.0, 0.2))
        assert busy(direct), "the generation ended by itself"
        begun = time.perf_counter()
    while busy(direct):
        time.sleep(0.001)
    return (time.perf_counter() - begun) * 1000


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--closed", type=int, default=60)
    options = parser.parse_args()
    model = models_dir() / catalog()["qwen2.5-coder-0.5b"].file
    with tempfile.TemporaryDirectory() as folder:
        hub, alone = RealHub(Path(folder) / "hub", model), Server(model)
        try:
            wait(hub.ready, what="the service")
            headers = {"Authorization": f"Bearer {hub.token('ada')[0]}"}
            asked = {
                "a key, directly": alone.client,
                "a hub's token, directly": httpx.Client(base_url=hub.direct, headers=headers, timeout=60),
                "a hub's token, through its proxy": httpx.Client(
                    base_url=hub.through, headers=headers, timeout=60
                ),
            }
            took: dict[str, list[float]] = {name: [] for name in asked}
            for number in range(WARM + options.requests):
                for name, client in asked.items():
                    found = beyond(client)
                    if number >= WARM:
                        took[name].append(found)
            key = took["a key, directly"]
            for name, values in took.items():
                added = [value - base for value, base in zip(values, key, strict=True)]
                low, high = interval(added)
                print(
                    f"{name}: p50 {statistics.median(values):.2f} ms, p95 {percentile(values, 0.95):.2f} ms; "
                    f"added p50 {statistics.median(added):.2f} ms ({low:.2f} to {high:.2f})"
                )
            draw = random.Random(7)  # noqa: S311
            direct, through = list(asked.values())[1:]
            ended = [closed(through, direct, draw) for _ in range(options.closed)]
            print(
                f"closed connection, through the proxy: {len(ended)} times; p50 {percentile(ended, 0.5):.0f} "
                f"ms, p95 {percentile(ended, 0.95):.0f} ms, worst {max(ended):.0f} ms"
            )
            for client in asked.values():
                client.close()
        finally:
            alone.stop()
            hub.stop()


if __name__ == "__main__":
    main()
