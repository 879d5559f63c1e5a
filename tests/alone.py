"""`serve`'s application in this process, with a scripted engine: no model to wait for."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.server.describe import describe_health
from jupyter_turbopilot.server.standalone import application

from .scripted_engine import ScriptedEngine, pilot_with

KEY = "s3cret-key"


class Alone:
    """A server on a thread of its own."""

    def __init__(
        self, model: Path, *, key: str = KEY, host: str = "127.0.0.1", load: bool = True, **settings: Any
    ) -> None:
        self.engine = ScriptedEngine("a + b + c")
        self.loading = threading.Event()
        self.pilot = pilot_with(Turbopilot(model=str(model), **settings), self._engine)
        started: list[Any] = []

        async def run() -> None:
            listening, self.port = bind_unused_port()
            server = HTTPServer(application(self.pilot, key, host))
            server.add_socket(listening)
            self._ended = asyncio.Event()
            started.append(asyncio.get_running_loop())
            await self._ended.wait()
            server.stop()

        self._thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
        self._thread.start()
        self._wait(lambda: bool(started))
        self.loop: asyncio.AbstractEventLoop = started[0]
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=30)
        if load:
            self.load()

    def _engine(self, *_: Any) -> ScriptedEngine:
        self.loading.wait(30)
        return self.engine

    def load(self) -> None:
        """Let the model be loaded."""
        self.loading.set()
        self.pilot.start()
        self._wait(lambda: bool(describe_health(self.pilot)["ready"]))

    @staticmethod
    def _wait(done: Any) -> None:
        end = time.monotonic() + 30
        while not done():
            assert time.monotonic() < end
            time.sleep(0.005)

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
        self.client.close()
        self.loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)
        self.pilot.stop()
