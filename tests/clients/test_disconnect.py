"""On a real server, a disconnect removes a queued request, and stops a prompt evaluation and a generation."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.serving import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = "x = 1\n" * 420  # some seconds of prompt evaluation
SHORT = "def f(x):\n"


@pytest.fixture(scope="module")
def server(default_model: Path, default_models: Path) -> Iterator[Server]:
    server = Server(default_models / default_model.name)
    yield server
    server.stop()


def send(server: Server, prompt: str, *, stream: bool) -> socket.socket:
    data = json.dumps({"prompt": prompt, "n_predict": 1500, "stream": stream, "ignore_eos": True})
    head = (
        f"POST /completion HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.sendall((head + data).encode())
    return connection


def wait_until_busy(server: Server, count: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (busy := sum(slot["is_processing"] for slot in server.client.get("/slots").json())) != count:
        assert time.monotonic() < end, f"{busy} are running, not {count}"
        time.sleep(0.05)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("prompt", "queued"), [(LONG, 0), (SHORT, 0), (SHORT, 8)], ids=["evaluation", "generation", "queue"]
)
def test_disconnect_cancels_running_and_queued_requests(
    prompt: str, queued: int, stream: bool, server: Server
) -> None:
    # A new beginning each time, so that no cached prompt shortens the evaluation.
    sent = [
        send(server, f"# {number} {time.time()}\n{prompt}", stream=stream) for number in range(1 + queued)
    ]
    wait_until_busy(server, 1, 30)
    for connection in reversed(sent):  # the queued ones first
        connection.close()
    wait_until_busy(server, 0, 15)  # a text takes longer
