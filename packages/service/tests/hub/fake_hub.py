"""A fake hub API on loopback with scripted responses."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Self

SCOPE = "access:services!service=turbopilot"


def model(name: str = "ada", **changes: Any) -> dict[str, Any]:
    return {"name": name, "kind": "user", "admin": False, "scopes": [SCOPE]} | changes


def answer(status: int, body: bytes, *more: str, kind: str = "application/json") -> bytes:
    head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", f"Content-Type: {kind}", *more]
    return "\r\n".join([*head, "", ""]).encode() + body


def known(**changes: Any) -> bytes:
    return answer(200, json.dumps(model(**changes)).encode())


REFUSED = answer(403, b'{"status": 403, "message": "Forbidden"}')


class FakeHub:
    """Respond to each request with `says` (bytes or a function that returns them); None: never."""

    def __init__(self, says: bytes | Callable[[str], Awaitable[bytes | None]] | None = b"") -> None:
        self.says = says
        self.heads: list[str] = []
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/hub/api"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.heads.append(head)
                token = head.lower().partition("authorization: token ")[2].partition("\r\n")[0]
                message = await self.says(token) if callable(self.says) else self.says
                if message is None:
                    continue
                writer.write(message)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
