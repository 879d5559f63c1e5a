"""A real server with the real model: idle, overloaded, and stopped under load."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from ..waiting import free_port, until

pytestmark = pytest.mark.model

TOKEN = "token-for-tests"
LONG = "".join(f"value_{number} = {number} * 2  # a line of a long cell\n" for number in range(200))


class Server:
    """A Jupyter server in a separate process."""

    def __init__(self, folder: Path, models: Path) -> None:
        self.port = free_port()
        work = folder / "work"
        work.mkdir()
        self.process = subprocess.Popen(
            [
                str(Path(sys.executable).parent / "jupyter"), "server", "--allow-root", "--no-browser",
                f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1",
                f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={work}",
            ],
            env=os.environ
            | {"TURBOPILOT_MODELS": str(models), "JUPYTER_RUNTIME_DIR": str(folder / "runtime")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}/turbopilot/",
            headers={"Authorization": f"token {TOKEN}"},
            timeout=120,
            limits=httpx.Limits(max_connections=200),
        )

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get("health").json()
        return found

    def is_ready(self) -> bool:
        with contextlib.suppress(httpx.HTTPError, ValueError):
            return bool(self.health()["ready"])
        return False

    def complete(self, source: str, **more: Any) -> httpx.Response:
        body = {"cells": [{"source": source}], "offset": len(source)} | more
        return self.client.post("complete", json=body)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(30)
        self.client.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, default_models: Path) -> Iterator[Server]:
    """A server for all tests; the last one stops it."""
    server = Server(tmp_path_factory.mktemp("server"), default_models)
    until(server.is_ready, 180)
    yield server
    server.kill()


def in_background(server: Server, count: int, source: str) -> None:
    def ask(number: int) -> None:
        with contextlib.suppress(httpx.HTTPError):
            server.complete(source, client=f"c{number}", max_tokens=400, lines="multi")

    for number in range(count):
        threading.Thread(target=ask, args=(number,), daemon=True).start()
    until(lambda: server.health()["phase"] == "generating")


def test_idle_server_uses_no_cpu(server: Server) -> None:
    server.complete("x = 1\ny =", max_tokens=8)
    process = psutil.Process(server.process.pid)

    def used_in_two_seconds() -> float:
        before = process.cpu_times()
        time.sleep(2.0)
        after = process.cpu_times()
        return (after.user + after.system) - (before.user + before.system)

    # Work after an answer takes longer on a busy machine.
    assert any(used_in_two_seconds() < 0.1 for _ in range(10))


def test_overload_gets_answers_or_429_with_bounded_threads(server: Server) -> None:
    server.complete("x = 1\ny =", max_tokens=2)
    process = psutil.Process(server.process.pid)
    before = process.num_threads()

    def ask(number: int) -> int:
        return server.complete("x = 1\ny =", client=f"c{number}", max_tokens=2).status_code

    with ThreadPoolExecutor(50) as pool:
        codes = [*pool.map(ask, range(200))]
    assert set(codes) <= {200, 429}
    assert codes.count(200) >= 32  # as many as may wait at once
    assert server.complete("z = ", max_tokens=2).status_code == 200
    assert process.num_threads() <= before + 4


def test_busy_server_stops_on_sigterm(server: Server) -> None:
    in_background(server, 20, LONG)
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(20)
