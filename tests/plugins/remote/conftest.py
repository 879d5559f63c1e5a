"""Scripted remote servers, and engines that are connected to them."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.vocabulary import Vocabulary
from jupyter_turbopilot.plugins.remote.address import ENGINE_KEY, HUB_KEY, read_address
from jupyter_turbopilot.plugins.remote.engine import RemoteEngine
from jupyter_turbopilot.plugins.remote.http_client import HttpClient
from jupyter_turbopilot.plugins.remote.loading import load
from jupyter_turbopilot.plugins.remote.vocabulary import CodePoints

from .fake_server import Act, FakeServer, always, settings_for

CHARACTERS = CodePoints()
Serve = Callable[..., FakeServer]
Connect = Callable[..., RemoteEngine]
T = TypeVar("T")


def with_client(server: FakeServer, question: Callable[[HttpClient], Coroutine[Any, Any, T]]) -> T:
    async def asked() -> T:
        client = HttpClient(read_address(server.url, allow_http=False), "", 5.0)
        try:
            return await question(client)
        finally:
            await client.close()

    return asyncio.run(asked())


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (ENGINE_KEY, HUB_KEY):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start scripted servers."""
    servers: list[FakeServer] = []

    def start(*acts: Act, **options: Any) -> FakeServer:
        servers.append(FakeServer(*acts, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Load engines for scripted servers whose tokens are characters."""
    engines: list[RemoteEngine] = []

    def start(
        server: FakeServer | str, vocabulary: Vocabulary | None = CHARACTERS, **traits: Any
    ) -> RemoteEngine:
        engines.append(load(settings_for(server, **traits), Cancel(), always(vocabulary)))
        return engines[-1]

    yield start
    for engine in engines:
        engine.close()
