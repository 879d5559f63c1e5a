"""A disconnect cancels the request in every protocol and at every stage."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.serving import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = "x = 1\n" * 420  # some seconds of prompt evaluation
SHORT = "def f(x):\n"
MUCH = 1500  # tokens; more than the test waits for


def bodies(prompt: str) -> dict[str, dict[str, Any]]:
    cells = [{"id": "a", "type": "code", "source": prompt}]
    return {
        "complete": {"path": "", "language": "python", "cells": cells, "active": 0, "offset": len(prompt),
                     "trigger": "invoke", "lines": "multi", "stream": True, "max_tokens": MUCH},
        "infill": {"input_prefix": prompt, "input_suffix": "", "n_predict": MUCH, "stream": True, "ignore_eos": True},
        "completion": {"prompt": prompt, "n_predict": MUCH, "stream": False, "ignore_eos": True},
        "v1/completions": {"model": "m", "prompt": prompt, "max_tokens": MUCH, "stream": True},
        "v1/engines/codegen/completions": {"prompt": prompt, "max_tokens": MUCH, "stream": False, "temperature": 1.5},
        "api/generate": {"inputs": prompt, "parameters": {"max_new_tokens": MUCH}, "stream": True},
    }  # fmt: skip


@pytest.fixture(scope="module")
def server(default_model: Path, default_models: Path) -> Iterator[Server]:
    server = Server(default_models / default_model.name)
    yield server
    server.stop()


def send(server: Server, route: str, body: dict[str, Any]) -> socket.socket:
    data = json.dumps(body).encode()
    head = (
        f"POST /{route} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.sendall(head.encode() + data)
    return connection


def busy(server: Server) -> int:
    return sum(slot["is_processing"] for slot in server.client.get("/slots").json())


def wait_until_busy(server: Server, count: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while busy(server) != count:
        assert time.monotonic() < end, f"{busy(server)} are running, not {count}"
        time.sleep(0.05)


@pytest.mark.parametrize("route", bodies(""))
@pytest.mark.parametrize("prompt", [LONG, SHORT], ids=["while its prompt is read", "while it is written"])
def test_disconnect_cancels_generation(route: str, prompt: str, server: Server) -> None:
    # A new beginning each time, so that no cached prompt shortens the evaluation.
    connection = send(server, route, bodies(f"# {route} {time.time()}\n{prompt}")[route])
    wait_until_busy(server, 1, 30)
    if prompt is SHORT:
        time.sleep(0.5)
    connection.close()
    wait_until_busy(server, 0, 5)


@pytest.mark.parametrize("route", bodies(""))
def test_disconnect_removes_a_queued_request(route: str, server: Server) -> None:
    others = [send(server, "completion", bodies(f"{number} {SHORT}")["completion"]) for number in range(8)]
    wait_until_busy(server, 1, 30)
    connection = send(server, route, bodies(SHORT)[route])
    time.sleep(0.3)
    connection.close()
    for other in others:
        other.close()
    wait_until_busy(server, 0, 5)
