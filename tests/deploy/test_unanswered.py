from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from jupyter_turbopilot.deploy.unanswered import Unanswered

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
def test_what_was_answered_or_begun_is_left_alone(messages: list[dict[str, Any]]) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    assert sent_by(app) == messages


def test_what_was_left_unanswered_may_be_sent_again() -> None:
    start, body = sent_by(silent)
    assert start["status"] == 503
    assert dict(start["headers"])[b"retry-after"] == b"1"
    error = json.loads(body["body"])["error"]
    assert (error["code"], bool(error["message"])) == ("replica_gone", True)


def test_nothing_is_said_where_nobody_speaks_http() -> None:
    assert sent_by(silent, "lifespan") == []


def test_what_fails_goes_on_failing() -> None:
    async def app(*_: Any) -> None:
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError):
        sent_by(app)
