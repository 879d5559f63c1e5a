"""Client for a running server, with which a kernel's magics need no second copy of the model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from jupyter_turbopilot.jupyter.runtime import SECRET_HEADER
from jupyter_turbopilot.protocol.errors import NotReadyError, TurbopilotError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.jupyter.runtime import Runtime
    from jupyter_turbopilot.protocol.request import Completion

LONGEST_MESSAGE = 1000  # characters of an error message from a proxy


class RemoteError(TurbopilotError):
    """An error response of the server."""

    def __init__(self, status: int, code: str, message: str, after: float) -> None:
        super().__init__(message, code=code, after=after)
        self.status = status


class ExpectedHealth(msgspec.Struct):
    """The required fields of the server's health."""

    ready: bool
    model: str
    reason: str | None = None
    last_ms: float | None = None


class ExpectedItem(msgspec.Struct):
    """The required fields of a suggestion, or of a frame in a stream."""

    text: str


class ExpectedAnswer(msgspec.Struct):
    """The required fields of a complete answer."""

    items: list[ExpectedItem]


class ServerClient:
    """A running Jupyter server with Turbopilot."""

    def __init__(self, runtime: Runtime, timeout: float = 60.0) -> None:
        # The server is on this machine: never use a proxy.
        self._client = httpx.Client(
            base_url=runtime.url,
            headers={SECRET_HEADER: runtime.secret, "Content-Type": "application/json"},
            timeout=httpx.Timeout(timeout, connect=2.0),
            trust_env=False,
            verify=not runtime.url.startswith("https://127.0.0.1"),
        )

    def health(self) -> dict[str, Any]:
        """Return the server's health."""
        return _ours(self._ask("GET", "health"), ExpectedHealth)

    def complete(self, request: Completion) -> dict[str, Any]:
        """Return complete suggestions."""
        return _ours(self._ask("POST", "complete", msgspec.json.encode(request)), ExpectedAnswer)

    def stream(self, request: Completion) -> Iterator[dict[str, Any]]:
        """Yield frames while the text grows."""
        return self.frames("complete", request, ExpectedItem)

    def frames(
        self, path: str, request: msgspec.Struct, kind: type[msgspec.Struct]
    ) -> Iterator[dict[str, Any]]:
        """Yield the frames of a route, of which `kind` names the required fields."""
        return (_ours(frame, kind) for frame in self._stream(path, request))

    def _ask(self, method: str, path: str, content: bytes | None = None) -> dict[str, Any]:
        """Return a complete answer."""
        try:
            answer = self._client.request(method, f"turbopilot/{path}", content=content)
        except httpx.HTTPError as error:
            raise _unreachable(error) from None
        _check(answer)
        return _read(answer.content)

    def _stream(self, path: str, request: msgspec.Struct) -> Iterator[dict[str, Any]]:
        """Yield the lines of an answer as they arrive."""
        content = msgspec.json.encode(request)
        try:
            with self._client.stream("POST", f"turbopilot/{path}", content=content) as answer:
                if answer.is_error:
                    answer.read()
                    _check(answer)
                for line in _lines(answer.iter_bytes()):
                    frame = _read(line)
                    if frame.get("error"):
                        raise _error(500, frame)
                    yield frame
        except httpx.HTTPError as error:
            raise _unreachable(error) from None

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Split at line feeds only: a text may contain other line separators."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _read(data: bytes) -> dict[str, Any]:
    """Parse a JSON object; a proxy or a login page returns something else."""
    body = _json(data)
    if not isinstance(body, dict):
        raise _foreign()
    return body


def _ours(body: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return an answer if it has the expected fields; other programs return JSON, too."""
    try:
        msgspec.convert(body, kind)
    except msgspec.ValidationError:
        raise _foreign() from None
    return body


def _foreign() -> NotReadyError:
    return NotReadyError(
        "The response did not come from Turbopilot. Restart the kernel from JupyterLab, "
        "or load a copy of the model in this kernel: %%complete --local",
        code="unreachable",
    )


def _unreachable(error: httpx.HTTPError) -> NotReadyError:
    return NotReadyError(
        f"The Jupyter server does not respond ({type(error).__name__}). Check that it is running.",
        code="unreachable",
    )


def _check(answer: httpx.Response) -> None:
    if answer.is_error:
        raise _error(answer.status_code, _json(answer.content))


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _error(status: int, body: Any) -> RemoteError:
    """Return the error in a response or a frame; a proxy may return text or a list instead."""
    error = body.get("error") if isinstance(body, dict) else None
    fields = error if isinstance(error, dict) else {"message": error}
    # The status line of a stream is 200, so a frame repeats the status of its error.
    status = _number(fields.get("status")) or status
    code, message = fields.get("code"), fields.get("message")
    if not isinstance(message, str) or not message:
        message = f"The server answered {status}."
    after = _number(fields.get("retry_after")) or TurbopilotError.after
    return RemoteError(status, code if isinstance(code, str) else "error", message[:LONGEST_MESSAGE], after)


def _number(value: Any) -> int:
    return value if type(value) is int else 0
