"""A hub service with a faulty hub, and users with unusual names and tokens."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve_app import ServeApp
from turbopilot_service.hub.client import Hub
from turbopilot_service.hub.identity import HubIdentity

from .fake_hub import FakeHub, known

TOKEN = "t"
ASKED = {"prompt": "x = ", "max_tokens": 2}
PREFIX = "/a.b+(c)%40/services/turbopilot/"
Service = Callable[..., ServeApp]


class HubThread:
    """A fake hub in a separate event loop."""

    def __init__(self, says: Any) -> None:
        self.fake = FakeHub(says)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.fake.__aenter__(), self.loop).result(30)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.fake.stop(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(30)


@pytest.fixture
def service(tiny_model: Path) -> Iterator[Service]:
    started: list[Any] = []

    def start(
        says: bytes | Callable[[str], Awaitable[bytes | None]] | None, seconds: float = 5.0
    ) -> ServeApp:
        hub = HubThread(says)
        alone = ServeApp(
            tiny_model,
            key="",
            identity=lambda: HubIdentity(Hub(hub.fake.api, seconds), "turbopilot"),
            prefix=PREFIX,
        )
        started.extend((alone, hub))
        return alone

    yield start
    for each in started:
        each.stop()


def ask(alone: ServeApp, token: str = TOKEN, **headers: str) -> httpx.Response:
    sent = {"Authorization": f"Bearer {token}"} | headers
    return alone.client.post(f"{PREFIX}v1/completions", json=ASKED, headers=sent)


NAMES = ["a/b", "a\r\nSet-Cookie: b=c", "\x00\x1b[2J", "Ада"]


@pytest.mark.parametrize("name", NAMES)
def test_any_user_name_is_served_and_never_logged(
    name: str, service: Service, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    message = ask(service(known(name=name)))
    assert message.status_code == 200
    assert "set-cookie" not in message.headers
    reported = str(message.headers) + message.text + caplog.text + "".join(capfd.readouterr())
    assert name not in reported


@pytest.mark.parametrize("host", ["hub.example.org", "10.0.0.7:10101"])
def test_proxy_host_names_require_a_token(host: str, service: Service) -> None:
    alone = service(known())
    assert ask(alone, Host=host).status_code == 200
    assert alone.client.post(f"{PREFIX}v1/completions", json=ASKED, headers={"Host": host}).status_code == 401


def test_other_origin_is_rejected_for_all_users(service: Service) -> None:
    assert ask(service(known()), Origin="https://evil.example").status_code == 403
