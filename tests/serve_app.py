"""`serve`'s application in this process, with a scripted engine instead of a model."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from traitlets.config import Config

from jupyter_turbopilot.jupyter.identity import KeyIdentity, StandaloneIdentity
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.settings.config import Turbopilot

from .on_thread import OnThread
from .scripted_engine import ScriptedEngine, pilot_with

KEY = "s3cret-key"


class ServeApp(OnThread):
    """A server with a scripted engine."""

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
        """Load the model."""
        self.loading.set()
        super().load()

    def connected(self, address: str) -> httpx.Client:
        """Return a client that connects from another address, like another machine."""
        transport = httpx.HTTPTransport(local_address=address)
        url, headers = self.client.base_url, self.client.headers
        return httpx.Client(base_url=url, headers=headers, timeout=30, transport=transport)

    def raw(self, head: str, body: bytes = b"", *, key: str = KEY) -> tuple[int, str, bytes]:
        """Send a request byte for byte; return the status, head and body of the response."""
        lines = [head, f"Authorization: Bearer {key}"] if key else [head]
        if "\r\nHost:" not in head:
            lines.append(f"Host: 127.0.0.1:{self.port}")
        data = "\r\n".join([*lines, f"Content-Length: {len(body)}", "Connection: close", "", ""]).encode()
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(data + body)
            response = b"".join(iter(lambda: connection.recv(65536), b""))
        head_sent, _, content = response.partition(b"\r\n\r\n")
        return int(head_sent.split()[1]), head_sent.decode(), content

    def stop(self) -> None:
        """Stop the server."""
        self.loading.set()
        super().stop()


class Front(ServeApp):
    """A server without a model that uses a remote server."""

    def __init__(self, url: str, *, remote: dict[str, Any] | None = None, **settings: Any) -> None:
        config = Config(TurbopilotRemote={"url": url, **(remote or {})})
        super().__init__(Path(), engine="remote", config=config, **settings)

    def _pilot(self, settings: Turbopilot) -> Pilot:
        return Pilot(settings)
