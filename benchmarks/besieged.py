"""The server that `hostile.py` attacks, and its observers: a poller, a typing user, and the user's kernel.

    python benchmarks/besieged.py poll PORT
    python benchmarks/besieged.py type PORT KERNEL [NOTEBOOKS]

Each observer is a separate process, so that only the server delays it. For each request it prints a line of
JSON with time, duration and outcome.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from jupyter_client.blocking.client import BlockingKernelClient
from mixed_traces import mixed

from jupyter_turbopilot.plugins.evaluate.notebooks import read

TOKEN, OK = "hostile", 200
POLL, KEY = 0.1, 0.2  # seconds between two polls, between two keystrokes
LOOKS = 10.0  # seconds that the user waits for a suggestion at the end of a line
TIMEOUT = 40.0
TYPED = """import numpy as np

def moving_average(values, window):
    total = np.cumsum(values)
    return (total[window:] - total[:-window]) / window

prices = [3.0, 4.5, 5.0, 4.0, 6.5]
for price in moving_average(prices, 2):
    print(f"{price:.2f}")
"""
OBJECTS = """
class Meta(type):
    def __getattribute__(cls, name): raise RuntimeError
class Key(str):
    def __eq__(self, other): raise RuntimeError
    __hash__ = str.__hash__
class Hostile(metaclass=Meta):
    def __getattribute__(self, name): raise RuntimeError
hostile = Hostile(); globals()[Key("hostile_key")] = 1
globals().update({f"name_{n}": n for n in range(50_000)})
"""


def ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    """Send a request and wait for the response."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        headers = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
        link.request(method, f"/{path}", json.dumps(body) if body is not None else None, headers)
        answer = link.getresponse()
        return answer.status, answer.read()
    finally:
        link.close()


def note(at: float, begun: float, end: int | str) -> None:
    """Print the outcome of a request in one write, because several threads print."""
    os.write(1, json.dumps([at, time.monotonic() - begun, end]).encode() + b"\n")


class Server:
    """A Jupyter server in a separate process with temporary folders, on the loopback interface."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = int(found.getsockname()[1])
        for name in ("config", "runtime", "data", "work", "ipython"):
            (folder / name).mkdir()
        (folder / "config" / "jupyter_server_config.py").write_text(
            f"c.Turbopilot.keep_sequences = False\n{settings}"
        )
        self.log, self.runtime = folder / "log", folder / "runtime"
        own = {f"JUPYTER_{name.upper()}_DIR": str(folder / name) for name in ("config", "runtime", "data")}
        own["IPYTHONDIR"] = str(folder / "ipython")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).parent / "jupyter"), "server", "--allow-root", "--no-browser",
                 f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1",
                 f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder / 'work'}"],
                env=os.environ | own | {"PYTHONFAULTHANDLER": "1"}, stdout=log, stderr=log,
            )  # fmt: skip
        end = time.monotonic() + 180
        while not self._ready():
            if time.monotonic() > end or self.process.poll() is not None:
                self.stop()
                raise SystemExit("The server did not become ready:\n" + self.log.read_text()[-3000:])
            time.sleep(0.2)

    def _ready(self) -> bool:
        try:
            return bool(json.loads(ask(self.port, "GET", "turbopilot/health")[1])["ready"])
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            return False

    def memory(self) -> float:
        """Return the resident memory in MB."""
        return float(psutil.Process(self.process.pid).memory_info().rss / 1e6)

    def good(self) -> str:
        """Request an ordinary completion; if it fails, abort the server to log its stacks."""
        body = {"cells": [{"source": "import num"}], "offset": 10, "trigger": "invoke"}
        try:
            return str(ask(self.port, "POST", "turbopilot/complete", body)[0])
        except (OSError, http.client.HTTPException) as error:
            self.process.send_signal(signal.SIGABRT)
            return f"{type(error).__name__}; the log contains the stack of each thread"

    def kernel(self) -> str:
        """Start the user's kernel."""
        body = {"path": "person.ipynb", "name": "", "type": "notebook", "kernel": {"name": "python3"}}
        found: str = json.loads(ask(self.port, "POST", "api/sessions", body)[1])["kernel"]["id"]
        return found

    def execute(self, kernel: str, stop: threading.Event) -> None:
        """Execute cells with hostile objects until `stop` is set."""
        client = BlockingKernelClient(connection_file=str(self.runtime / f"kernel-{kernel}.json"))
        client.load_connection_file()
        client.start_channels()
        while not stop.wait(5.0):
            client.execute(OBJECTS)
        client.stop_channels()

    def watch(self, file: Path, *what: str) -> subprocess.Popen[bytes]:
        """Start an observer that writes to a file."""
        with file.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, __file__, what[0], str(self.port), *what[1:]], stdout=output
            )

    def stop(self) -> float:
        """Stop the server like a service manager; return the seconds this took."""
        begun = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return time.monotonic() - begun


def poll(port: int) -> None:
    """Poll `/api/status` repeatedly."""
    while True:
        at, begun = time.time(), time.monotonic()
        try:
            end: int | str = ask(port, "GET", "api/status")[0]
        except (OSError, http.client.HTTPException) as error:
            end = type(error).__name__
        note(at, begun, end)
        time.sleep(max(0.0, POLL - (time.monotonic() - begun)))


def type_on(port: int, kernel: str, source: str = "") -> None:
    """Type in real time with a request per keystroke; pause at the end of a line for a suggestion."""
    while True:
        for cells, active, written in notebooks(source):
            for place in range(1, len(written) + 1):
                shown = [*cells[:active], written[:place], *cells[active + 1 :]]
                reported = [{"source": cell} for cell in shown]
                body = {"path": "person.ipynb", "client": "person", "kernel_id": kernel, "active": active,
                        "offset": place, "stream": True, "cells": reported}  # fmt: skip
                asked = threading.Thread(target=suggestion, args=(port, body), daemon=True)
                asked.start()
                if written[place - 1] == "\n":
                    asked.join(LOOKS)
                time.sleep(KEY)


def suggestion(port: int, body: dict[str, Any]) -> None:
    """Request a suggestion."""
    at, begun = time.time(), time.monotonic()
    try:
        status, message = ask(port, "POST", "turbopilot/complete", body)
        frames = [json.loads(line) for line in message.split(b"\n")[:-1]] if status == OK else []
        if frames and "error" in frames[-1]:
            end = str(frames[-1]["error"]["code"])
        elif not frames or not frames[-1].get("done"):
            end = "cut" if status == OK else str(status)
        elif frames[-1].get("finish_reason") == "superseded" and not any(f.get("text") for f in frames):
            end = "superseded"
        else:
            end = "answered"
    except (OSError, ValueError, http.client.HTTPException) as error:
        end = type(error).__name__
    note(at, begun, end)


def notebooks(source: str) -> list[tuple[list[str], int, str]]:
    """Return the cells, the index of the active one, and the text to type into it."""
    if not source:
        return [([f"# {number}\n{TYPED}", ""], 1, TYPED) for number in range(3)]
    steps = [trace.keystrokes[0] for trace in mixed(read(Path(source)), 200) if trace.kind == "append"]
    return [(list(s.cells), s.active, s.cells[s.active][: s.offset] + s.future) for s in steps]


if __name__ == "__main__":
    {"poll": poll, "type": type_on}[sys.argv[1]](int(sys.argv[2]), *sys.argv[3:])
