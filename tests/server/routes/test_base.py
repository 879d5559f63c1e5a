from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.errors import BusyError, EngineError, NotReadyError, TurbopilotError
from jupyter_turbopilot.request import MAX_BODY
from jupyter_turbopilot.server.routes import base

from ...scripted_engine import ScriptedEngine
from ...serve_app import ServeApp
from .conftest import Ask, complete_body, error_of, fail_within_stream


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


@pytest.mark.parametrize("error", [BusyError("Later."), NotReadyError("Later.")])
async def test_busy_server_sends_retry_after(
    ask: Ask, ready: Any, monkeypatch: pytest.MonkeyPatch, error: TurbopilotError
) -> None:
    monkeypatch.setattr("jupyter_turbopilot.server.routes.manage.describe_health", failing(error))
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
    ask: Ask,
    ready: Any,
    engine: ScriptedEngine,
    path: str,
    error: TurbopilotError,
    retry_after: int | None,
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


@pytest.mark.parametrize("server_traits", [{"requests_per_minute": 1, "burst": 1}])
async def test_repeated_refusals_close_the_connection_before_the_body_is_decoded(
    ask: Ask, ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "REFUSALS_AT_ONCE", 2)
    monkeypatch.setattr(base, "REFUSAL_DELAY", 0.01)
    answers = [await ask("complete", complete_body()) for _ in range(3)]
    assert [answer.code for answer in answers] == [200, 429, 429]
    assert [error_of(answer)["code"] for answer in answers[1:]] == ["too_many_requests"] * 2
    slowed = await ask("complete", b"{")
    assert (slowed.code, error_of(slowed)["code"]) == (429, "too_many_refusals")
    assert (slowed.headers["Connection"], slowed.headers["Retry-After"]) == ("close", "1")


def test_repeated_wrong_keys_slow_down_only_their_sender(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "REFUSALS_AT_ONCE", 2)
    monkeypatch.setattr(base, "REFUSAL_DELAY", 0.01)
    alone = ServeApp(tiny_model)
    try:
        wrong = [alone.client.get("/models", headers={"Authorization": "Bearer wrong"}) for _ in range(3)]
        assert [answer.status_code for answer in wrong] == [401] * 3
        assert [answer.headers.get("Connection") for answer in wrong] == [None, None, "close"]
        other = alone.client.get("/models")
        assert (other.status_code, other.headers.get("Connection")) == (200, None)
    finally:
        alone.stop()
