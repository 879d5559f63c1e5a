from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from jupyter_turbopilot.jupyter.runtime import Runtime
from jupyter_turbopilot.protocol.errors import BusyError, NotReadyError, TurbopilotError
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.terminal.server_client import RemoteError, ServerClient

REQUEST = Completion(cells=[Cell(source="x")], offset=1)


def remote_that_answers(status: int, body: Any, monkeypatch: pytest.MonkeyPatch) -> ServerClient:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=content))
    remote = ServerClient(Runtime("http://127.0.0.1:1/", "secret", 1))
    monkeypatch.setattr(remote, "_client", httpx.Client(base_url="http://127.0.0.1:1/", transport=transport))
    return remote


@pytest.mark.parametrize("status", [200, 502])
@pytest.mark.parametrize(
    "error",
    ["Bad gateway", ["a"], 7, True, {}, {"code": 7, "message": ["x"]}, {"code": None, "message": None}],
)
def test_client_accepts_errors_of_a_proxy(monkeypatch: pytest.MonkeyPatch, status: int, error: Any) -> None:
    remote = remote_that_answers(status, {"error": error}, monkeypatch)
    with pytest.raises(TurbopilotError) as reported:
        list(remote.stream(REQUEST))
    assert reported.value.message
    assert isinstance(reported.value.code, str)
    if error == "Bad gateway":
        assert reported.value.message == error
    if status != 200:
        with pytest.raises(RemoteError):
            remote.complete(REQUEST)


@pytest.mark.parametrize(
    "body",
    [
        {"status": "ok"},
        {"items": None, "text": 1, "ready": "yes", "model": None},
        {"items": [{"text": None}], "text": None, "ready": None},
        {"items": ["a"], "text": [], "ready": 1},
        {"items": {"text": "a"}, "ready": True},
        [],
        None,
        b"[" * 100_000,
        b"<html>",
    ],
)
def test_client_rejects_json_of_another_program(monkeypatch: pytest.MonkeyPatch, body: Any) -> None:
    remote = remote_that_answers(200, body, monkeypatch)
    for ask in (remote.health, lambda: remote.complete(REQUEST), lambda: list(remote.stream(REQUEST))):
        with pytest.raises(NotReadyError, match="did not come from Turbopilot"):
            ask()


def test_client_keeps_code_and_message_of_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    body = BusyError("Come back.", after=3).body()
    for status in (200, 429):
        with pytest.raises(RemoteError, match="Come back") as reported:
            list(remote_that_answers(status, body, monkeypatch).stream(REQUEST))
        assert (reported.value.code, reported.value.status, reported.value.after) == ("busy", 429, 3)
