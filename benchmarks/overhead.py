"""What HTTP, queue and Python cost beyond the engine's own time, beside llama-server's.

python benchmarks/overhead.py --set notebooks.json.gz
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from baseline import programs
from replay import Player, request

from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.evaluate.traces import Keystroke, mixed
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.pilot.pilot import Pilot


def beyond(player: Player, step: Keystroke) -> float | None:
    """Ask for one line; return the milliseconds not spent in the engine; None if it had no work."""
    if player.route == "complete":
        body = request(step, "invoke")
    else:
        body = {
            "input_prefix": step.prefix,
            "input_suffix": step.suffix,
            "n_predict": 16,
            "stop": ["\n"],
            "top_k": 1,
            "cache_prompt": True,
        }
    begun = time.perf_counter()
    found = player.post("/" + player.route, body)["timings"]
    took = (time.perf_counter() - begun) * 1000
    return took - found["prompt_ms"] - found["predicted_ms"] if found["predicted_ms"] else None


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=120)
    options = parser.parse_args()
    path = str(Pilot(Turbopilot()).store.path(find("qwen2.5-coder-0.5b")))
    ours = [str(Path(sys.executable).with_name("jupyter-turbopilot")), "serve", "--no-api-key"]
    theirs = [str(programs()["llama-server"]), "-m", path, "-t", "2", "-c", "4096", "--no-webui", "-np", "1"]
    steps = [step for trace in mixed(read(options.set), options.requests) for step in trace.keystrokes]
    with Player("llama-server", theirs, "infill") as a, Player("turbopilot", ours, "complete") as b:
        for player in (a, b):
            asked = [beyond(player, step) for step in steps[: options.requests]]
            found = sorted(ms for ms in asked if ms is not None)
            p95 = found[int(len(found) * 0.95)]
            print(f"{player.name}, {len(found)} requests: beyond the engine's own time ", end="")
            print(f"{statistics.median(found):.1f} ms, p95 {p95:.1f}", flush=True)


if __name__ == "__main__":
    main()
