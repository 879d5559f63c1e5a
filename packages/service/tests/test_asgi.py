"""The routes as an ASGI application: equal responses, and cancellation on disconnect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.jupyter.describe import describe_health
from jupyter_turbopilot.jupyter.identity import KeyIdentity
from jupyter_turbopilot.jupyter.routes.base import HARD_LIMIT
from jupyter_turbopilot.jupyter.standalone import application
from jupyter_turbopilot.plugins.protocols.openai import REPLICA
from jupyter_turbopilot.plugins.protocols.tokenization import MAX_PARALLEL
from jupyter_turbopilot.protocol.request import MAX_BODY
from jupyter_turbopilot.settings.config import Turbopilot
from tests.index.folders import until
from tests.scripted_engine import ScriptedEngine, pilot_with, words
from tests.waiting import reached
from turbopilot_service import asgi
from turbopilot_service.asgi import Mounted, Unanswered

KEY = "k3y"
HEADERS = {"host": "anywhere", "content-type": "application/json", "authorization": f"Bearer {KEY}"}


class Client:
    """One request to an ASGI application, and its response."""

    def __init__(self, mounted: Mounted, method: str, path: str, **more: Any) -> None:
        headers = HEADERS | more.pop("headers", {})
        self.scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items() if value],
            "client": ("10.0.0.9", 1234),
        } | more
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.task = asyncio.ensure_future(mounted(self.scope, self.incoming.get, self.sent.put))

    def body(self, data: bytes, *, more: bool = False) -> Client:
        self.incoming.put_nowait({"type": "http.request", "body": data, "more_body": more})
        return self

    def leave(self) -> None:
        self.incoming.put_nowait({"type": "http.disconnect"})

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        await asyncio.wait_for(self.task, 20)
        start, *parts = [self.sent.get_nowait() for _ in range(self.sent.qsize())]
        assert [part.get("more_body") for part in parts] == [True] * (len(parts) - 1) + [False]
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        assert len(headers) == len(start["headers"]), "a header that is sent twice"
        return start["status"], headers, b"".join(part["body"] for part in parts)


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine("a + b + c")


@pytest.fixture
def pilot(engine: ScriptedEngine, tiny_model: Path) -> Iterator[Any]:
    pilot = pilot_with(Turbopilot(model=str(tiny_model)), lambda *_: engine)
    pilot.start()
    until(lambda: describe_health(pilot)["ready"])
    yield pilot
    pilot.stop()


@pytest.fixture
def mounted(pilot: Any) -> Any:
    return Mounted(application(pilot, KeyIdentity(KEY, "example.org")))


@pytest.fixture
def call(mounted: Mounted) -> Callable[..., Client]:
    return partial(Client, mounted)


def asked(**more: Any) -> bytes:
    return json.dumps({"prompt": "x = ", "max_tokens": 4} | more).encode()


Call = Callable[..., Client]


async def test_completion_names_its_replica(call: Call) -> None:
    status, headers, body = await call("POST", "/v1/completions").body(asked()).answer()
    assert (status, headers["x-replica-id"]) == (200, REPLICA)
    assert json.loads(body)["choices"][0]["text"]


async def test_body_and_response_may_arrive_in_parts(call: Call) -> None:
    data = asked(stream=True)
    client = call("POST", "/v1/completions")
    for at in range(0, len(data), 7):
        client.body(data[at : at + 7], more=True)
    status, headers, body = await client.body(b"").answer()
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    assert body.endswith(b"data: [DONE]\n\n")


async def test_paths_are_relative_to_the_mount_point(call: Call) -> None:
    status, _, body = await call("GET", "/own/v1/models", root_path="/own").body(b"").answer()
    assert status == 200
    (model,) = json.loads(body)["data"]
    path = f"/v1/models/{model['id']}"
    assert (await call("GET", path, query_string=b"a=%2f").body(b"").answer())[0] == 200
    assert (await call("GET", "/v1/models/%2e%2e/x y").body(b"").answer())[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("GET", "/v1/models", {"authorization": ""}, b"", 401),
        ("POST", "/v1/completions", {"authorization": "Bearer wrong"}, asked(), 401),
        ("POST", "/v1/completions", {"origin": "https://elsewhere.example"}, asked(), 403),
        ("POST", "/v1/completions", {"content-type": "text/plain"}, b"{", 400),
        ("POST", "/v1/completions", {}, b"x" * (MAX_BODY + 1), 413),
        ("DELETE", "/v1/completions", {}, b"", 405),
        ("GET", "/nothing", {}, b"", 404),
        ("GET", "/v1/models", {"x-odd": "a\r\nb: c"}, b"", 400),
        ("BREW", "/v1/models", {}, b"", 405),
    ],
)
async def test_invalid_requests_get_the_same_errors_as_over_tornado(
    call: Call, method: str, path: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    assert (await call(method, path, headers=headers).body(body).answer())[0] == status
    assert (await call("GET", "/health").body(b"").answer())[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/v1/completions", {"authorization": ""}, 401),
        ("DELETE", "/models", {"authorization": "Bearer wrong"}, 401),
        ("POST", "/v1/completions", {"origin": "https://elsewhere.example"}, 403),
        ("POST", "/nothing", {}, 404),
        ("GET", "/health", {"authorization": ""}, 200),
        ("GET", "/v1/models", {}, 200),
    ],
)
async def test_response_without_a_body_does_not_wait_for_it(
    call: Call, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    client = call(method, path, headers=headers | {"content-length": "100"}).body(b"x", more=True)
    assert (await client.answer())[0] == status


async def test_late_body_is_rejected(
    call: Call, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi, "BODY_SECONDS", 0.05)
    status, headers, body = await call("POST", "/v1/completions").body(b"{", more=True).answer()
    assert (status, headers["connection"]) == (408, "close")
    assert json.loads(body)["error"]["code"] == "body_timeout"
    assert engine.prompts == []
    assert (await call("POST", "/v1/completions").body(asked()).answer())[0] == 200


async def test_endless_body_is_rejected_before_it_ends(call: Call) -> None:
    client = call("POST", "/v1/completions")
    for _ in range(HARD_LIMIT // MAX_BODY + 1):
        client.body(b"x" * MAX_BODY, more=True)
    assert (await client.answer())[0] == 413


async def test_disconnect_within_the_body_ends_the_request(call: Call) -> None:
    client = call("POST", "/v1/completions").body(b"{", more=True)
    client.leave()
    await asyncio.wait_for(client.task, 20)


async def test_cancellation_during_authentication_ends_the_count(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, cancelled, get_user = asyncio.Semaphore(0), asyncio.Event(), KeyIdentity.get_user

    async def slowly(identity: KeyIdentity, handler: Any) -> Any:
        waiting.release()
        await cancelled.wait()
        return get_user(identity, handler)

    monkeypatch.setattr(KeyIdentity, "get_user", slowly)
    for _ in range(MAX_PARALLEL):
        client = call("POST", "/tokenize")
        await waiting.acquire()
        client.task.cancel()
        await asyncio.wait({client.task}, timeout=20)
    cancelled.set()
    assert (await call("POST", "/tokenize").body(b'{"content": "x"}').answer())[0] == 200


@pytest.mark.parametrize("how", ["left", "cancelled"])
async def test_disconnect_cancels_generation(call: Call, engine: ScriptedEngine, how: str) -> None:
    engine.answer, engine.pause = words(2000), 0.02
    client = call("POST", "/v1/completions").body(asked(stream=True, max_tokens=500))
    assert (await asyncio.wait_for(client.sent.get(), 20))["type"] == "http.response.start"
    await asyncio.wait_for(client.sent.get(), 20)
    if how == "left":
        client.leave()
    else:
        client.task.cancel()
    await asyncio.wait({client.task}, timeout=20)
    assert client.task.done()
    await reached(lambda: engine.released)
    assert engine.finished == [False]
    assert (await call("GET", "/health").body(b"").answer())[0] == 200


@pytest.mark.parametrize("failure", [asyncio.CancelledError, ConnectionError])
async def test_send_that_fails_cancels_generation(
    call: Call, mounted: Any, engine: ScriptedEngine, failure: type[BaseException]
) -> None:
    async def send(message: dict[str, Any]) -> None:
        if message["type"] != "http.response.start":
            raise failure

    engine.answer, engine.pause = words(2000), 0.02
    asking = call("POST", "/v1/completions").body(asked(stream=True, max_tokens=500))
    asking.task.cancel()
    await asyncio.wait_for(mounted(asking.scope, asking.incoming.get, send), 20)
    await reached(lambda: engine.released)
    assert engine.finished == [False]


async def test_generation_waits_for_a_slow_reader(call: Call, mounted: Any) -> None:
    gate, taken, waiting = asyncio.Semaphore(1), list[dict[str, Any]](), list[bool]()

    async def send(message: dict[str, Any]) -> None:
        waiting.append(gate.locked())
        await gate.acquire()
        taken.append(message)

    asking = call("POST", "/v1/completions").body(asked(stream=True, max_tokens=6))
    asking.task.cancel()
    task = asyncio.ensure_future(mounted(asking.scope, asking.incoming.get, send))
    while len(waiting) < 2:
        await asyncio.sleep(0.01)
    assert len(taken) == 1
    assert waiting == [False, True]
    for _ in range(100):
        gate.release()
    await asyncio.wait_for(task, 20)
    assert taken[-1]["more_body"] is False


async def test_lifespan_events_are_acknowledged(mounted: Any) -> None:
    sent: list[str] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, str]) -> None:
        sent.append(message["type"])

    await mounted({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(ValueError, match="only HTTP"):
        await mounted({"type": "websocket"}, receive, send)


START = {"type": "http.response.start", "status": 200, "headers": []}
REST = {"type": "http.response.body", "body": b"x"}


def sent_by(app: Any, kind: str = "http") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    scope: Any = {"type": kind}
    asyncio.run(Unanswered(app)(scope, receive, send))
    return sent


async def silent(*_: Any) -> None:
    pass


@pytest.mark.parametrize("messages", [[START, REST], [START]])
def test_unanswered_keeps_existing_responses(messages: list[dict[str, Any]]) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    assert sent_by(app) == messages


def test_unanswered_responds_503_without_a_response() -> None:
    start, body = sent_by(silent)
    assert start["status"] == 503
    assert dict(start["headers"])[b"retry-after"] == b"1"
    error = json.loads(body["body"])["error"]
    assert (error["code"], bool(error["message"])) == ("replica_gone", True)


def test_unanswered_sends_nothing_for_other_protocols() -> None:
    assert sent_by(silent, "lifespan") == []
