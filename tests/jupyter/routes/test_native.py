from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.completer import statistics
from jupyter_turbopilot.completer.completer import EVENTS
from jupyter_turbopilot.jupyter.pilot import retry

from ...scripted_engine import ScriptedEngine
from ...waiting import reached
from .conftest import Ask, Named, complete_body, error_of, lines


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
    await reached(kept.exists)
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

    def noted(request: Any, listener: Any, admission: Any) -> Any:
        asked.append((admission.caller, request.client))
        return submit(request, listener, admission)

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
