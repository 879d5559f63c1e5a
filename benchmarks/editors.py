"""Eight editors at once: tokens a second, slowest first token and mean text, against llama-server.

python benchmarks/editors.py --set notebooks.json.gz
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from baseline import programs
from desk import default_weights
from replay import Player

from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.evaluate.traces import Keystroke, mixed

EDITORS, TOKENS, LONGEST = 8, 48, 1800


def stream(port: int, step: Keystroke, found: list[tuple[float, int, float]]) -> None:
    """Ask for a stream; note the time of the first piece, the tokens and the time of the end."""
    body = {
        "input_prefix": step.prefix,
        "input_suffix": step.suffix,
        "n_predict": TOKENS,
        "temperature": 0.0,
        "top_k": 1,
        "samplers": ["top_k"],
        "stream": True,
        "ignore_eos": True,
    }
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    begun = time.perf_counter()
    link.request("POST", "/infill", json.dumps(body), {"Content-Type": "application/json"})
    reply = link.getresponse()
    first = predicted = 0.0
    for raw in reply:
        if raw.startswith(b"data: "):
            first = first or time.perf_counter() - begun
            event = json.loads(raw[6:])
            predicted = event.get("tokens_predicted", predicted)
    found.append((first * 1000, int(predicted), (time.perf_counter() - begun) * 1000))


def crowd(player: Player, steps: list[Keystroke]) -> tuple[float, float, float]:
    """Let all editors ask at once; return tokens a second, the slowest first token, a text's mean time."""
    found: list[tuple[float, int, float]] = []
    threads = [threading.Thread(target=stream, args=(player.port, step, found)) for step in steps]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begun
    rate = sum(tokens for _, tokens, _ in found) / took
    return rate, max(first for first, _, _ in found), statistics.mean(done for _, _, done in found)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    theirs = [str(programs()["llama-server"]), "-m", str(default_weights()), "-t", "2", "-c", "8192"]
    theirs += ["--no-webui", "-np", str(EDITORS)]
    ours = [str(Path(sys.executable).with_name("jupyter-turbopilot")), "serve", "--no-api-key"]
    # Everybody in a cell of their own, and with room for all on both sides: 8 192 tokens.
    traces = mixed(read(options.set), 4000)
    steps = [trace.keystrokes[-1] for trace in traces if len(trace.keystrokes[-1].prefix) < LONGEST]
    with Player("llama-server", theirs, "infill") as a, Player("turbopilot", ours, "infill") as b:
        figures: dict[str, list[tuple[float, float, float]]] = {a.name: [], b.name: []}
        for number in range(options.rounds):
            asked = [steps[(number * EDITORS + n) % len(steps)] for n in range(EDITORS)]
            for player in (a, b):
                figures[player.name].append(crowd(player, asked))
                print(player.name, figures[player.name][-1], flush=True)
    words = ("tokens a second", "slowest first token, ms", "mean time of a text, ms")
    for index, word in enumerate(words):
        theirs_, ours_ = (statistics.mean(run[index] for run in runs) for runs in figures.values())
        print(f"{word}: ours {ours_:.1f}, llama-server {theirs_:.1f}; {ours_ / theirs_:.2f}")


if __name__ == "__main__":
    main()
