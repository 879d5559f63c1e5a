from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.completer import statistics
from jupyter_turbopilot.completer.completer import EVENTS
from jupyter_turbopilot.jupyter.pilot import retry

from ...scripted_engine import ScriptedEngine, words
from .conftest import Ask, Named, complete_body, error_of, lines

Post = Callable[[str, dict[str, Any]], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def test_complete_names_an_invalid_field(ask: Ask, ready: Any) -> None:
    response = await ask("complete", complete_body(offset=99))
    assert response.code == 400
    assert error_of(response) == {
        "code": "bad_request",
        "type": "invalid_request_error",
        "field": "offset",
        "message": "offset must be at most 4, the length of the active cell.",
        "status": 400,
        "retry_after": None,
    }


@pytest.fixture
def post(http_server: Any, jp_http_port: int, jp_base_url: str, jp_serverapp: Any) -> Post:
    """Send a request over a connection that the test itself closes."""

    async def send(route: str, body: dict[str, Any]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", jp_http_port)
        data = json.dumps(body).encode()
        writer.write(
            f"POST {jp_base_url}turbopilot/{route} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: token {jp_serverapp.identity_provider.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            + data
        )
        return reader, writer

    return send


@pytest.mark.parametrize(
    ("route", "body"), [("complete", complete_body()), ("completion", {"prompt": "x", "n_predict": 400})]
)
async def test_disconnect_before_the_answer_logs_no_error(
    ask: Ask,
    post: Post,
    jp_serverapp: Any,
    ready: Any,
    engine: ScriptedEngine,
    caplog: pytest.LogCaptureFixture,
    route: str,
    body: dict[str, Any],
) -> None:
    engine.answer, engine.pause = words(400), 0.01
    jp_serverapp.log.propagate = True
    _, writer = await post(route, body)
    while ready.worker.state.phase != "generating":
        await asyncio.sleep(0.01)
    writer.transport.abort()
    while ready.worker.state.phase == "generating":
        await asyncio.sleep(0.01)
    engine.answer = "a"
    assert (await ask("complete", complete_body())).code == 200
    assert not [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


async def test_engine_error_hides_internal_details(
    ask: Ask, ready: Any, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "AFTER_LOAD", 0.1)
    engine.fail = RuntimeError("/home/ann/secret.py: password")
    response = await ask("complete", complete_body())
    assert response.code == 500
    assert "secret" not in response.body.decode()
    streamed = lines(await ask("complete", complete_body(stream=True)))[-1]
    assert streamed["error"]["code"] == "engine"
    engine.fail = None
    # After two consecutive failures, the engine is reloaded with a delay.
    while (response := await ask("complete", complete_body())).code == 503:
        await asyncio.sleep(0.05)
    assert response.code == 200


async def test_feedback_counts_without_storing_text(ask: Ask, ready: Any) -> None:
    for event in EVENTS:
        assert (await ask("feedback", {"id": "x", "event": event, "chars": 4, "seconds": 1.5})).code == 204
        assert ready.completer.counters[event] == 1
    for odd in (
        {"event": "eaten"},
        {"event": "shown", "length": -1},
        {"event": "shown", "seconds": -1},
        {"event": "shown", "chars": 0.5},
    ):
        assert (await ask("feedback", {"id": "x"} | odd)).code == 400
    assert (await ask("feedback", {"id": "x", "event": "shown", "seconds": 1e9})).code == 400


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the statistics without a delay; use it before the server starts."""
    monkeypatch.setattr(statistics, "SETTLE", 0.01)


async def test_feedback_is_counted_and_statistics_can_be_reset(
    soon: None, ask: Ask, ready: Any, own_folder: Path
) -> None:
    kept = own_folder / "statistics.json"
    body = complete_body(trigger="automatic", eagerness="balanced")
    (answer,) = [json.loads((await ask("complete", body)).body)]
    (item,) = answer["items"]
    for event in ("shown", "typed_over"):
        await ask("feedback", {"id": answer["id"], "event": event, "chars": len(item["text"])})
    while not kept.exists():
        await asyncio.sleep(0.01)
    assert json.loads((await ask("health", method="GET")).body)["week"] == {
        "shown": 1,
        "accepted": 0,
        "saved": 0,
        "retained": None,
    }
    assert item["text"] not in kept.read_text()
    assert (await ask("statistics", method="DELETE")).code == 204
    assert json.loads((await ask("health", method="GET")).body)["week"] == {
        "shown": 0,
        "accepted": 0,
        "saved": 0,
        "retained": None,
    }
    assert not kept.exists()


async def test_statistics_count_only_the_server_owner(
    ask: Ask, ready: Any, jp_serverapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(jp_serverapp.web_app.settings, "identity_provider", Named(parent=jp_serverapp))
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    body = complete_body(trigger="automatic", eagerness="balanced")
    for name in ("ada", "bob"):
        who = {"X-Who": name}
        answer = json.loads((await ask("complete", body, headers=who)).body)
        await ask("feedback", {"id": answer["id"], "event": "shown"}, headers=who)

    async def week(name: str) -> Any:
        return json.loads((await ask("health", method="GET", headers={"X-Who": name})).body)["week"]

    assert await week("ada") == {"shown": 1, "accepted": 0, "saved": 0, "retained": None}
    assert await week("bob") is None
    assert (await ask("statistics", method="DELETE", headers={"X-Who": "bob"})).code == 204
    assert await week("ada") == {"shown": 1, "accepted": 0, "saved": 0, "retained": None}


async def test_runtime_secret_opens_only_the_kernels_routes(
    jp_serverapp: Any, jp_fetch: Any, ask: Ask, ready: Any
) -> None:
    (app,) = jp_serverapp.extension_manager.extension_apps["jupyter_turbopilot"]
    secret = {"X-Turbopilot-Secret": app._secret, "Authorization": ""}
    assert (await ask("complete", complete_body(), headers=secret)).code == 200
    assert (await ask("health", method="GET", headers=secret)).code == 200
    assert (await ask("models", method="GET", headers=secret)).code == 403
    assert (await ask("feedback", {"id": "x", "event": "shown"}, headers=secret)).code == 403
    wrong = secret | {"X-Turbopilot-Secret": "guess"}
    assert (await ask("complete", complete_body(), headers=wrong)).code == 403
    assert (await ask("complete", complete_body(), headers=wrong | {"X-Turbopilot-Secret": ""})).code == 403


async def test_fair_share_ignores_the_client_name(
    ask: Ask, ready: Any, jp_serverapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    submit = ready.completer.submit

    def noted(request: Any, listener: Any, kernel_context: Any, caller: str, tenant: str, **more: Any) -> Any:
        asked.append((caller, request.client))
        return submit(request, listener, kernel_context, caller, tenant, **more)

    monkeypatch.setattr(ready.completer, "submit", noted)
    (app,) = jp_serverapp.extension_manager.extension_apps["jupyter_turbopilot"]
    for headers in ({}, {"X-Turbopilot-Secret": app._secret, "Authorization": ""}):
        asked.clear()
        for agent in ("one", "two"):
            for client in ("a", "b", ""):
                body = complete_body(client=client)
                assert (await ask("complete", body, headers=headers | {"User-Agent": agent})).code == 200
        assert len({caller for caller, _ in asked}) == 1
        editors = [client for _, client in asked]
        assert len(set(editors)) == 5
        assert editors.count("") == 2


async def test_client_name_replaces_only_the_callers_own_requests(
    ask: Ask, ready: Any, engine: ScriptedEngine
) -> None:
    engine.answer, engine.pause = words(100), 0.02

    async def begin(source: str, agent: str) -> asyncio.Task[Any]:
        # With a token and without a cookie, Jupyter generates another name for each request.
        body = complete_body(source, client="same", lines="multi", max_tokens=60)
        task = asyncio.create_task(ask("complete", body, headers={"User-Agent": agent}))
        while not any(source in prompt for prompt in engine.prompts):
            await asyncio.sleep(0.005)
        return task

    first = await begin("first = ", "one")
    other = await begin("other = ", "two")
    last = await begin("last = ", "one")
    found = [json.loads((await task).body) for task in (first, other, last)]
    assert [reply.get("finish_reason") for reply in found] == ["superseded", None, None]
    assert all(reply["items"] for reply in found[1:])
