"""Faults of users and routers: afterwards, the front server serves the next valid request."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from traitlets.config import Config

from jupyter_turbopilot.completer.cache.completion_cache import CompletionCache
from jupyter_turbopilot.completer.reply_iterators import Replies
from jupyter_turbopilot.jupyter.describe import describe_health
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.jupyter.routes import limits
from jupyter_turbopilot.protocol.errors import BusyError
from jupyter_turbopilot.protocol.reply import Reply
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.settings.config import Turbopilot

from ..plugins.remote.fake_server import FarServer, completion
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
def router() -> Iterator[FarServer]:
    found = FarServer(completion("ab"))
    yield found
    found.stop()


@pytest.fixture
def start(peer: Server, model: Path, router: FarServer) -> Iterator[Start]:
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
def test_unknown_token_is_rejected_without_a_remote_request(start: Start, token: Any) -> None:
    front = start()
    before = counted(front, "turbopilot_engine_requests_total")
    for fields in ({"prompt": [1, token]}, {"prompt": [1], "turbopilot": {"draft": [token]}}):
        answer = front.client.post(ROUTE, json=GOOD | fields)
        assert answer.status_code == 400, answer.text
    assert counted(front, "turbopilot_engine_requests_total") == before


def person(front: Front, tmp_path: Path, **remote: Any) -> Pilot:
    """Return the pilot of a user's server, whose remote is the front server."""
    key = tmp_path / "key"
    key.write_text(KEY)
    key.chmod(0o600)
    url = f"http://127.0.0.1:{front.port}/v1"
    config = Config(TurbopilotRemote={"urls": [url], "key_file": str(key), **remote})
    pilot = Pilot(Turbopilot(engine="remote", config=config))
    pilot.completer.shared.results = CompletionCache(0)
    pilot.start()
    until(lambda: describe_health(pilot)["phase"] != "loading")
    return pilot


def type_key(pilot: Pilot, key: int) -> Reply:
    source = f"value_{key} = "
    replies = Replies()
    asked = Completion(cells=[Cell(source=source)], offset=len(source), eagerness="always", client="editor")
    pilot.completer.submit(asked, replies.listen)
    return replies.last()


def test_rate_limited_user_sends_nothing_until_retry_after(
    start: Start, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BURST", 2)
    front = start(requests_per_minute=10)
    pilot = person(front, tmp_path, vocabulary=str(model), timeout=2.0)
    try:
        assert [type_key(pilot, key).error for key in range(2)] == [None, None]
        refused = 'turbopilot_requests_total{code="too_many_requests",outcome="refused",route="completions"}'
        for key in range(2, 12):
            reply = type_key(pilot, key)
            assert isinstance(reply.error, BusyError)
            assert 2.0 < reply.error.after <= 6.0
            assert not reply.items
        assert counted(front, refused) == 1
        assert describe_health(pilot)["ready"]
        time.sleep(6.0)
        assert type_key(pilot, 99).error is None
    finally:
        pilot.stop()


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


# A router in between ---------------------------------------------------------------------------------------------


def test_front_server_metrics_name_no_user(start: Start, peer: Server) -> None:
    front = start()
    for _ in range(3):
        assert front.client.post(ROUTE, json=GOOD).status_code == 200
    text = front.client.get("/metrics").text
    assert counted(front, "turbopilot_engine_requests_total") == 3
    assert counted(front, "turbopilot_engine_first_token_seconds_count") == 3
    assert f'address="127.0.0.1:{peer.port}"' in text
    assert "x = " not in text
    answer = httpx.post(peer.url + ROUTE, json=GOOD)
    assert len(answer.headers["X-Replica-Id"]) == 8
    threads = {thread.name for thread in threading.enumerate()}
    assert "turbopilot-remote" in threads
