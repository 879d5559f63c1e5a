"""Latency of a keystroke in long notebooks, after cell changes, cancelling and restarts; step loop; memory.

python research/benchmarks/constant.py
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from baseline import programs
from harness import DEFAULT, THREADS, LocalPilot, default_weights, percentile

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.load.plan import LoadPlan
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.protocol.engine_request import EngineRequest, RawRequest, Sampling, Usage
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.settings.config import Turbopilot

TYPED = "result = [value * 2 for value in measurements if value > threshold]"
PROMPT, WRITTEN = 512, 64  # tokens in the test of the step loop
TOKEN_BYTES, CELLS = 12288, 8192  # bytes per token in the KV cache; cells of the cache


def infill(before: str, after: str, count: int) -> RawRequest:
    """Return the request of an editor for llama.cpp's server."""
    return RawRequest(prompt=before, suffix=after, window=True, sampling=Sampling(max_tokens=count))


def cell(number: int) -> str:
    """Return a cell of about 60 tokens."""
    return "".join(f"column_{number}_{line} = load('file_{line}.csv', sep={line})\n" for line in range(4))


def request_at(cells: list[str], active: int, text: str) -> Completion:
    """Return a request at the end of a text that was typed into a cell."""
    sources = [*cells[:active], text, *cells[active + 1 :]]
    return Completion(
        cells=[Cell(source=source) for source in sources],
        active=active,
        offset=len(text),
        trigger="automatic",
        lines="single",
        max_tokens=8,
    )


def type_cell(local: LocalPilot, cells: list[str], every: int) -> list[float]:
    """Type into an empty cell below; return the milliseconds of all requests except the first."""
    requests = (request_at([*cells, ""], len(cells), TYPED[:end]) for end in range(3, len(TYPED), every))
    return [local.ask(request)[0] for request in requests][1:]


def long_and_short(local: LocalPilot, every: int) -> None:
    """Compare a keystroke in a long notebook with one in a short one, alternating."""
    notebooks = {"short": [cell(n) for n in range(8)], "long": [cell(n) for n in range(115)]}
    figures: dict[str, list[float]] = {name: [] for name in notebooks}
    for _ in range(2):
        for name, cells in notebooks.items():
            figures[name] += type_cell(local, cells, every)
    engine = local.pilot.worker.engine
    assert engine
    tokens = {name: len(engine.vocabulary.tokenize("".join(cells))) for name, cells in notebooks.items()}
    a, b = (statistics.mean(figures[name]) for name in ("long", "short"))
    print(f"a keystroke in {tokens['long']} tokens {a:.0f} ms, in {tokens['short']}: {b:.0f} ms; {a / b:.2f}")


def other_cell(local: LocalPilot, every: int) -> None:
    """Compare the first keystroke after a request in another cell with one in the same cell."""
    cells = [cell(n) for n in range(14)]
    stay, back = [], []
    for end in range(6, len(TYPED) - 3, every):
        local.ask(request_at(cells, 12, TYPED[:end]))
        stay.append(local.ask(request_at(cells, 12, TYPED[: end + 1]))[0])
        local.ask(request_at(cells, 4, TYPED[:end]))
        back.append(local.ask(request_at(cells, 12, TYPED[: end + 2]))[0])
    a, b = statistics.mean(back), statistics.mean(stay)
    print(f"first keystroke after another cell {a:.0f} ms, in the same cell {b:.0f} ms; {a / b:.2f}")


def cancelling(local: LocalPilot, count: int) -> None:
    """Cancel at different times of a long prompt; print the time until the worker is free."""
    took = []
    for number in range(count):
        text = f"# {number}\n" + "".join(f"value_{n} = {n} * {number}\n" for n in range(420))
        job, replies = local.submit(infill(text, "x\n" * 400, 4))
        time.sleep(0.3 + 0.05 * number)
        begun = time.perf_counter()
        job.cancel.set("superseded")
        replies.last()
        took.append((time.perf_counter() - begun) * 1000)
    print(f"from cancel to free: p50 {statistics.median(took):.0f} ms, p95 {percentile(took, 0.95):.0f} ms")


def step_loop(rounds: int) -> None:
    """Compare the step loop with llama.cpp's own benchmark, alternating.

    No worker may be running: a second computing thread has its own OpenMP threads. With more of these than
    cores, none spins while waiting, and everything takes 1.5 times as long.
    """
    path = default_weights()
    engine = LlamaEngine(path, LoadPlan(4096, int(THREADS), cells=CELLS), name=DEFAULT)
    speeds: dict[str, list[tuple[float, float]]] = {"pp": [], "tg": []}  # Turbopilot and llama-bench
    command = [str(programs()["llama-bench"]), "-m", str(path), "-t", THREADS, "-fa", "0", "-r", "1"]
    command += ["-p", str(PROMPT), "-n", str(WRITTEN)]
    for number in range(rounds):
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        theirs = {name: float(speed) for name, speed in re.findall(r"(pp|tg)\d+ \|\s+([\d.]+)", out)}
        for name, speed in zip(speeds, step_speeds(engine, number), strict=True):
            speeds[name].append((speed, theirs[name]))
    for pairs, name in zip(speeds.values(), ("prompt", "decode"), strict=True):
        a, b = (statistics.median(each) for each in zip(*pairs, strict=True))
        print(f"{name}: Turbopilot {a:.1f}, llama-bench {b:.1f} tokens per second; {a / b:.2f}")
    engine.close()


def step_speeds(engine: Any, seed: int) -> tuple[float, float]:
    """Evaluate a new prompt, then generate after a short one; return tokens per second of both."""
    engine.drafts, engine.ends = False, set()
    prompt = [(seed * 7919 + n * 104729) % 100000 + 100 for n in range(PROMPT)]
    usage = Usage()
    run = engine.start(EngineRequest(prompt, Sampling(max_tokens=1), usage))
    while not run.done:
        engine.step([run], Cancel())
    engine.release(run)
    run = engine.start(EngineRequest([seed + 5], Sampling(max_tokens=WRITTEN + 1), Usage()))
    engine.step([run], Cancel())
    begun = time.perf_counter()
    while not run.done:
        engine.step([run], Cancel())
    took = time.perf_counter() - begun
    engine.release(run)
    return PROMPT / usage.prompt_ms * 1000, WRITTEN / took


def memory() -> None:
    """Print the memory of the process beyond the model and its KV cache."""
    before = psutil.Process().memory_info().rss
    local = LocalPilot()
    type_cell(local, [cell(n) for n in range(40)], 3)
    total = (psutil.Process().memory_info().rss - before) / 1e6
    size, keys = default_weights().stat().st_size / 1e6, TOKEN_BYTES * CELLS / 1e6
    print(f"memory of the engine {total:.0f} MB: the model {size:.0f}, KV cache {keys:.0f}, ", end="")
    print(f"the rest {total - size - keys:.0f}")
    local.close()


def restart() -> None:
    """Compare the first keystroke after a restart with and without saved sequences."""
    for keep in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            target = Pilot(Turbopilot()).store.path(find(DEFAULT))
            (Path(folder) / target.name).symlink_to(target)
            for _ in range(2):
                local = LocalPilot(keep_sequences=keep, models_dir=folder)
                took, reply = local.ask(request_at([*map(cell, range(18)), ""], 18, TYPED[:12]))
                begun = time.perf_counter()
                local.close()
                stopped = (time.perf_counter() - begun) * 1000
        cached = f"{reply.timings.cached_tokens} of {reply.timings.prompt_tokens} tokens cached"
        print(f"restart, sequences saved: {keep}: load {local.load_ms:.0f} ms, ", end="")
        print(f"first keystroke {took:.0f} ms ({cached}), stop {stopped:.0f} ms")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true", help="too few requests for meaningful results")
    small = parser.parse_args().small
    every, cancels, rounds = (24, 2, 1) if small else (3, 30, 4)
    memory()
    restart()
    local = LocalPilot()
    long_and_short(local, every)
    other_cell(local, every)
    cancelling(local, cancels)
    local.close()
    step_loop(rounds)


if __name__ == "__main__":
    main()
