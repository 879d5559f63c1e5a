"""Startup time: imports, the magics, the model, a Jupyter server; and the effect of typing on a busy kernel.

python research/benchmarks/startup.py [--before CHECKOUT]

With another checkout, it compares what the package imports, how fast a server starts, and its memory without
a model, in alternating runs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
from constant import TYPED, cell, request_at
from harness import LocalPilot, free_port

LOAD_MAGICS = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
begun = time.perf_counter()
shell.run_line_magic("load_ext", "jupyter_turbopilot")
"""
COMPUTE = """
total = 0
for number in range({}):
    total += number * number % 7
"""
PAUSE = 0.4  # seconds between two requests of the typing user
IMPORTS = {
    "import": "begun = time.perf_counter()\nimport jupyter_turbopilot",
    "server extension": (
        "import jupyter_server.serverapp, jupyter_turbopilot\nbegun = time.perf_counter()\n"
        "jupyter_turbopilot._jupyter_server_extension_points()"
    ),
    "%load_ext": LOAD_MAGICS,
}
COUNTED = """
import sys, time
{code}
took = time.perf_counter() - begun
files = [getattr(module, "__file__", None) or "" for module in [*sys.modules.values()]]
own = [name for name in files if name.startswith({folder!r})]
print(len(own), sum(open(name).read().count("\\n") for name in own), took * 1000)
"""
RESTS = {"server, request at once": 0.0, "server, request after 2 s": 2.0}


def program_seconds(code: str) -> float:
    """Return the seconds that a program takes in a new interpreter, from the last setting of `begun`."""
    program = f"import time\nbegun = time.perf_counter()\n{code}\nprint(time.perf_counter() - begun)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def imported(tree: Path, code: str) -> dict[str, float]:
    """Return the package's modules and lines that a program imports in a new interpreter, and its seconds."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", COUNTED.format(code=code, folder=str(tree / "jupyter_turbopilot"))],
        env=environment(tree),
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(("modules", "lines", "ms"), map(float, done.stdout.split()[-3:]), strict=True))


def environment(tree: Path) -> dict[str, str]:
    """Return the environment of a process that imports the package from a checkout."""
    return os.environ | {"PYTHONPATH": str(tree)}


def server_start(tree: Path, *, enabled: bool = True, rest: float = 0.0) -> dict[str, float]:
    """Start a Jupyter server without its model and index; return its times and its memory.

    `rest`: seconds between the server's first response and the first request to Turbopilot.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("jupyter-server")), "--allow-root", "--no-browser"]
        command += [f"--ServerApp.port={port}", "--IdentityProvider.token=x"]
        command += [f"--ServerApp.root_dir={folder}", "--Turbopilot.load_at_start=False"]
        command += ["--Turbopilot.notebook_index=False"]
        command += [f"--ServerApp.jpserver_extensions={{'jupyter_turbopilot': {enabled}}}"]
        variables = environment(tree) | {"JUPYTER_CONFIG_DIR": folder}
        begun = time.perf_counter()
        with subprocess.Popen(command, env=variables, stderr=subprocess.DEVNULL) as server:
            while not _responds(port, "api"):
                time.sleep(0.005)
            measured = {"start": 1000 * (time.perf_counter() - begun)}
            time.sleep(rest)
            memory = psutil.Process(server.pid).memory_info().rss / 1e6  # the request loads the model
            begun = time.perf_counter()
            _responds(port, "turbopilot/complete", b'{"cells": [{"source": "x = "}], "offset": 4}')
            measured["first request"] = 1000 * (time.perf_counter() - begun)
            server.terminate()
            return measured | ({"MB": memory} if rest else {})


def _responds(port: int, path: str, body: bytes | None = None) -> bool:
    headers = {"Authorization": "token x", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", body, headers)
    try:
        urllib.request.urlopen(request, timeout=30).read()
    except urllib.error.HTTPError as error:
        return bool(error.read())  # 503: no model is loaded
    except (urllib.error.URLError, ConnectionError):
        return False
    return True


def compare(trees: dict[str, Path], runs: int) -> None:
    """Print medians of alternating runs in each checkout."""
    results: dict[tuple[str, str], list[dict[str, float]]] = {}
    for _ in range(runs):
        for name, tree in trees.items():
            for what, code in IMPORTS.items():
                results.setdefault((what, name), []).append(imported(tree, code))
            for what, rest in RESTS.items():
                results.setdefault((what, name), []).append(server_start(tree, rest=rest))
    for (what, name), measured in results.items():
        row = (f"{statistics.median(one[key] for one in measured):.0f} {key}" for key in measured[0])
        print(f"{what}, {name}: {', '.join(row)}", flush=True)


def type_until(local: LocalPilot, stop: threading.Event) -> None:
    """Type until the event is set."""
    cells = [cell(number) for number in range(12)]
    while not stop.is_set():
        for end in range(3, len(TYPED), 3):
            if not stop.is_set():
                local.ask(request_at([*cells, ""], 12, TYPED[:end]))
                stop.wait(PAUSE)


def beside_typing(local: LocalPilot, numbers: int, rounds: int) -> None:
    """Compare a kernel's computation alone with one beside a typing user, alternating."""
    local.pilot.effort.kernel_busy = lambda: True
    alone, beside = [], []
    for _ in range(rounds):
        alone.append(program_seconds(COMPUTE.format(numbers)))
        stop = threading.Event()
        typist = threading.Thread(target=type_until, args=(local, stop))
        typist.start()
        beside.append(program_seconds(COMPUTE.format(numbers)))
        stop.set()
        typist.join()
    a, b = statistics.median(beside), statistics.median(alone)
    print(f"a computation beside typing {a:.1f} s, alone {b:.1f} s; {a / b:.2f}")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true", help="too few runs for meaningful results")
    parser.add_argument("--before", type=Path, help="another checkout, to compare only the starts")
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    small = options.small
    here = Path(__file__).resolve().parents[2]
    if options.before:
        compare({"before": options.before.resolve(), "after": here}, options.runs)
        return
    for name, code in IMPORTS.items():
        took = statistics.median(imported(here, code)["ms"] for _ in range(1 if small else 7))
        print(f"{name} jupyter_turbopilot: {took:.1f} ms", flush=True)
    starts: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(1 if small else 5):
        for enabled, seconds in starts.items():
            seconds.append(server_start(here, enabled=enabled)["start"])
    a, b = (statistics.median(starts[enabled]) for enabled in (True, False))
    print(f"a server responds after {a:.0f} ms with the extension, {b:.0f} ms without; {a - b:+.0f} ms")
    local = LocalPilot()
    print(f"the model is ready after {local.load_ms:.0f} ms", flush=True)
    beside_typing(local, *((1_000_000, 1) if small else (60_000_000, 3)))
    local.close()


if __name__ == "__main__":
    main()
