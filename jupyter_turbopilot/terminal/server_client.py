"""Client for a running server, with which a kernel's magics need no second copy of the model."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import msgspec

from jupyter_turbopilot.jupyter.runtime import SECRET_HEADER
from jupyter_turbopilot.protocol.errors import NotReadyError, TurbopilotError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.jupyter.runtime import Runtime
    from jupyter_turbopilot.protocol.request import Completion

T = TypeVar("T")


class ServerHealth(msgspec.Struct):
    """The fields of the server's health that every version of the server sends."""

    ready: bool
    model: str
    reason: str | None
    last_ms: float | None


class Text(msgspec.Struct):
    """A suggestion, or a frame in a stream."""

    text: str


class CompleteAnswer(msgspec.Struct):
    """The used fields of a complete answer."""

    items: list[Text]


class _Error(msgspec.Struct):
    message: str


class _Failure(msgspec.Struct):
    error: _Error | None = None


class ServerClient:
    """A running Jupyter server with Turbopilot."""

    def __init__(self, runtime: Runtime, timeout: float = 60.0) -> None:
        # The server is on this machine: never use a proxy.
        self._client = httpx.Client(
            base_url=f"{runtime.url}turbopilot/",
            headers={SECRET_HEADER: runtime.secret, "Content-Type": "application/json"},
            timeout=httpx.Timeout(timeout, connect=2.0),
            trust_env=False,
            verify=not runtime.url.startswith("https://127.0.0.1"),
        )

    def health(self) -> dict[str, Any]:
        health = self._ask("GET", "health")
        _decoded(health, ServerHealth)
        return _decoded(health, dict[str, Any])

    def complete(self, request: Completion) -> list[str]:
        answer = self._ask("POST", "complete", msgspec.json.encode(request))
        return [item.text for item in _decoded(answer, CompleteAnswer).items]

    def frames(self, path: str, request: msgspec.Struct, kind: type[T]) -> Iterator[T]:
        """Yield the frames of a route's answer as they arrive."""
        content = msgspec.json.encode(request)
        with _explained(), self._client.stream("POST", path, content=content) as answer:
            if answer.is_error:
                answer.read()
                raise _refusal(answer)
            for line in _lines(answer.iter_bytes()):
                if error := _decoded(line, _Failure).error:
                    raise TurbopilotError(error.message)
                yield _decoded(line, kind)

    def _ask(self, method: str, path: str, content: bytes | None = None) -> bytes:
        with _explained():
            answer = self._client.request(method, path, content=content)
        if answer.is_error:
            raise _refusal(answer)
        return answer.content

    def close(self) -> None:
        self._client.close()


@contextmanager
def _explained() -> Iterator[None]:
    """Raise a NotReadyError for a server that does not respond."""
    try:
        yield
    except httpx.HTTPError as error:
        raise NotReadyError(
            f"The Jupyter server does not respond ({type(error).__name__}). Check that it is running.",
            code="unreachable",
        ) from None


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Split at line feeds only: a text may contain other line separators."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _decoded(data: bytes, kind: type[T]) -> T:
    """Decode an answer; a proxy, a login page, or another version of Turbopilot sends something else."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise NotReadyError(
            "The response did not come from Turbopilot. Restart the kernel from JupyterLab, "
            "or load a copy of the model in this kernel: %%complete --local",
            code="unreachable",
        ) from None


def _refusal(answer: httpx.Response) -> TurbopilotError:
    """Return the error of a response. Jupyter's own errors, and those of a proxy, have another form."""
    with suppress(NotReadyError):
        if error := _decoded(answer.content, _Failure).error:
            return TurbopilotError(error.message)
    return TurbopilotError(f"The server answered {answer.status_code}.")
