"""A real server with the real model: stopped under load, overloaded and idle."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

pytestmark = pytest.mark.model

TOKEN = "token-for-tests"
LONG = "".join(f"value_{number} = {number} * 2  # a line of a long cell\n" for number in range(200))


class Server:
    """A Jupyter server in a separate process."""

    def __init__(self, folder: Path, models: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
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

    def wait(self) -> None:
        end = time.monotonic() + 180
        while time.monotonic() < end:
            try:
                if self.health()["ready"]:
                    return
            except (httpx.HTTPError, ValueError):
                pass
            time.sleep(0.1)
        raise AssertionError("The server did not become ready.")

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
    server = Server(tmp_path_factory.mktemp("server"), default_models)
    server.wait()
    yield server
    server.kill()


@pytest.fixture
def own_server(tmp_path: Path, default_models: Path) -> Iterator[Server]:
    """A server that the test may stop."""
    server = Server(tmp_path, default_models)
    server.wait()
    yield server
    server.kill()


def leave(server: Server) -> None:
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(20)


def in_background(server: Server, count: int, source: str) -> None:
    def ask(number: int) -> None:
        with contextlib.suppress(httpx.HTTPError):
            server.complete(source, client=f"c{number}", max_tokens=400, lines="multi")

    for number in range(count):
        threading.Thread(target=ask, args=(number,), daemon=True).start()
    until_it_thinks(server)


def until_it_thinks(server: Server) -> None:
    end = time.monotonic() + 30
    while server.health()["phase"] != "generating":
        assert time.monotonic() < end
        time.sleep(0.02)


def test_busy_server_stops_on_sigterm(own_server: Server) -> None:
    in_background(own_server, 20, LONG)
    leave(own_server)


def test_overload_gets_answers_or_429_with_bounded_memory_and_threads(server: Server) -> None:
    process = psutil.Process(server.process.pid)
    server.complete("x = 1\ny =", max_tokens=2)
    before = (process.memory_info().rss, process.num_threads())
    codes: list[int] = []
    lock = threading.Lock()

    def ask(number: int) -> None:
        response = server.complete("x = 1\ny =", client=f"c{number}", max_tokens=2)
        with lock:
            codes.append(response.status_code)
            if response.status_code == 429:
                assert response.headers["Retry-After"] == "1"

    for round_ in range(4):
        threads = [threading.Thread(target=ask, args=(round_ * 50 + n,)) for n in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    assert len(codes) == 200
    assert set(codes) <= {200, 429}
    assert codes.count(200) >= 100
    assert server.complete("z = ", max_tokens=2).status_code == 200
    assert process.memory_info().rss < before[0] + 60_000_000
    assert process.num_threads() <= before[1] + 4


def test_disconnect_during_prompt_evaluation_frees_the_model(server: Server) -> None:
    body = json.dumps({"cells": [{"source": LONG}], "offset": len(LONG)}).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(
            f"POST /turbopilot/complete HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: token {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        until_it_thinks(server)
    while server.health()["phase"] == "generating":
        time.sleep(0.02)
    left = 'turbopilot_requests_total{code="",outcome="disconnected",route="complete"} 1.0'
    assert left in server.client.get("metrics").text
    assert server.complete("x = ", max_tokens=2).status_code == 200


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
