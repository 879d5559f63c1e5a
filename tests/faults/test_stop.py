"""A real server stops on SIGTERM while a disk hangs and threads parse without an end."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..waiting import free_port, until

KEY = "k" * 20
# A disk that hangs, and a parser that does not end: neither can be had otherwise.
HUNG = """
import os, pathlib, sys, time

real = os.path.realpath

def realpath(path, **options):
    while "-no-answer" in os.fspath(path):
        time.sleep(1)
    return real(path, **options)

def parse_without_end(*_, **__):
    with open(os.environ["MARK"], "a") as mark:
        mark.write("x")
    while True:
        pass

os.path.realpath = realpath
from jupyter_turbopilot.fixes import renames
renames.find = parse_without_end
"""
SERVE = f"""{HUNG}
from jupyter_turbopilot.cli import main
sys.exit(main(["serve", "--port", sys.argv[1]]))
"""
JUPYTER = f"""{HUNG}
from jupyter_server.serverapp import main
main([
    "--allow-root", "--no-browser", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={{sys.argv[1]}}",
    "--ServerApp.port_retries=0", "--ServerApp.jpserver_extensions={{'jupyter_turbopilot': True}}",
    "--Turbopilot.denied_paths=exams/**", "--Turbopilot.notebook_index=False",
])
"""


class Server:
    """A server in a child process, without a model."""

    def __init__(self, folder: Path, program: str, prefix: str) -> None:
        port = free_port()
        self.mark = folder / "mark"
        self.mark.touch()
        (folder / "work").mkdir()
        environment = {
            "MARK": str(self.mark), "TURBOPILOT_MODELS": str(folder), "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "TURBOPILOT_API_KEY": KEY, "JUPYTER_TOKEN": KEY,
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, str(port)],
            env=os.environ | environment,
            cwd=folder / "work",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}{prefix}",
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=60,
            limits=httpx.Limits(max_connections=100),
        )
        until(self.answers)

    def answers(self) -> bool:
        with suppress(httpx.HTTPError):
            return self.client.get("health") is not None
        return False

    def post(self, path: str, bodies: list[dict[str, Any]]) -> None:
        """Send requests at once, without waiting for the responses."""

        def ask(body: dict[str, Any]) -> None:
            with suppress(httpx.HTTPError):
                self.client.post(path, json=body)

        for body in bodies:
            threading.Thread(target=ask, args=(body,), daemon=True).start()

    def parsing(self) -> int:
        """Return the number of calls that have begun to parse."""
        return len(self.mark.read_text())


@pytest.fixture(params=["serve", "jupyter"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    program, prefix = {"serve": (SERVE, "/"), "jupyter": (JUPYTER, "/turbopilot/")}[request.param]
    server = Server(tmp_path, program, prefix)
    yield server
    if server.process.poll() is None:
        server.process.kill()
    server.process.wait(30)
    server.client.close()


def test_server_stops_with_a_hung_disk_and_endless_parsing(server: Server) -> None:
    rename = {"cells": [{"source": "b = 1\na"}], "active": 0, "before": "a = 1\na"}
    server.post("rename", [rename | {"path": "a.ipynb", "enabled": True}] * 4)
    until(lambda: server.parsing() > 0)
    hung = {"cells": [{"source": "x"}], "offset": 1, "enabled": True}
    server.post("complete", [hung | {"path": f"{number}-no-answer.ipynb"} for number in range(40)])
    assert server.client.get("health").status_code in {200, 503}
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) in {0, -signal.SIGTERM}
