"""A scripted remote server with OpenAI's completions protocol."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_turbopilot.engine.vocabulary import Vocabulary
from jupyter_turbopilot.plugins.remote.settings import TurbopilotRemote
from jupyter_turbopilot.settings.config import Turbopilot

Act = Callable[["Wire", dict[str, Any]], None]
WAIT = 10.0


class Wire:
    """The connection of one request."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.kept = False  # whether the answer was complete, so that the connection can be reused
        connection.settimeout(WAIT)

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def answer(self, status: int, content: bytes, kind: str = "application/json", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(content)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join([*lines, "", ""]).encode() + content)
        self.kept = True

    def begin(self, kind: str = "text/event-stream") -> None:
        self.send(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n".encode())

    def event(self, **fields: Any) -> None:
        self.send(b"data: " + json.dumps(fields).encode() + b"\n\n")

    def gone(self) -> bool:
        """Wait until the client has closed the connection."""
        with suppress(ConnectionError):
            return self._connection.recv(1) == b""
        return True


class FakeServer:
    """A server whose completions run `acts` one by one, and then repeat the last one."""

    def __init__(self, *acts: Act, certificate: Path | None = None, port: int = 0) -> None:
        self.acts = list(acts)
        self.models: Any = {"data": [{"id": "far", "owned_by": "vllm", "max_model_len": 512}]}
        self.routes: dict[str, Act] = {}
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self._context = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port = self._socket.getsockname()[1]
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.port}/v1"
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def asked(self, route: str) -> list[dict[str, Any]]:
        return [body for path, _, body in self.requests if path == route]

    def stop(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError):
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as lines:
                while self._request(connection, lines):
                    pass

    def _request(self, connection: socket.socket, lines: Any) -> bool:
        first = lines.readline().split()
        if len(first) < 2:
            return False
        headers = {}
        while line := lines.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        content = lines.read(int(headers.get("content-length", 0)))
        body = json.loads(content) if content else {}
        path = first[1].decode()
        self.requests.append((path, headers, body))
        wire = Wire(connection)
        if path in self.routes:
            self.routes[path](wire, body)
        elif path == "/v1/models":
            wire.answer(200, json.dumps(self.models).encode())
        elif path == "/v1/completions":
            act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
            act(wire, body)
        else:
            wire.answer(404, b"{}")
        return wire.kept


def completion(
    *texts: str, logprob: float | None = -0.1, model: str = "far", end: str | None = "stop"
) -> Act:
    """Send texts with their characters as tokens."""

    def act(wire: Wire, body: dict[str, Any]) -> None:
        wire.begin()
        for text in texts:
            wire.event(model=model, choices=[{"text": text, "logprobs": chances(text, logprob)}])
        if end:
            wire.event(model=model, choices=[{"text": "", "finish_reason": end}])
            wire.send(b"data: [DONE]\n\n")

    return act


def chances(text: Iterable[str], logprob: float | None) -> dict[str, Any]:
    ids = [f"token_id:{ord(character)}" for character in text]
    return {"tokens": ids, "token_logprobs": [logprob] * len(ids)}


def status(code: int, **headers: str) -> Act:
    return lambda wire, _: wire.answer(code, b"prompt: SECRET", "text/plain", **headers)


def always(vocabulary: Vocabulary | None) -> Callable[[str], Vocabulary | None]:
    """Return a function that returns the same vocabulary for every model."""
    return lambda _: vocabulary


def settings_for(server: FakeServer | str, **traits: Any) -> Turbopilot:
    settings = Turbopilot()
    settings.section(TurbopilotRemote).url = server if isinstance(server, str) else server.url
    for name, value in ({"timeout": 5.0} | traits).items():
        setattr(settings.section(TurbopilotRemote), name, value)
    return settings
