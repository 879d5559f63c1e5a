"""One far side over HTTP: its connections, and what goes wrong on them."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from jupyter_turbopilot.engine.remote.back_off import retry_after
from jupyter_turbopilot.engine.remote.dialect import REPLICA_HEADER, SESSION_HEADER, Heard, refused_option
from jupyter_turbopilot.engine.remote.events import Events
from jupyter_turbopilot.engine.remote.words import (
    WAIT,
    AskedToWaitError,
    DiedError,
    ErrorEventError,
    StrangeAnswerError,
    not_accepted,
    refused,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from jupyter_turbopilot.engine.remote.address import Address
    from jupyter_turbopilot.engine.remote.dialect import Dialect, Request

OK, NOT_ACCEPTED, MISSING = 200, 400, frozenset({404, 405, 501})
MOST_ANSWER = 1 << 22  # bytes of an answer that is no stream
KEPT_SECONDS = 120.0  # a connection that is not used is kept open
END = b"[DONE]"


class HttpSide:
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

    async def get(self, route: str) -> bytes | None:
        """Return what is at a route; None: nothing."""
        return await self._fetch("GET", route)

    async def post(self, route: str, body: dict[str, Any]) -> bytes | None:
        """Return the answer to a request; None: there is no such route."""
        return await self._fetch("POST", route, body)

    async def _fetch(self, method: str, route: str, body: dict[str, Any] | None = None) -> bytes | None:
        async with self._answer(method, route, body) as answer:
            if answer.status_code in MISSING:
                return None
            await self._check(answer)
            return await _whole(answer)

    async def stream(self, request: Request, dialect: Dialect) -> AsyncGenerator[Heard]:
        """Send a request; yield what its answer says, event by event."""
        events = Events()
        async with self._answer("POST", request.route, request.body, request.session) as answer:
            await self._check(answer)
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                raise StrangeAnswerError("what is not a stream of events")
            if replica := answer.headers.get(REPLICA_HEADER):
                yield Heard(replica=replica)
            async for chunk in answer.aiter_raw():
                for data in events.feed(chunk):
                    yield Heard(ended=True) if data == END else self._read(data, dialect)

    def _read(self, data: bytes, dialect: Dialect) -> Heard:
        """Read an event; an error in it is the same as an error in place of the stream."""
        try:
            return dialect.read(data)
        except ErrorEventError as event:
            if not event.status:
                raise
            raise self._failure(event.status, event.after) from None

    @asynccontextmanager
    async def _answer(
        self, method: str, route: str, body: dict[str, Any] | None, session: str = ""
    ) -> AsyncIterator[httpx.Response]:
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        if session:
            headers[SESSION_HEADER] = session
        url = f"{self.address.root}{route}"
        with _in_words():
            async with self._client.stream(method, url, content=content, headers=headers) as answer:
                yield answer

    async def _check(self, answer: httpx.Response) -> None:
        """Raise an error for a status that is none of success."""
        status = answer.status_code
        if status == OK:
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise StrangeAnswerError("a compressed answer, which was not asked for")
            return
        if status == NOT_ACCEPTED and (option := refused_option(await _whole(answer))):
            raise not_accepted(self.address.host, option)
        raise self._failure(status, retry_after(answer.headers.get("retry-after", ""), datetime.now(UTC)))

    def _failure(self, status: int, after: float | None) -> Exception:
        error = refused(self.address.host, status, in_hub=self._in_hub)
        return AskedToWaitError(error, after) if status in WAIT else error


async def _whole(answer: httpx.Response) -> bytes:
    """Read an answer that is no stream."""
    data = bytearray()
    async for chunk in answer.aiter_raw():
        data += chunk
        if len(data) > MOST_ANSWER:
            raise StrangeAnswerError("an answer without end")
    return bytes(data)


@contextmanager
def _in_words() -> Iterator[None]:
    """Say how a connection failed. Of an exception's own text nothing is told."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise DiedError(how(error)) from None


def how(error: BaseException) -> str:
    """Return in words why a connection failed."""
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
