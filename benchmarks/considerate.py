"""What a running cell loses while somebody types, and what a server's start costs with the extension.

python benchmarks/considerate.py
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from constant import TYPED, at, cell
from desk import Desk

WORK = """
import time
begun = time.perf_counter()
total = 0
for number in range(NUMBERS):
    total += number * number % 7
print(time.perf_counter() - begun)
"""


def work(numbers: int) -> float:
    """Return the seconds that a computation of a kernel takes."""
    done = subprocess.run(
        [sys.executable, "-c", f"NUMBERS = {numbers}\n{WORK}"], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def typing(desk: Desk, stop: threading.Event) -> None:
    """Type, a request each 0.4 seconds, until told to stop."""
    cells = [cell(n) for n in range(12)]
    while not stop.is_set():
        for end in range(3, len(TYPED), 3):
            if stop.is_set():
                return
            desk.ask(at([*cells, ""], 12, TYPED[:end]))
            time.sleep(0.4)


def slowed(numbers: int, rounds: int) -> None:
    """Compare a computation alone with one beside somebody who types, in turns."""
    desk = Desk()
    desk.pilot.effort.kernel_busy = lambda: True
    alone, beside = [], []
    for _ in range(rounds):
        alone.append(work(numbers))
        stop = threading.Event()
        typist = threading.Thread(target=typing, args=(desk, stop))
        typist.start()
        beside.append(work(numbers))
        stop.set()
        typist.join()
    desk.pilot.stop()
    a, b = statistics.median(beside), statistics.median(alone)
    print(f"a computation beside typing {a:.1f} s, alone {b:.1f} s; {a / b:.2f}")


def start(enabled: str) -> float:
    """Return the milliseconds until a Jupyter server answers."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("jupyter-server")), "--allow-root", "--no-browser"]
        command += [
            f"--ServerApp.port={port}",
            "--IdentityProvider.token=x",
            f"--ServerApp.root_dir={folder}",
        ]
        command += [f"--ServerApp.jpserver_extensions={{'jupyter_turbopilot': {enabled}}}"]
        begun = time.perf_counter()
        with subprocess.Popen(
            command, env=os.environ | {"JUPYTER_CONFIG_DIR": folder}, stderr=subprocess.DEVNULL
        ) as server:
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token=x", timeout=5).read()
                    break
                except (urllib.error.URLError, ConnectionError):
                    time.sleep(0.005)
            took = (time.perf_counter() - begun) * 1000
            server.terminate()
            return took


def starting(rounds: int) -> None:
    """Compare starts with and without the extension, in turns."""
    figures: dict[str, list[float]] = {"True": [], "False": []}
    for _ in range(rounds):
        for enabled, took in figures.items():
            took.append(start(enabled))
    a, b = (statistics.median(figures[name]) for name in ("True", "False"))
    print(f"a server answers after {a:.0f} ms with the extension, {b:.0f} ms without; {a - b:+.0f} ms")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--start", action="store_true", help="the server's start alone")
    parser.add_argument("--small", action="store_true", help="too little of everything for figures")
    options = parser.parse_args()
    starting(1 if options.small else 5)
    if not options.start:
        slowed(*((1_000_000, 1) if options.small else (60_000_000, 3)))


if __name__ == "__main__":
    main()
