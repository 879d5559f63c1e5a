"""Is a keystroke's time constant? Long notebooks, switching cells, cancelling, overhead, memory, restarts.

python benchmarks/constant.py
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import psutil
from baseline import programs
from desk import Desk, default_weights

from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.generation import Ask, Sampling, Usage
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.pilot.pilot import Pilot
from jupyter_turbopilot.raw_request import RawRequest
from jupyter_turbopilot.request import Cell, Completion

TYPED = "result = [value * 2 for value in measurements if value > threshold]"
MODEL = "qwen2.5-coder-0.5b"


def infill(before: str, after: str, count: int) -> RawRequest:
    """Ask as an editor for llama.cpp's server does."""
    return RawRequest(prompt=before, suffix=after, window=True, sampling=Sampling(max_tokens=count))


def cell(number: int) -> str:
    """Return a cell of about 60 tokens."""
    return "".join(f"column_{number}_{line} = load('file_{line}.csv', sep={line})\n" for line in range(4))


def at(cells: list[str], active: int, text: str, **more: Any) -> Completion:
    """Stand at the end of what was typed into a cell."""
    sources = [*cells[:active], text, *cells[active + 1 :]]
    return Completion(
        cells=[Cell(source=source) for source in sources],
        active=active,
        offset=len(text),
        trigger="automatic",
        lines="single",
        max_tokens=8,
        **more,
    )


def typed(desk: Desk, cells: list[str], active: int, every: int = 3) -> list[float]:
    """Type into a cell; return what each request took after the first."""
    took = [desk.ask(at(cells, active, TYPED[:end]))[0] for end in range(3, len(TYPED), every)]
    return took[1:]


def long_and_short(desk: Desk, every: int) -> None:
    """Compare a keystroke in a long notebook with one in a short one, in turns."""
    short, long = [cell(n) for n in range(8)], [cell(n) for n in range(115)]
    figures: dict[str, list[float]] = {"short": [], "long": []}
    for _ in range(2):
        figures["short"] += typed(desk, [*short, ""], len(short), every)
        figures["long"] += typed(desk, [*long, ""], len(long), every)
    tokens = {
        name: len(desk.pilot.worker.engine.vocabulary.tokenize("".join(cells)))  # type: ignore[union-attr]
        for name, cells in (("short", short), ("long", long))
    }
    a, b = (statistics.mean(figures[name]) for name in ("long", "short"))
    print(f"a keystroke in {tokens['long']} tokens {a:.0f} ms, in {tokens['short']}: {b:.0f} ms; {a / b:.2f}")


def switching(desk: Desk, every: int) -> None:
    """Compare the first keystroke after a look at another cell with one in the same cell."""
    cells = [cell(n) for n in range(14)]
    stay, back = [], []
    for end in range(6, len(TYPED) - 3, every):
        desk.ask(at(cells, 12, TYPED[:end]))
        stay.append(desk.ask(at(cells, 12, TYPED[: end + 1]))[0])
        desk.ask(at(cells, 4, TYPED[:end]))
        back.append(desk.ask(at(cells, 12, TYPED[: end + 2]))[0])
    a, b = statistics.mean(back), statistics.mean(stay)
    print(f"first key after another cell {a:.0f} ms, in the same cell {b:.0f} ms; {a / b:.2f}")


def cancelling(desk: Desk, count: int) -> None:
    """Cancel at different moments of a long prompt; how long until the worker is free?"""
    took = []
    for number in range(count):
        text = f"# {number}\n" + "".join(f"value_{n} = {n} * {number}\n" for n in range(420))
        job, replies = desk.begin(infill(text, "x\n" * 400, 4))
        time.sleep(0.3 + 0.05 * number)
        begun = time.perf_counter()
        job.cancel.set("superseded")
        replies.last()
        took.append((time.perf_counter() - begun) * 1000)
    took.sort()
    print(f"from cancel to free: p50 {took[len(took) // 2]:.0f} ms, p95 {took[int(count * 0.95)]:.0f} ms")


def side_by_side(desk: Desk) -> None:
    """Cancel one editor's prompt while another's text is written: is the text the same?"""
    request = infill("def fibonacci(n):\n    ", "", 60)
    _, alone = desk.ask(request)
    _, replies = desk.begin(request)
    time.sleep(0.2)
    for number in range(4):
        job, gone = desk.begin(infill(cell(number) * 30, "", 4))
        time.sleep(0.15)
        job.cancel.set("superseded")
        gone.last()
    same = alone.items[0].text == replies.last().items[0].text
    print(f"another's prompt cancelled four times: the text is {'the same' if same else 'NOT the same'}")


def raw(rounds: int) -> None:
    """Compare our step loop with llama.cpp's own benchmark, in turns.

    Only when no worker is left: a second thread that computes has OpenMP threads of its own, and where there
    are more of these than cores, none spins while it waits, and everything takes half as long again.
    """
    path = default_weights()
    engine = LlamaEngine(path, name=MODEL, context_size=4096, threads=2, cells=8192)
    ours: dict[str, list[float]] = {"pp": [], "tg": []}
    theirs: dict[str, list[float]] = {"pp": [], "tg": []}
    bench = [
        str(programs()["llama-bench"]),
        "-m",
        str(path),
        "-t",
        "2",
        "-fa",
        "0",  # as ours on a CPU
        "-r",
        "1",
        "-p",
        "512",
        "-n",
        "64",
    ]
    for number in range(rounds):
        said = subprocess.run(bench, capture_output=True, text=True, check=True).stdout
        for name, speed in re.findall(r"(pp|tg)\d+ \|\s+([\d.]+)", said):
            theirs[name].append(float(speed))
        pp, tg = alone(engine, number)
        ours["pp"].append(pp)
        ours["tg"].append(tg)
    for name, word in (("pp", "prompt"), ("tg", "decode")):
        a, b = statistics.median(ours[name]), statistics.median(theirs[name])
        print(f"{word}: ours {a:.1f}, llama-bench {b:.1f} tokens a second; {a / b:.2f}")
    engine.close()


def alone(engine: Any, seed: int) -> tuple[float, float]:
    """Read 512 tokens that were never seen, write 64; return tokens a second of both."""
    drafts, engine.drafts = engine.drafts, False
    prompt = [(seed * 7919 + n * 104729) % 100000 + 100 for n in range(512)]
    usage = Usage()
    run = engine.start(Ask(prompt, Sampling(max_tokens=1), usage))
    while not run.done:
        engine.step([run], Cancel())
    engine.release(run)
    engine.ends, ends = set(), engine.ends
    run = engine.start(Ask([seed + 5], Sampling(max_tokens=65), Usage()))
    engine.step([run], Cancel())
    begun = time.perf_counter()
    while not run.done:
        engine.step([run], Cancel())
    took = time.perf_counter() - begun
    engine.release(run)
    engine.drafts, engine.ends = drafts, ends
    return 512 / usage.prompt_ms * 1000, 64 / took


def memory(before: int) -> None:
    """Say what the process holds beyond the model and the keys and values."""
    desk = Desk()
    typed(desk, [*(cell(n) for n in range(40)), ""], 40)
    total = psutil.Process().memory_info().rss - before
    size = default_weights().stat().st_size
    keys = 12288 * 8192
    rest = total - size - keys
    print(
        f"memory of the engine {total / 1e6:.0f} MB: the model {size / 1e6:.0f}, keys {keys / 1e6:.0f}, ",
        end="",
    )
    print(f"the rest {rest / 1e6:.0f}")
    desk.pilot.stop()


def restart() -> None:
    """Compare the first key after a restart with and without what was kept."""
    cells = [*(cell(n) for n in range(18)), ""]
    for keep in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            target = Pilot(Turbopilot()).store.path(find(MODEL))
            (Path(folder) / target.name).symlink_to(target)
            took = 0.0
            for _ in range(2):
                begun = time.perf_counter()
                desk = Desk(keep_sequences=keep, models_dir=folder, trial=False)
                loaded = (time.perf_counter() - begun) * 1000
                took, reply = desk.ask(at(cells, 18, TYPED[:12]))
                begun = time.perf_counter()
                desk.pilot.stop()
                stopped = (time.perf_counter() - begun) * 1000
            known = f"{reply.timings.cached_tokens} of {reply.timings.prompt_tokens} tokens known"
            print(f"restart, kept: {keep}: load {loaded:.0f} ms, first key {took:.0f} ms ({known}), ", end="")
            print(f"stop {stopped:.0f} ms")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true", help="too little of everything for figures")
    small = parser.parse_args().small
    every, cancels, rounds = (24, 2, 1) if small else (3, 30, 4)
    before = psutil.Process().memory_info().rss
    memory(before)
    restart()
    desk = Desk()
    long_and_short(desk, every)
    switching(desk, every)
    side_by_side(desk)
    cancelling(desk, cancels)
    desk.pilot.stop()
    raw(rounds)


if __name__ == "__main__":
    main()
