"""Measure the start without the copy of the model, and the exchange of the file's engine for the copy's.

`--start` measures only the seconds until the first suggestion, which also works with earlier versions.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from harness import DEFAULT, JupyterServer, LocalPilot, percentile

from jupyter_turbopilot.models.folder import models_dir, note_path
from jupyter_turbopilot.protocol.request import Cell, Completion

if TYPE_CHECKING:
    from collections.abc import Iterator

CELLS = (
    "import numpy as np\nimport pandas as pd\nimport matplotlib.pyplot as plt",
    "penguins = pd.read_csv('penguins.csv')\npenguins.head()",
    "penguins.groupby('species')['body_mass_g'].mean()",
    "heavy = penguins[penguins['body_mass_g'] > 4000]\nheavy.describe()",
)
LINES = (
    "masses = penguins.groupby('species')['body_mass_g'].median()",
    "plt.scatter(penguins['bill_length_mm'], penguins['bill_depth_mm'])",
    "long = penguins[penguins['flipper_length_mm'] > 200]",
)
EVERY = 4  # characters between two requests
REPEATS = 6  # pairs of sessions with and without the copying process
COPYING = "copying"  # in the command line of that process
EXCHANGES, IDLE, PAUSE = 24, 0.4, 0.1  # of the engines in this process


def body(session: int, line: str, end: int) -> dict[str, Any]:
    """Return a request; sessions have different beginnings, so that nothing is cached."""
    above = [f"# session {session}", *CELLS]
    cells = [{"id": str(n), "type": "code", "source": source} for n, source in enumerate(above)]
    cells.append({"id": "last", "type": "code", "source": line[:end]})
    active = len(cells) - 1
    return {"path": "a.ipynb", "language": "python", "cells": cells, "active": active, "offset": end,
            "trigger": "automatic", "stream": False, "client": "typist"}  # fmt: skip


def ends(line: str) -> Iterator[int]:
    yield from range(EVERY, len(line), EVERY)


def type_session(server: JupyterServer, session: int) -> list[float]:
    """Type all lines; return the milliseconds of the requests, without the first, which evaluates the cells."""
    found = []
    for line in LINES:
        for end in ends(line):
            begun = time.perf_counter()
            reply = server.send("POST", "turbopilot/complete", body(session, line, end))
            found.append(1000 * (time.perf_counter() - begun))
            if reply.status != 200:
                raise SystemExit(f"status {reply.status}: {reply.content[:300]!r}")
    return found[1:]


def copied_models(folder: Path) -> Path:
    """Return a models folder with the downloaded file and without its copy."""
    models = folder / "models"
    models.mkdir()
    (file,) = models_dir().glob("qwen2.5-coder-0.5b*.gguf")
    for path in (file, note_path(file)):
        shutil.copy2(path, models)
    return models


def child_of(server: JupyterServer, words: str) -> psutil.Process | None:
    for child in psutil.Process(server.process.pid).children(recursive=True):
        with suppress(psutil.Error):
            if any(words in word for word in child.cmdline()):
                return child
    return None


def serves_copy(server: JupyterServer) -> bool:
    return "/tuned/" in Path(f"/proc/{server.process.pid}/maps").read_text()


class Memory:
    """Samples the memory of a server and its children, in megabytes of proportional set size."""

    def __init__(self, pid: int) -> None:
        self._pid, self._ended = pid, threading.Event()
        self.peaks: dict[str, float] = {}
        self.phase = "load"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(0.1):
            with suppress(psutil.Error, OSError):
                process = psutil.Process(self._pid)
                own = process.memory_full_info().pss / 1e6
                others = 0.0
                for child in process.children(recursive=True):
                    with suppress(psutil.Error, OSError):
                        others += child.memory_full_info().pss / 1e6
                for name, value in ((self.phase, own), (f"{self.phase}, with children", own + others)):
                    self.peaks[name] = max(self.peaks.get(name, 0.0), value)

    def close(self) -> None:
        self._ended.set()
        self._thread.join()


def first_suggestion(server: JupyterServer, begun: float) -> tuple[float, float]:
    """Return the seconds until the model is ready, and until the first text."""
    ready = 0.0
    while True:
        with suppress(OSError):
            if not ready and server.parsed("GET", "turbopilot/health").get("ready"):
                ready = time.monotonic() - begun
            if ready:
                reply = server.parsed("POST", "turbopilot/complete", body(0, LINES[0], 24))
                if reply.get("items"):
                    return ready, time.monotonic() - begun
        if server.process.poll() is not None:
            raise SystemExit(server.log.read_text()[-3000:])
        time.sleep(0.1)


def start(*, only: bool) -> None:
    """Start a Jupyter server without a copy, and type while the copy is made and exchanged."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = copied_models(folder)
        environment = os.environ | {"TURBOPILOT_MODELS": str(models), "XDG_CACHE_HOME": str(folder / "cache")}
        options = (f"--Turbopilot.model={DEFAULT}", "--Turbopilot.yield_cpu=False")
        begun = time.monotonic()
        server = JupyterServer(folder, *options, ready=bool, environment=environment)
        try:
            ready, first = first_suggestion(server, begun)
            print(f"ready after {ready:.1f} s, first suggestion after {first:.1f} s", flush=True)
            if not only:
                measure(server, models, begun)
        finally:
            print(f"stopped in {server.stop():.1f} s")
            print(server.log.read_text()[-1500:], file=sys.stderr)


def measure(server: JupyterServer, models: Path, begun: float) -> None:
    memory = Memory(server.process.pid)
    memory.phase = "copying"
    pairs = []
    session = 1
    while (child := child_of(server, COPYING)) and len(pairs) < REPEATS:
        times = {}
        for stopped in random.sample([True, False], 2):
            with suppress(psutil.Error):
                (child.suspend if stopped else child.resume)()
                times[stopped] = type_session(server, session)
                session += 1
        if child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
            child.resume()
            pairs.append(times)
    for share, label in ((0.5, "median"), (0.95, "p95")):
        with_copying, without = (
            [percentile(times[stopped], share) for times in pairs] for stopped in (False, True)
        )
        ratios = [a / b for a, b in zip(with_copying, without, strict=True)]
        print(
            f"{label} of a keystroke, {len(pairs)} pairs: {statistics.median(with_copying):.0f} ms while the copy "
            f"is made, {statistics.median(without):.0f} ms without; ratio {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )
    while child_of(server, COPYING):
        time.sleep(0.2)
    print(f"the copy was made after {time.monotonic() - begun:.0f} s", flush=True)
    memory.phase = "load test"
    while child_of(server, "load_test"):
        time.sleep(0.2)
    print(f"tested after {time.monotonic() - begun:.0f} s", flush=True)
    memory.phase = "file"
    file_times = type_session(server, session) + type_session(server, session + 1)
    paused = time.monotonic()
    memory.phase = "exchange"
    while not serves_copy(server):
        time.sleep(0.05)
    loaded = time.monotonic() - paused
    while models.name + "/qwen" in Path(f"/proc/{server.process.pid}/maps").read_text():
        time.sleep(0.05)
    print(
        f"the copy was loaded after a pause of {loaded:.1f} s, exchanged after {time.monotonic() - paused:.1f} s"
    )
    memory.phase = "copy"
    first_again = time.perf_counter()
    reply = server.parsed(
        "POST", "turbopilot/complete", body(session + 1, LINES[-1] + " # the next", len(LINES[-1]))
    )
    first_ms = 1000 * (time.perf_counter() - first_again)
    print(f"first keystroke of the copy {first_ms:.0f} ms; {reply.get('timings')}")
    copy_times = type_session(server, session + 2) + type_session(server, session + 3)
    for label, share in (("median", 0.5), ("p95", 0.95)):
        a, b = percentile(file_times, share), percentile(copy_times, share)
        print(f"{label} of a keystroke: file with adapter {a:.0f} ms, copy {b:.0f} ms; ratio {a / b:.2f}")
    memory.close()
    print({name: round(value) for name, value in memory.peaks.items()})


def exchange() -> None:
    """Exchange the engine again and again in this process, while two clients type, one of them with pauses."""
    from jupyter_turbopilot.engine import successor
    from jupyter_turbopilot.engine.cancel import Cancel

    successor.IDLE, successor.PAUSE = IDLE, PAUSE
    with closing(LocalPilot()) as local:
        pilot, used = local.pilot, []
        model = pilot.kind.find(DEFAULT)
        seen: dict[str, list[float]] = {"usual": [], "near an exchange": []}
        lost = refused = keys = duplicates = 0

        def offer() -> None:
            pilot.worker.replace_when_idle(
                lambda: pilot.kind.load(model, Cancel(), adapters_enabled=True), installed
            )

        def installed(engine: Any, prompt: Any) -> None:
            pilot.completer.use_successor(engine, prompt)
            used.append(time.monotonic())

        offer()
        session = 0
        drawn = random.Random(1)
        while len(used) < EXCHANGES:
            session += 1
            before = len(used)
            cells = [Cell(source=f"# session {session // 4}"), *(Cell(source=source) for source in CELLS)]
            line = LINES[session % len(LINES)]
            end = 0
            while end < len(line):
                end += EVERY
                request = Completion(
                    cells=[*cells, Cell(source=line[:end])], active=len(cells), offset=len(line[:end]),
                    trigger="automatic", client="typist", sequence=keys + 1,
                )  # fmt: skip
                keys += 1
                begun = time.perf_counter()
                try:
                    _, replies = local.submit(request)
                    found = list(replies)
                except Exception as error:  # noqa: BLE001 - counted
                    refused += 1
                    print("refused:", repr(error))
                    continue
                took = 1000 * (time.perf_counter() - begun)
                last = [reply for reply in found if reply.done]
                lost += not last or bool(last[-1].error)
                duplicates += len(last) > 1
                near = bool(used) and time.monotonic() - used[-1] < 2 * took / 1000 + 0.3
                seen["near an exchange" if near else "usual"].append(took)
                # The other client pauses sometimes, for as long as a load and an evaluation take.
                time.sleep(drawn.uniform(0.0, 2.5) if drawn.random() < 0.3 else 0.1)
            if len(used) > before:
                offer()
    print(
        f"{keys} keystrokes, {len(used)} exchanges: {lost} lost, {refused} refused, {duplicates} duplicate replies"
    )
    for name, times in seen.items():
        shown = ", ".join(f"{percentile(times, share):.0f}" for share in (0.5, 0.95, 1.0))
        print(f"{name}: {len(times)} keystrokes; median, p95, most: {shown} ms")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--start", action="store_true", help="measure only the start")
    parser.add_argument("--exchange", action="store_true", help="measure only exchanges in this process")
    options = parser.parse_args()
    if not options.exchange:
        start(only=options.start)
    if not options.start:
        exchange()


if __name__ == "__main__":
    main()
