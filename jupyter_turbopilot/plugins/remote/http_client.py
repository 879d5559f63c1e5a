"""The HTTP connections to the remote server, its event streams, and connection errors."""

from __future__ import annotations

import math
import ssl
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.plugins.remote.dialect import EventContent, read_error
from jupyter_turbopilot.plugins.remote.errors import DiedError, ErrorEventError, InvalidAnswerError, failure
from jupyter_turbopilot.protocol.reply import LOAD_HEADER, SESSION_HEADER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from jupyter_turbopilot.plugins.remote.address import Address
    from jupyter_turbopilot.plugins.remote.dialect import Dialect, Request

OK, MISSING = 200, frozenset({404, 405, 501})
KEPT_SECONDS = 120.0  # for which an idle connection stays open
END = b"[DONE]"
MOST_BYTES = 2**22  # of an answer that is not a stream
LONGEST_EVENT = 2**18  # bytes; the start of an event is searched again with each chunk
LEVEL_SECONDS = 10.0  # for which a reported level of load shedding is valid


class HttpClient:
    """Persistent connections to the server. It runs on the connections' thread."""

    def __init__(self, address: Address, key: str, timeout: float, *, in_hub: bool = False) -> None:
        """`in_hub`: whether it is a service of this server's JupyterHub."""
        self.address = address
        self.in_hub = in_hub
        self.known = False  # whether its description was checked, and it has not failed since
        self._level, self._level_until = Level.NONE, -math.inf  # the last report
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {})
        secure = address.root.startswith("https:")
        self._client = httpx.AsyncClient(
            headers=headers,
            # The callers limit the time of a request; here, only connecting has a timeout.
            timeout=httpx.Timeout(None, connect=timeout / 2),
            # Loading the certificates is slow, and plain HTTP does not need them.
            verify=httpx.create_ssl_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            # A proxy cannot reach this machine, but other machines may be reachable only through it.
            trust_env=not address.local,
            follow_redirects=False,
            limits=httpx.Limits(max_connections=None, keepalive_expiry=KEPT_SECONDS),
        )

    @property
    def level(self) -> Level | None:
        """The level of load shedding that the server has reported lately; None if it is unknown."""
        return self._level if time.monotonic() < self._level_until else None

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def fetch(self, route: str, body: dict[str, Any] | None = None) -> bytes | None:
        """Return the answer to a GET, or to a POST with a body; None if the route does not exist."""
        async with self._answer(route, body) as answer:
            if answer.status_code in MISSING:
                return None
            await self._check(answer)
            return await _content(answer)

    async def stream(self, request: Request, dialect: Dialect) -> AsyncGenerator[EventContent]:
        """Send a request and yield the events of its answer, each of which has one line of data."""
        rest = b""
        async with self._answer(request.route, request.body, request.session) as answer:
            await self._check(answer)
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                raise InvalidAnswerError("an answer that is not an event stream")
            # Lines of httpx also end at characters that JSON need not escape.
            async for chunk in answer.aiter_raw():
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > LONGEST_EVENT:
                    raise InvalidAnswerError("a very long event")
                for line in lines:
                    if line.startswith(b"data:") and (data := line[5:].strip()):
                        yield EventContent(ended=True) if data == END else self._read(data, dialect)

    def _read(self, data: bytes, dialect: Dialect) -> EventContent:
        """Decode an event. An error with a status is handled like one instead of the stream."""
        try:
            return dialect.read(data)
        except ErrorEventError:
            if not (error := read_error(data)).status:
                raise
            raise failure(self.address.host, error.status, error, in_hub=self.in_hub) from None

    @asynccontextmanager
    async def _answer(
        self, route: str, body: dict[str, Any] | None, session: str = ""
    ) -> AsyncIterator[httpx.Response]:
        """Send a request to a route, or to another server's URL."""
        url = route if "://" in route else f"{self.address.root}{route}"
        if body is None:
            asked = self._client.stream("GET", url)
        else:
            headers = {"Content-Type": "application/json"} | ({SESSION_HEADER: session} if session else {})
            asked = self._client.stream("POST", url, content=msgspec.json.encode(body), headers=headers)
        try:
            async with asked as answer:
                if body is not None:
                    self._level = reported_level(answer)
                    self._level_until = time.monotonic() + LEVEL_SECONDS
                yield answer
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise DiedError(failure_reason(error)) from None

    async def _check(self, answer: httpx.Response) -> None:
        """Raise an error unless the request has succeeded."""
        if answer.status_code != OK:
            error = replace(read_error(await _content(answer)), after=retry_after(answer))
            raise failure(self.address.host, answer.status_code, error, in_hub=self.in_hub)
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise InvalidAnswerError("a compressed answer")


async def _content(answer: httpx.Response) -> bytes:
    """Return the body of an answer without expanding it; a longer one is cut, so that it is invalid."""
    content = bytearray()
    async for chunk in answer.aiter_raw():
        content += chunk
        if len(content) > MOST_BYTES:
            break
    return bytes(content)


def failure_reason(error: BaseException) -> str:
    """Return why a connection failed, without the exception's own message."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its certificate is invalid or not trusted"
        if isinstance(cause, ssl.SSLError):
            return "the TLS handshake failed"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError):
        return "nothing answers there"
    if isinstance(error, httpx.TimeoutException):
        return "it does not answer in time"
    if isinstance(error, httpx.ProtocolError):
        return "its answer broke off or is not HTTP"
    return f"the connection failed, {type(error).__name__}"


def reported_level(answer: httpx.Response) -> Level:
    """Return the level of load shedding in an answer's header."""
    header = answer.headers.get(LOAD_HEADER, "")
    return next((level for level in Level if header == str(int(level))), Level.NONE)


def retry_after(answer: httpx.Response) -> float | None:
    """Return the seconds in the Retry-After header; None if it is missing, invalid or a date."""
    header = answer.headers.get("retry-after", "").strip()
    return float(header[:9]) if header.isascii() and header.isdigit() else None
