"""`serve`'s application in this process, with a scripted engine: no model to wait for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from jupyter_turbopilot.config import Turbopilot, TurbopilotRemote
from jupyter_turbopilot.pilot.pilot import Pilot
from jupyter_turbopilot.server.identity import KeyIdentity, StandaloneIdentity

from .on_thread import OnThread
from .scripted_engine import ScriptedEngine, pilot_with

KEY = "s3cret-key"


class Alone(OnThread):
    """A server whose one model is scripted."""

    def __init__(
        self,
        model: Path,
        *,
        key: str = KEY,
        host: str = "127.0.0.1",
        load: bool = True,
        identity: Callable[[], StandaloneIdentity] | None = None,
        prefix: str = "/",
        **settings: Any,
    ) -> None:
        self.engine = ScriptedEngine("a + b + c")
        self.loading = threading.Event()
        pilot = self._pilot(Turbopilot(model=str(model), **settings))
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        super().__init__(pilot, identity or (lambda: KeyIdentity(key, host)), prefix, headers)
        if load:
            self.load()

    def _pilot(self, settings: Turbopilot) -> Pilot:
        return pilot_with(settings, self._engine)

    def _engine(self, *_: Any) -> ScriptedEngine:
        self.loading.wait(30)
        return self.engine

    def load(self) -> None:
        """Let the model be loaded."""
        self.loading.set()
        super().load()

    def connected(self, address: str) -> httpx.Client:
        """Return a client like this server's own, on another machine as far as the server can tell."""
        transport = httpx.HTTPTransport(local_address=address)
        url, headers = self.client.base_url, self.client.headers
        return httpx.Client(base_url=url, headers=headers, timeout=30, transport=transport)

    def raw(self, head: str, body: bytes = b"", *, key: str = KEY) -> tuple[int, str, bytes]:
        """Send a request byte for byte; return the answer's status, head and body."""
        lines = [head, f"Authorization: Bearer {key}"] if key else [head]
        if "\r\nHost:" not in head:
            lines.append(f"Host: 127.0.0.1:{self.port}")
        data = "\r\n".join([*lines, f"Content-Length: {len(body)}", "Connection: close", "", ""]).encode()
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(data + body)
            said = b"".join(iter(lambda: connection.recv(65536), b""))
        told, _, content = said.partition(b"\r\n\r\n")
        return int(told.split()[1]), told.decode(), content

    def stop(self) -> None:
        """End it."""
        self.loading.set()
        super().stop()


class Front(Alone):
    """A server without a model, which has another one compute."""

    def __init__(self, url: str, *, remote: dict[str, Any] | None = None, **settings: Any) -> None:
        elsewhere = TurbopilotRemote(urls=[url], **(remote or {}))
        super().__init__(Path(), engine="remote", remote=elsewhere, **settings)

    def _pilot(self, settings: Turbopilot) -> Pilot:
        return Pilot(settings)
