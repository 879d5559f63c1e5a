"""`serve`'s application in a separate thread, for any pilot and identity provider."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import httpx
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from jupyter_turbopilot.jupyter.describe import describe_health
from jupyter_turbopilot.jupyter.identity import StandaloneIdentity
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.jupyter.standalone import application

from .waiting import until


class OnThread:
    """A server and its client; `load` loads the model."""

    def __init__(
        self,
        pilot: Pilot,
        identity: Callable[[], StandaloneIdentity],
        prefix: str = "/",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.pilot = pilot
        started: list[Any] = []

        async def run() -> None:
            listening, self.port = bind_unused_port()
            who = identity()
            server = HTTPServer(application(pilot, who, prefix))
            server.add_socket(listening)
            self._ended = asyncio.Event()
            started.append(asyncio.get_running_loop())
            await self._ended.wait()
            server.stop()
            await who.stop()

        self._thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
        self._thread.start()
        until(lambda: bool(started))
        self.loop: asyncio.AbstractEventLoop = started[0]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=30)

    def load(self) -> None:
        """Load the model."""
        self.pilot.start()
        until(lambda: bool(describe_health(self.pilot)["ready"]))

    def stop(self) -> None:
        """Stop the server."""
        self.client.close()
        self.loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(30)
        self.pilot.stop()
