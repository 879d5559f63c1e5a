from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.jupyter.routes import limits
from jupyter_turbopilot.jupyter.routes.base import Route
from jupyter_turbopilot.protocol.errors import BusyError, EngineError, NotReadyError, TurbopilotError
from jupyter_turbopilot.protocol.request import MAX_BODY

from ...multi_user_service import WHO, HeaderIdentity
from ...scripted_engine import ScriptedEngine
from ...serve_app import ServeApp
from .conftest import Ask, Post, complete_body, error_of, fail_within_stream
from .test_fixes import fix_body


def failing(error: TurbopilotError) -> Any:
    def health(*_: Any, **__: Any) -> Any:
        raise error

    return health


async def test_too_large_body_is_rejected_and_the_connection_closed(ask: Ask, ready: Any) -> None:
    response = await ask("complete", b" " * (MAX_BODY + 1))
    assert (response.code, error_of(response)["code"]) == (413, "too_large")
    assert response.headers["Connection"] == "close"


async def test_largest_body_is_accepted(ask: Ask, ready: Any) -> None:
    body = json.dumps(complete_body()).encode()
    assert (await ask("complete", body + b" " * (MAX_BODY - len(body)))).code == 200


async def test_invalid_query_does_not_prevent_the_answer(ask: Ask, pilot: Any) -> None:
    response = await ask("fix", fix_body(), params={"no_track_activity": b"\xff"})
    assert response.code == 200


async def test_disconnect_during_authorization_ends_the_request(
    ask: Ask, post: Post, pilot: Any, jp_serverapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, left, close = asyncio.Event(), asyncio.Event(), Route.on_connection_close

    class Slow:
        async def is_authorized(self, *_: Any) -> bool:
            waiting.set()
            await asyncio.wait_for(left.wait(), 30)
            return True

    def closed(route: Route) -> None:
        close(route)
        left.set()

    monkeypatch.setattr(Route, "on_connection_close", closed)
    monkeypatch.setitem(jp_serverapp.web_app.settings, "authorizer", Slow())
    _, writer = await post("feedback", {"id": "fix-1", "event": "applied"})
    await waiting.wait()
    writer.transport.abort()
    await left.wait()
    assert (await ask("feedback", {"id": "fix-1", "event": "shown"})).code == 204
    offers = (await ask("metrics", method="GET")).body.decode()
    assert 'event="shown",kind="fix"' in offers
    assert 'event="applied",kind="fix"' not in offers


@pytest.mark.parametrize("error", [BusyError("Later."), NotReadyError("Later.")])
async def test_busy_server_sends_retry_after(
    ask: Ask, ready: Any, monkeypatch: pytest.MonkeyPatch, error: TurbopilotError
) -> None:
    monkeypatch.setattr("jupyter_turbopilot.jupyter.routes.manage.describe_health", failing(error))
    response = await ask("health", method="GET")
    assert (response.code, response.headers["Retry-After"]) == (error.status, "1")
    assert error_of(response)["message"] == "Later."


STREAMS: dict[str, dict[str, Any]] = {
    "complete": complete_body(stream=True, trigger="invoke", eagerness="always", lines="multi"),
    "infill": {"input_prefix": "x = ", "input_suffix": "\n", "stream": True},
    "completion": {"prompt": "x = ", "stream": True},
    "v1/completions": {"prompt": "x = ", "max_tokens": 64, "stream": True},
    "api/generate": {"inputs": "x = ", "stream": True},
}


@pytest.mark.parametrize("path", STREAMS)
@pytest.mark.parametrize(
    ("error", "retry_after"), [(BusyError("Later.", after=2.4), 3), (EngineError("No."), None)]
)
async def test_error_within_a_stream_has_its_status(
    ask: Ask, ready: Any, engine: ScriptedEngine, path: str, error: TurbopilotError, retry_after: int | None
) -> None:
    fail_within_stream(engine, error)
    response = await ask(path, STREAMS[path])
    assert response.code == 200
    *before, last = [
        json.loads(line.removeprefix(b"data: ")) for line in response.body.splitlines() if b"{" in line
    ]
    assert before
    reported = last["error"] if isinstance(last["error"], dict) else last
    assert (reported["status"], reported["retry_after"]) == (error.status, retry_after)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REFUSALS_PER_MINUTE", 1)
    monkeypatch.setattr(limits, "REFUSAL_BURST", 2)
    monkeypatch.setattr(limits, "REFUSAL_DELAY", 0.01)


@pytest.mark.usefixtures("impatient")
def test_repeated_refusals_slow_down_only_their_user(tiny_model: Path) -> None:
    served = ServeApp(tiny_model, key="", identity=HeaderIdentity, requests_per_minute=1)
    try:

        def code(who: str, **body: Any) -> str:
            answer = served.client.post("/complete", json=body, headers={WHO: who})
            return "" if answer.status_code == 200 else str(answer.json()["error"]["code"])

        body = complete_body()
        assert [code("ada", **body) for _ in range(3)] == ["", *["too_many_requests"] * 2]
        assert code("ada", offset="invalid") == "too_many_refusals"
        assert code("bob", **body) == ""
        slowed = served.client.post("/complete", json=body, headers={WHO: "ada"})
        assert (slowed.status_code, slowed.headers["Connection"]) == (429, "close")
        assert int(slowed.headers["Retry-After"]) > 1
        assert served.client.get("/health", headers={WHO: "ada"}).status_code == 200
    finally:
        served.stop()


@pytest.mark.usefixtures("impatient")
def test_server_with_the_key_is_not_slowed_down_by_one_of_its_users(tiny_model: Path) -> None:
    served = ServeApp(tiny_model, requests_per_minute=1)

    def status(salt: str) -> int:
        body = {"prompt": "x", "max_tokens": 1, "cache_salt": salt}
        return served.client.post("/v1/completions", json=body).status_code

    try:
        assert [status("ada") for _ in range(4)] == [200, 429, 429, 429]
        assert status("bob") == 200
    finally:
        served.stop()


@pytest.mark.usefixtures("impatient")
def test_repeated_wrong_keys_slow_down_only_wrong_keys(tiny_model: Path) -> None:
    served = ServeApp(tiny_model)
    try:
        headers = [{"Authorization": f"Bearer wrong{number}"} for number in range(3)]
        wrong = [served.client.get("/models", headers=each) for each in headers]
        assert [answer.status_code for answer in wrong] == [401] * 3
        assert [answer.headers.get("Connection") for answer in wrong] == [None, None, "close"]
        for path, sent in (("/models", {}), ("/health", {"Authorization": ""})):
            other = served.client.get(path, headers=sent)
            assert (other.status_code, other.headers.get("Connection")) == (200, None)
    finally:
        served.stop()
