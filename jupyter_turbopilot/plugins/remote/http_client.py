"""The HTTP connections to one remote server, its event streams, and connection errors."""

from __future__ import annotations

import math
import ssl
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from jupyter_turbopilot.engine.load_shedding import OVERLOADED, Level
from jupyter_turbopilot.plugins.remote import errors
from jupyter_turbopilot.plugins.remote.dialect import EventContent, read_error
from jupyter_turbopilot.plugins.remote.errors import DiedError, ErrorEventError, InvalidAnswerError
from jupyter_turbopilot.protocol.headers import LOAD_HEADER, REPLICA_HEADER, SESSION_HEADER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from jupyter_turbopilot.plugins.remote.address import Address
    from jupyter_turbopilot.plugins.remote.dialect import Dialect, Request

OK, NOT_ACCEPTED, MISSING = 200, 400, frozenset({404, 405, 501})
MOST_ANSWER = 1 << 22  # bytes of an answer that is not a stream
MOST_LINE = 1 << 20  # bytes; a token with its top logprobs needs a few thousand
ENDLESS = "an endless line"
KEPT_SECONDS = 120.0  # for which an idle connection stays open
END = b"[DONE]"
LEVEL_SECONDS = 10.0  # for which a reported level of load shedding is valid


class HttpClient:
    """Persistent connections to one address. It runs on the connections' thread."""

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
            return await _whole(answer)

    async def stream(self, request: Request, dialect: Dialect) -> AsyncGenerator[EventContent]:
        """Send a request and yield the events of its answer."""
        events = Events()
        async with self._answer(request.route, request.body, request.session) as answer:
            await self._check(answer)
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                raise InvalidAnswerError("an answer that is not an event stream")
            if replica := answer.headers.get(REPLICA_HEADER):
                yield EventContent(replica=replica)
            async for chunk in answer.aiter_raw():
                for data in events.feed(chunk):
                    yield EventContent(ended=True) if data == END else self._read(data, dialect)

    def _read(self, data: bytes, dialect: Dialect) -> EventContent:
        """Decode an event. An error with a status is handled like one instead of the stream."""
        try:
            return dialect.read(data)
        except ErrorEventError as event:
            if not event.status:
                raise
            raise errors.failure(
                self.address.host, event.status, event.after, in_hub=self.in_hub, code=event.code
            ) from None

    @asynccontextmanager
    async def _answer(
        self, route: str, body: dict[str, Any] | None, session: str = ""
    ) -> AsyncIterator[httpx.Response]:
        url = f"{self.address.root}{route}"
        if body is None:
            asked = self._client.stream("GET", url)
        else:
            headers = {"Content-Type": "application/json"}
            if session:
                headers[SESSION_HEADER] = session
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
        status = answer.status_code
        if status == OK:
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise InvalidAnswerError("a compressed answer, which was not asked for")
            return
        option, code = read_error(await _whole(answer))
        if status == NOT_ACCEPTED and option:
            raise errors.not_accepted(self.address.host, option)
        if status == errors.TOO_MANY and code == OVERLOADED:
            raise errors.overloaded(self.address.host, retry_after(answer))
        raise errors.failure(self.address.host, status, retry_after(answer), in_hub=self.in_hub, code=code)


async def _whole(answer: httpx.Response) -> bytes:
    """Read an answer that is not a stream."""
    data = bytearray()
    async for chunk in answer.aiter_raw():
        data += chunk
        if len(data) > MOST_ANSWER:
            raise InvalidAnswerError("an endless answer")
    return bytes(data)


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


class Events:
    """Decodes a stream of server-sent events, each of which has one line of data."""

    def __init__(self, most: int = MOST_LINE) -> None:
        self._most = most
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Add bytes, and return the data of the lines that are complete now."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > self._most:
            raise InvalidAnswerError(ENDLESS)
        return [data for line in lines if line.startswith(b"data:") and (data := line[5:].strip())]


def reported_level(answer: httpx.Response) -> Level:
    """Return the level of load shedding in an answer's header."""
    header = answer.headers.get(LOAD_HEADER, "")
    return next((level for level in Level if header == str(int(level))), Level.NONE)


def retry_after(answer: httpx.Response) -> float | None:
    """Return the seconds in the Retry-After header, or None if it is missing or invalid."""
    header = answer.headers.get("retry-after", "").strip()
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())
