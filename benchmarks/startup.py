"""Startup time: imports, the magics, the model, a Jupyter server; and the effect of typing on a busy kernel.

python benchmarks/startup.py
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


def program_seconds(code: str) -> float:
    """Return the seconds that a program takes in a new interpreter, from the last setting of `begun`."""
    program = f"import time\nbegun = time.perf_counter()\n{code}\nprint(time.perf_counter() - begun)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def server_seconds(*, enabled: bool) -> float:
    """Return the seconds until a Jupyter server responds, with or without the extension."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("jupyter-server")), "--allow-root", "--no-browser"]
        command += [f"--ServerApp.port={port}", "--IdentityProvider.token=x"]
        command += [f"--ServerApp.root_dir={folder}"]
        command += [f"--ServerApp.jpserver_extensions={{'jupyter_turbopilot': {enabled}}}"]
        environment = os.environ | {"JUPYTER_CONFIG_DIR": folder}
        begun = time.perf_counter()
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as server:
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token=x", timeout=5).read()
                    break
                except (urllib.error.URLError, ConnectionError):
                    time.sleep(0.005)
            took = time.perf_counter() - begun
            server.terminate()
            return took


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
    small = parser.parse_args().small
    for name, code in (("import", "import jupyter_turbopilot"), ("%load_ext", LOAD_MAGICS)):
        took = statistics.median(program_seconds(code) for _ in range(1 if small else 7))
        print(f"{name} jupyter_turbopilot: {took * 1000:.1f} ms", flush=True)
    starts: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(1 if small else 5):
        for enabled, seconds in starts.items():
            seconds.append(server_seconds(enabled=enabled))
    a, b = (statistics.median(starts[enabled]) * 1000 for enabled in (True, False))
    print(f"a server responds after {a:.0f} ms with the extension, {b:.0f} ms without; {a - b:+.0f} ms")
    local = LocalPilot()
    print(f"the model is ready after {local.load_ms:.0f} ms", flush=True)
    beside_typing(local, *((1_000_000, 1) if small else (60_000_000, 3)))
    local.close()


if __name__ == "__main__":
    main()
