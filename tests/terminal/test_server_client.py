import json
from typing import Any

import httpx
import pytest

from jupyter_turbopilot.jupyter.runtime import Runtime
from jupyter_turbopilot.protocol.errors import BusyError, NotReadyError, TurbopilotError
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.terminal.server_client import ServerClient, Text

REQUEST = Completion(cells=[Cell(source="x")], offset=1)


def remote_that_answers(status: int, body: Any, monkeypatch: pytest.MonkeyPatch) -> ServerClient:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=content))
    remote = ServerClient(Runtime("http://127.0.0.1:1/", "secret", 1))
    monkeypatch.setattr(remote, "_client", httpx.Client(base_url="http://127.0.0.1:1/", transport=transport))
    return remote


@pytest.mark.parametrize(
    "body", [b"<html>", b"[" * 100_000, [], {"message": "Forbidden"}, {"error": "Bad gateway"}]
)
def test_client_names_the_status_of_another_programs_error(
    monkeypatch: pytest.MonkeyPatch, body: Any
) -> None:
    remote = remote_that_answers(502, body, monkeypatch)
    for ask in (lambda: remote.complete(REQUEST), lambda: list(remote.frames("complete", REQUEST, Text))):
        with pytest.raises(TurbopilotError, match="The server answered 502"):
            ask()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        {"status": "ok"},
        {"items": [{"text": None}], "text": None, "ready": None},
        {"items": ["a"], "text": [], "ready": 1},
        {"error": "Bad gateway"},
        {"error": {"message": ["x"]}},
    ],
)
def test_client_rejects_the_answer_of_another_program(monkeypatch: pytest.MonkeyPatch, body: Any) -> None:
    remote = remote_that_answers(200, body, monkeypatch)
    for ask in (
        remote.health,
        lambda: remote.complete(REQUEST),
        lambda: list(remote.frames("complete", REQUEST, Text)),
    ):
        with pytest.raises(NotReadyError, match="did not come from Turbopilot"):
            ask()


@pytest.mark.parametrize("status", [200, 429])
def test_client_keeps_the_message_of_an_error(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    remote = remote_that_answers(status, BusyError("Come back.", after=3).body(), monkeypatch)
    with pytest.raises(TurbopilotError, match="Come back"):
        list(remote.frames("complete", REQUEST, Text))
