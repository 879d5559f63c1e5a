"""Faults of users: afterwards, the front server serves the next valid request."""

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..serve_app import KEY, Front
from ..serving import Server
from ..tiny_model import write_tiny_model
from ..waiting import until

GOOD = {"prompt": "x = ", "max_tokens": 4}
LONG = {"prompt": "x = ", "max_tokens": 200, "ignore_eos": True}
ROUTE = "/v1/completions"
Start = Callable[..., Front]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("front") / "tiny.gguf")


@pytest.fixture(scope="module")
def peer(model: Path) -> Iterator[Server]:
    server = Server(model, "--no-api-key")
    yield server
    server.stop()


@pytest.fixture
def start(peer: Server, model: Path) -> Iterator[Start]:
    """Start a front server; at the end of the test, it must respond."""
    fronts: list[Front] = []

    def begin(url: str = peer.url, *, remote: dict[str, Any] | None = None, **settings: Any) -> Front:
        reported = {"vocabulary": str(model), "timeout": 5.0} | (remote or {})
        fronts.append(Front(url, remote=reported, **settings))
        return fronts[-1]

    yield begin
    try:
        for front in fronts:
            goes_on(front)
    finally:
        for front in fronts:
            front.stop()


def goes_on(front: Front) -> None:
    assert front.pilot.worker.alive()
    with closing(front.connected("127.0.0.9")) as client:
        assert client.get("/health").json()["ready"]
        answer = client.post(ROUTE, json=GOOD)
        assert answer.status_code == 200, answer.text


def counted(front: Front, start: str) -> float:
    """Return the sum of the metrics whose names and labels start with a prefix."""
    lines = front.client.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(start))


def test_burst_of_one_user_is_limited_and_affects_no_other(start: Start) -> None:
    front = start()
    front.pilot.worker.limits.running, front.pilot.worker.limits.waiting = 2, 3
    others = [front.connected(f"127.0.0.{number}") for number in (2, 3, 4)]
    with ThreadPoolExecutor(60) as pool:
        greedy = [pool.submit(front.client.post, ROUTE, json=LONG) for _ in range(50)]
        modest = [pool.submit(other.post, ROUTE, json=GOOD) for other in others for _ in range(3)]
        assert {answer.result().status_code for answer in modest} == {200}
        answers = [answer.result() for answer in greedy]
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {200, 429}
    assert statuses[200] >= 5
    refused = [answer for answer in answers if answer.status_code == 429]
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    assert all("requests are waiting" in answer.json()["error"]["message"] for answer in refused)
    found = counted(
        front, 'turbopilot_requests_total{code="too_many_waiting",outcome="refused",route="completions"}'
    )
    assert found == len(refused)
    for other in others:
        other.close()


@pytest.mark.parametrize("token", [10**6, -1, 2**64, 1.5])
def test_unknown_token_is_rejected(start: Start, token: Any) -> None:
    front = start()
    for fields in ({"prompt": [1, token]}, {"prompt": [1], "turbopilot": {"draft": [token]}}):
        answer = front.client.post(ROUTE, json=GOOD | fields)
        assert answer.status_code == 400, answer.text


def test_stalled_reader_blocks_no_other_and_is_cancelled_on_close(start: Start) -> None:
    front = start()
    body = json.dumps(LONG | {"stream": True, "logprobs": 20, "n": 8}).encode()
    head = f"POST {ROUTE} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    deaf = []
    for _ in range(6):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.connect(("127.0.0.1", front.port))
        connection.sendall(head.encode() + body)
        deaf.append(connection)
    with closing(front.connected("127.0.0.2")) as other:
        for _ in range(10):
            assert other.post(ROUTE, json=GOOD).status_code == 200
    for connection in deaf:
        connection.close()
    until(lambda: not len(front.pilot.worker._scheduler))


def test_front_server_metrics_name_no_user(start: Start, peer: Server) -> None:
    front = start()
    for _ in range(3):
        assert front.client.post(ROUTE, json=GOOD).status_code == 200
    text = front.client.get("/metrics").text
    assert counted(front, "turbopilot_first_token_seconds_count") == 3
    assert "x = " not in text
    answer = httpx.post(peer.url + ROUTE, json=GOOD)
    assert len(answer.headers["X-Replica-Id"]) == 8
    threads = {thread.name for thread in threading.enumerate()}
    assert "turbopilot-remote" in threads
