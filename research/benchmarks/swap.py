"""Measure the start without the copy of the model, and the exchange of the file's engine for the copy's.

`swap` and `exchange` need the copy (`jupyter turbopilot models pull`). `start` also measures older versions.
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
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from filelock import FileLock
from harness import DEFAULT, OK, JupyterServer, LocalPilot, percentile

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
EVERY = 8  # characters between two requests
REPEATS = 4  # pairs of sessions with and without the copying process
COPYING = "copying"  # in the command line of that process
EXCHANGES, IDLE, PAUSE = 8, 0.4, 0.1  # of the engines in this process
NEAR = 0.3  # seconds after an exchange
LONG_PAUSES = 0.3  # share


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
    """Type all lines; return the milliseconds of the requests, without the first, which reads the cells."""
    found = []
    for line in LINES:
        for end in ends(line):
            begun = time.perf_counter()
            reply = server.send("POST", "turbopilot/complete", body(session, line, end))
            found.append(1000 * (time.perf_counter() - begun))
            if reply.status != OK:
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


def first_suggestion(server: JupyterServer, begun: float) -> None:
    """Print the seconds until the model is ready and until the first text, and their processor time."""
    ready = 0.0
    while True:
        with suppress(OSError):
            if not ready and server.parsed("GET", "turbopilot/health").get("ready"):
                ready = time.monotonic() - begun
            if ready and server.parsed("POST", "turbopilot/complete", body(0, LINES[0], 24)).get("items"):
                break
        if server.process.poll() is not None:
            raise SystemExit(server.log.read_text()[-3000:])
        time.sleep(0.1)
    first = time.monotonic() - begun
    spent = sum(psutil.Process(server.process.pid).cpu_times()[:4])
    print(f"ready after {ready:.1f} s, first suggestion after {first:.1f} s, {spent:.1f} s of processor time")


@contextmanager
def server_without_copy(folder: Path) -> Iterator[tuple[JupyterServer, Path, float]]:
    """Start a Jupyter server with the downloaded file; yield it, its models folder and its start."""
    models = copied_models(folder)
    environment = os.environ | {"TURBOPILOT_MODELS": str(models), "XDG_CACHE_HOME": str(folder / "cache")}
    options = (f"--Turbopilot.model={DEFAULT}", "--Turbopilot.yield_cpu=False")
    begun = time.monotonic()
    server = JupyterServer(folder, *options, ready=bool, environment=environment)
    try:
        yield server, models, begun
    finally:
        print(
            f"stopped in {server.stop():.1f} s; left: {[path.name for path in models.glob('tuned/*')]}",
            flush=True,
        )
        print(server.log.read_text()[-1500:], file=sys.stderr)


def start() -> None:
    """Measure the first suggestion."""
    with tempfile.TemporaryDirectory() as name, server_without_copy(Path(name)) as (server, _, begun):
        first_suggestion(server, begun)


def typing() -> None:
    """Type while the copy is made, in pairs of sessions: the process that makes it runs or is stopped."""
    with tempfile.TemporaryDirectory() as name, server_without_copy(Path(name)) as (server, _, begun):
        first_suggestion(server, begun)
        type_session(server, 1)
        pairs: list[dict[bool, list[float]]] = []
        while (child := child_of(server, COPYING)) and len(pairs) < REPEATS:
            times = {}
            for stopped in (True, False) if len(pairs) % 2 else (False, True):
                with suppress(psutil.Error):
                    (child.suspend if stopped else child.resume)()
                times[stopped] = type_session(server, 2 + 2 * len(pairs) + stopped)
            with suppress(psutil.Error):
                child.resume()
            pairs.append(times)
            print({stopped: round(statistics.median(found)) for stopped, found in times.items()}, flush=True)
        if child:
            print(
                f"it takes {psutil.cpu_percent(0.1):.0f} %, and has used {sum(child.cpu_times()[:2]):.0f} s"
            )
    for share, label in ((0.5, "median"), (0.95, "p95")):
        both = [[percentile(times[stopped], share) for times in pairs] for stopped in (False, True)]
        ratios = sorted(a / b for a, b in zip(*both, strict=True))
        a, b = map(statistics.median, both)
        print(
            f"{label} of a keystroke, {len(pairs)} pairs: {a:.0f} ms beside the copying, {b:.0f} ms without; "
            f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


def swap() -> None:
    """Pause in a server whose copy is finished by another one, and type with both engines."""
    with tempfile.TemporaryDirectory() as name, server_without_copy(Path(name)) as (server, models, begun):
        (finished,) = models_dir().glob("tuned/qwen2.5-coder-0.5b*.gguf")
        target = models / "tuned" / finished.name
        target.parent.mkdir(exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            memory = Memory(server.process.pid)
            first_suggestion(server, begun)
            memory.phase = "file"
            file_times = type_session(server, 1) + type_session(server, 2)
            shutil.copy2(finished, target)
        memory.phase = "load test"
        while not (child := child_of(server, "load_test")) and child_of(server, COPYING):
            time.sleep(0.05)
        while child and child.is_running() and child_of(server, "load_test"):
            time.sleep(0.1)
        file_times += type_session(server, 3)
        paused, memory.phase = time.monotonic(), "exchange"
        maps = Path(f"/proc/{server.process.pid}/maps")
        while "/tuned/" not in maps.read_text():
            time.sleep(0.02)
        loaded = time.monotonic() - paused
        while f"{models}/qwen" in maps.read_text():
            time.sleep(0.02)
        used = time.monotonic() - paused
        print(f"the copy is mapped after {loaded:.1f} s of a pause, and used after {used:.1f} s")
        time.sleep(1.0)
        memory.phase = "copy"
        again = time.perf_counter()
        reply = server.parsed("POST", "turbopilot/complete", body(3, LINES[-1] + "\n", len(LINES[-1]) + 1))
        print(f"first keystroke {1000 * (time.perf_counter() - again):.0f} ms: {reply.get('timings')}")
        copy_times = type_session(server, 4) + type_session(server, 5) + type_session(server, 6)
        for label, share in (("median", 0.5), ("p95", 0.95)):
            a, b = percentile(file_times, share), percentile(copy_times, share)
            print(f"{label} of a keystroke: file with adapter {a:.0f} ms, copy {b:.0f} ms; ratio {a / b:.2f}")
        memory.close()
        print("memory, MB:", {phase: round(value) for phase, value in memory.peaks.items()})


def exchange() -> None:
    """Exchange the engine again and again in this process, while a client types with and without pauses."""
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
        drawn = random.Random(1)  # noqa: S311 - a simulated user
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
                near = bool(used) and time.monotonic() - used[-1] < 2 * took / 1000 + NEAR
                seen["near an exchange" if near else "usual"].append(took)
                # Some pauses are as long as a load and an evaluation.
                time.sleep(drawn.uniform(0.0, 2.5) if drawn.random() < LONG_PAUSES else 0.1)
            if len(used) > before:
                offer()
    print(
        f"{keys} keystrokes, {len(used)} exchanges: {lost} lost, {refused} refused, "
        f"{duplicates} answered twice"
    )
    for name, times in seen.items():
        shown = ", ".join(f"{percentile(times, share):.0f}" for share in (0.5, 0.95, 1.0))
        print(f"{name}: {len(times)} keystrokes; median, p95, most: {shown} ms")


def main() -> None:
    """Run."""
    parts = {"start": start, "typing": typing, "swap": swap, "exchange": exchange}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], help="default: all")
    for part in parser.parse_args().parts or parts:
        print(f"{part}:", flush=True)
        parts[part]()


if __name__ == "__main__":
    main()
