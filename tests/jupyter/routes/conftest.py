from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.auth.identity import IdentityProvider, User
from tornado.httpclient import HTTPClientError, HTTPResponse

from jupyter_turbopilot.jupyter.describe import describe_health
from jupyter_turbopilot.protocol.errors import TurbopilotError

from ...index.folders import until
from ...index.notebooks import notebook
from ...scripted_engine import ScriptedEngine, kind_with, words


class Named(IdentityProvider):
    """An identity provider with real user names, like a hub's."""

    def get_user(self, handler: Any) -> User:
        return User(handler.request.headers.get("X-Who", "ada"))

    def is_token_authenticated(self, handler: Any) -> bool:
        return True


@pytest.fixture
def engine() -> ScriptedEngine:
    """The scripted answer of the server's engine, which tests may change."""
    return ScriptedEngine("a + b + c")


@pytest.fixture
def server_traits() -> dict[str, Any]:
    """Additional configuration for a test module."""
    return {}


@pytest.fixture
def jp_server_config(
    engine: ScriptedEngine,
    tiny_model: Path,
    tmp_path: Path,
    server_traits: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    kind = kind_with(lambda *_: engine)
    monkeypatch.setattr("jupyter_turbopilot.jupyter.pilot.pilot.kind_of", lambda settings, _: kind(settings))
    own = tmp_path / "tiny.gguf"
    shutil.copy(tiny_model, own)
    return {
        "ServerApp": {"jpserver_extensions": {"jupyter_turbopilot": True}},
        "Turbopilot": {"model": str(own)} | server_traits,
    }


@pytest.fixture
def pilot(jp_serverapp: Any) -> Any:
    (app,) = jp_serverapp.extension_manager.extension_apps["jupyter_turbopilot"]
    return app.pilot


@pytest.fixture
def ready(pilot: Any) -> Any:
    """The pilot, once its model is loaded."""
    pilot.start()
    until(lambda: describe_health(pilot)["ready"])
    return pilot


Ask = Callable[..., Awaitable[HTTPResponse]]


@pytest.fixture
def ask(jp_fetch: Any) -> Ask:
    """Send JSON to a route; error responses do not raise."""

    async def send(path: str, body: Any = None, method: str = "POST", **more: Any) -> HTTPResponse:
        content = body if isinstance(body, bytes | str) or body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"} | more.pop("headers", {})
        try:
            return await jp_fetch(
                "turbopilot",
                *path.split("/"),
                method=method,
                body=content,
                headers=headers,
                allow_nonstandard_methods=True,
                **more,
            )
        except HTTPClientError as error:
            assert error.response is not None
            return error.response

    return send


Post = Callable[[str, dict[str, Any]], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


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


def complete_body(source: str = "x = ", **more: Any) -> dict[str, Any]:
    return {"cells": [{"source": source}], "offset": len(source)} | more


def lines(response: HTTPResponse) -> list[dict[str, Any]]:
    return [json.loads(line) for line in response.body.splitlines()]


def error_of(response: HTTPResponse) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(response.body)["error"]
    return found


def fail_within_stream(engine: ScriptedEngine, error: TurbopilotError) -> None:
    """Make the engine raise an error after half of its text."""
    step, engine.answer = engine.step, words(40)

    def fail_later(runs: Any, attention: Any) -> None:
        if any(run.words is not None and len(run.words) < 20 for run in runs):
            raise error
        step(runs, attention)

    engine.step = fail_later  # type: ignore[method-assign]


@pytest.fixture
def session(jp_serverapp: Any, jp_asyncio_loop: Any) -> Iterator[Any]:
    manager = jp_serverapp.session_manager
    yield jp_asyncio_loop.run_until_complete(
        manager.create_session(path="mine.ipynb", name="mine.ipynb", type="notebook", kernel_name="python3")
    )
    jp_asyncio_loop.run_until_complete(jp_serverapp.kernel_manager.shutdown_all(now=True))


async def run_in_kernel(server: Any, kernel_id: str, code: str) -> Any:
    """Run code in a kernel of a server, and return the reply."""
    client = server.kernel_manager.get_kernel(kernel_id).client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=60)
        return await client.execute_interactive(code, timeout=60, output_hook=lambda _: None)
    finally:
        client.stop_channels()


def write_disabled_notebook(root: Path) -> None:
    """Write `lesson.ipynb`, which switches Turbopilot off for itself."""
    content = json.loads(notebook("x = 1"))
    content["metadata"]["turbopilot"] = {"enabled": False}
    (root / "lesson.ipynb").write_text(json.dumps(content))
