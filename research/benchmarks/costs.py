"""What the package costs: imports, the start of a Jupyter server, the model's load, memory, long notebooks.

python research/benchmarks/costs.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
from harness import TOKEN, LocalPilot, default_weights, free_port

from jupyter_turbopilot.protocol.request import Cell, Completion

TREE = Path(__file__).resolve().parents[2]
TYPED = "result = [value * 2 for value in measurements if value > threshold]"
EVERY = 3  # characters between two requests
TOKEN_BYTES, CELLS = 12288, 8192  # bytes per token in the KV cache; cells of the cache
IMPORTS = {
    "import": "begun = time.perf_counter()\nimport jupyter_turbopilot",
    "server extension": (
        "import jupyter_server.serverapp, jupyter_turbopilot\nbegun = time.perf_counter()\n"
        "jupyter_turbopilot._jupyter_server_extension_points()"
    ),
}
COUNTED = """
import sys, time
{code}
took = time.perf_counter() - begun
files = [getattr(module, "__file__", None) or "" for module in [*sys.modules.values()]]
own = [name for name in files if name.startswith({folder!r})]
print(len(own), sum(open(name).read().count("\\n") for name in own), took * 1000)
"""


def imported(code: str) -> list[float]:
    """Return the package's modules and lines that a program imports, and the milliseconds this takes."""
    program = COUNTED.format(code=code, folder=str(TREE / "jupyter_turbopilot"))
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    return [*map(float, done.stdout.split()[-3:])]


def server_start(*, enabled: bool) -> float:
    """Return the milliseconds until a Jupyter server responds, without its model and index."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-P", "-m", "jupyter_server", "--allow-root", "--no-browser"]
        command += [f"--ServerApp.port={port}", f"--IdentityProvider.token={TOKEN}"]
        command += [f"--ServerApp.root_dir={folder}", "--Turbopilot.load_at_start=False"]
        command += ["--Turbopilot.notebook_index=False"]
        command += [f"--ServerApp.jpserver_extensions={{'jupyter_turbopilot': {enabled}}}"]
        begun = time.perf_counter()
        with subprocess.Popen(
            command, env=os.environ | {"JUPYTER_CONFIG_DIR": folder}, stderr=subprocess.DEVNULL
        ) as server:
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/api").read()
                    break
                except (urllib.error.URLError, ConnectionError):
                    time.sleep(0.005)
            took = 1000 * (time.perf_counter() - begun)
            server.terminate()
    return took


def cell(number: int) -> str:
    """Return a cell of about 60 tokens."""
    return "".join(f"column_{number}_{line} = load('file_{line}.csv', sep={line})\n" for line in range(4))


def type_cell(local: LocalPilot, count: int) -> list[float]:
    """Type into an empty cell below others; return the milliseconds of all requests except the first."""
    above = [Cell(source=cell(number)) for number in range(count)]
    requests = (
        Completion(
            cells=[*above, Cell(source=TYPED[:end])],
            active=count,
            offset=end,
            trigger="automatic",
            lines="single",
            max_tokens=8,
        )
        for end in range(EVERY, len(TYPED), EVERY)
    )
    return [local.ask(request)[0] for request in requests][1:]


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true", help="too few runs for meaningful results")
    small = parser.parse_args().small
    for name, code in IMPORTS.items():
        runs = zip(*(imported(code) for _ in range(1 if small else 7)), strict=True)
        modules, lines, ms = map(statistics.median, runs)
        print(f"{name}: {modules:.0f} modules, {lines:.0f} lines, {ms:.1f} ms", flush=True)
    starts: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(1 if small else 6):
        for enabled, took in starts.items():
            took.append(server_start(enabled=enabled))
    a, b = (statistics.median(starts[enabled]) for enabled in (True, False))
    print(f"a server responds after {a:.0f} ms with the extension, {b:.0f} ms without; {a - b:+.0f} ms")
    before = psutil.Process().memory_info().rss
    local = LocalPilot()
    print(f"the model is ready after {local.load_ms:.0f} ms", flush=True)
    type_cell(local, 40)
    total = (psutil.Process().memory_info().rss - before) / 1e6
    size, keys = default_weights().stat().st_size / 1e6, TOKEN_BYTES * CELLS / 1e6
    rest = total - size - keys
    print(
        f"memory of the engine {total:.0f} MB: the model {size:.0f}, KV cache {keys:.0f}, the rest {rest:.0f}"
    )
    times: dict[int, list[float]] = {8: [], 115: []}
    for _ in range(1 if small else 2):
        for count, found in times.items():
            found.extend(type_cell(local, count))
    local.close()
    short, long = map(statistics.mean, times.values())
    print(f"a keystroke below 115 cells {long:.0f} ms, below 8: {short:.0f} ms; {long / short:.2f}")


if __name__ == "__main__":
    main()
