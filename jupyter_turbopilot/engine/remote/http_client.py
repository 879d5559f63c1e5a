"""One far side over HTTP: its connections, its streams of events, and what goes wrong on them."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from jupyter_turbopilot.engine.remote import errors
from jupyter_turbopilot.engine.remote.dialect import (
    REPLICA_HEADER,
    SESSION_HEADER,
    EventContent,
    refused_option,
)
from jupyter_turbopilot.engine.remote.errors import DiedError, ErrorEventError, InvalidAnswerError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from jupyter_turbopilot.engine.remote.address import Address
    from jupyter_turbopilot.engine.remote.dialect import Dialect, Request

OK, NOT_ACCEPTED, MISSING = 200, 400, frozenset({404, 405, 501})
MOST_ANSWER = 1 << 22  # bytes of an answer that is no stream
MOST_LINE = 1 << 20  # bytes; a token with its likeliest others takes some thousands
ENDLESS = "a line without end"
KEPT_SECONDS = 120.0  # a connection that is not used is kept open
END = b"[DONE]"


class HttpClient:
    """Connections to one address, kept open. Used on the thread of connections alone."""

    def __init__(self, address: Address, key: str, timeout: float, *, in_hub: bool = False) -> None:
        """`in_hub`: whether it is a service of the JupyterHub that this server belongs to."""
        self.address = address
        self._in_hub = in_hub
        self.known = False  # whether it was asked who it is, and has not failed since
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {})
        secure = address.root.startswith("https:")
        self._client = httpx.AsyncClient(
            headers=headers,
            # Time is kept by who asks; only a connection that nobody answers is given up here.
            timeout=httpx.Timeout(None, connect=timeout / 2),
            # Without encryption no certificate is looked at, and reading all the known ones takes time.
            verify=httpx.create_ssl_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            # A proxy cannot reach this machine; another one may be reached through nothing else.
            trust_env=not address.local,
            follow_redirects=False,
            limits=httpx.Limits(max_connections=None, keepalive_expiry=KEPT_SECONDS),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def fetch(self, route: str, body: dict[str, Any] | None = None) -> bytes | None:
        """Return what is at a route, or the answer to a body; None: there is no such route."""
        async with self._answer(route, body) as answer:
            if answer.status_code in MISSING:
                return None
            await self._check(answer)
            return await _whole(answer)

    async def stream(self, request: Request, dialect: Dialect) -> AsyncGenerator[EventContent]:
        """Send a request; yield what its answer says, event by event."""
        events = Events()
        async with self._answer(request.route, request.body, request.session) as answer:
            await self._check(answer)
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                raise InvalidAnswerError("what is not a stream of events")
            if replica := answer.headers.get(REPLICA_HEADER):
                yield EventContent(replica=replica)
            async for chunk in answer.aiter_raw():
                for data in events.feed(chunk):
                    yield EventContent(ended=True) if data == END else self._read(data, dialect)

    def _read(self, data: bytes, dialect: Dialect) -> EventContent:
        """Read an event; an error in it is the same as an error in place of the stream."""
        try:
            return dialect.read(data)
        except ErrorEventError as event:
            if not event.status:
                raise
            raise errors.failure(self.address.host, event.status, event.after, in_hub=self._in_hub) from None

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
                yield answer
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise DiedError(how(error)) from None

    async def _check(self, answer: httpx.Response) -> None:
        """Raise an error for a status that is none of success."""
        status = answer.status_code
        if status == OK:
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise InvalidAnswerError("a compressed answer, which was not asked for")
            return
        if status == NOT_ACCEPTED and (option := refused_option(await _whole(answer))):
            raise errors.not_accepted(self.address.host, option)
        raise errors.failure(self.address.host, status, retry_after(answer), in_hub=self._in_hub)


async def _whole(answer: httpx.Response) -> bytes:
    """Read an answer that is no stream."""
    data = bytearray()
    async for chunk in answer.aiter_raw():
        data += chunk
        if len(data) > MOST_ANSWER:
            raise InvalidAnswerError("an answer without end")
    return bytes(data)


def how(error: BaseException) -> str:
    """Return in words why a connection failed. Of an exception's own text nothing is told."""
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its certificate is not valid for it, or nobody trusts who signed it"
        if isinstance(cause, ssl.SSLError):
            return "it does not speak TLS as we do"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError):
        return "nothing answers there"
    if isinstance(error, httpx.TimeoutException):
        return "it does not answer in time"
    if isinstance(error, httpx.ProtocolError):
        return "its answer broke off or is not HTTP"
    return f"the connection failed, {type(error).__name__}"


class Events:
    """Joins bytes to lines and lines to events; of an event only the data count."""

    def __init__(self, most: int = MOST_LINE) -> None:
        self._most = most
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._return = False  # whether the last byte was a carriage return: a line feed belongs to it

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that are whole now."""
        if self._return and chunk.startswith(b"\n"):
            chunk, self._return = chunk[1:], False
        if chunk:
            self._return = chunk.endswith(b"\r")
        first, *others = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest += first
        found = []
        for line in others:
            if (data := self._take(bytes(self._rest))) is not None:
                found.append(data)
            self._rest = bytearray(line)
        if len(self._rest) + self._size > self._most:
            raise InvalidAnswerError(ENDLESS)
        return found

    def _take(self, line: bytes) -> bytes | None:
        """Take a line; return an event's data at its end."""
        if not line:
            data, self._data, self._size = self._data, [], 0
            return b"\n".join(data) if data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(line)
            if self._size > self._most:
                raise InvalidAnswerError(ENDLESS)
        return None


def retry_after(answer: httpx.Response) -> float | None:
    """Return how many seconds an answer asks to wait for; None where it says nothing that can be read."""
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
