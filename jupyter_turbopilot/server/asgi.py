"""The routes as an ASGI application: behind a server that is none of ours they answer as behind ours."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import StreamClosedError

from jupyter_turbopilot.errors import BadRequestError, BodyTimeoutError, NotReadyError
from jupyter_turbopilot.reply import compact
from jupyter_turbopilot.server.routes.base import BODY_SECONDS, HARD_LIMIT
from jupyter_turbopilot.server.routes.openai_wording import error_body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from tornado.web import Application

    from jupyter_turbopilot.errors import TurbopilotError

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]


START, BODY = "http.response.start", "http.response.body"
WITHOUT_BODY = {"GET", "HEAD", "OPTIONS"}  # no route reads the body of these methods


class Connection(HTTPConnection):
    """Takes what a route writes; `deliver` sends it on, one message at a time and in order."""

    def __init__(self, context: SimpleNamespace) -> None:
        self.context = context
        self.closed = False
        self._written: asyncio.Queue[tuple[Message, asyncio.Future[None] | None]] = asyncio.Queue()

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Nothing to do: who has gone is told to the route by `Delegate.on_connection_close`."""

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> asyncio.Future[None]:
        """Begin an answer."""
        assert isinstance(start_line, ResponseStartLine)  # noqa: S101 - a server's connection
        sent = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.get_all()
        ]
        self._written.put_nowait(({"type": START, "status": start_line.code, "headers": sent}, None))
        return self.write(chunk or b"")

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """Go on with an answer; what is returned is done once it was sent."""
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.closed:
            sent.set_exception(StreamClosedError())
            sent.exception()  # nobody has to look at it
        else:
            self._written.put_nowait(({"type": BODY, "body": chunk, "more_body": True}, sent))
        return sent

    def finish(self) -> None:
        """End an answer."""
        self._written.put_nowait(({"type": BODY, "body": b"", "more_body": False}, None))

    async def deliver(self, send: Send) -> None:
        """Send what is written until the answer's end."""
        more = True
        while more:
            message, sent = await self._written.get()
            await send(message)
            more = bool(message.get("more_body", True))
            if sent and not sent.done():
                sent.set_result(None)

    def close(self) -> None:
        """Have whoever waits for something to be sent know that it will not be."""
        self.closed = True
        while not self._written.empty():
            _, sent = self._written.get_nowait()
            if sent and not sent.done():
                sent.set_exception(StreamClosedError())
                sent.exception()


class Mounted:
    """An ASGI application that answers with the routes of `made`."""

    def __init__(self, made: Application) -> None:
        self._made = made

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request. Whoever goes away, or is cancelled, is not written for any longer."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"Only HTTP is spoken here, not {scope['type']}.")
        client = scope.get("client") or ("", 0)
        connection = Connection(
            SimpleNamespace(remote_ip=str(client[0]), protocol=scope.get("scheme", "http"))
        )
        delegate: HTTPMessageDelegate = self._made.start_request(object(), connection)
        asking = asyncio.ensure_future(_ask(scope, receive, delegate, connection))
        answering = asyncio.ensure_future(connection.deliver(send))
        try:
            # An answer may be complete before its request is: a refusal needs no body.
            await asyncio.wait({asking, answering}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            answered = answering.done()
            connection.close()
            for task in (asking, answering):
                task.cancel()
            asked, sent = await asyncio.gather(asking, answering, return_exceptions=True)
            if not answered or isinstance(sent, Exception):
                delegate.on_connection_close()
        if isinstance(asked, Exception):
            raise asked


async def _ask(
    scope: Message, receive: Receive, delegate: HTTPMessageDelegate, connection: Connection
) -> None:
    """Hand a request on as it comes; return once its client has gone."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    query = scope.get("query_string", b"").decode("latin-1")
    line = RequestStartLine(scope["method"], quote(path) + (f"?{query}" if query else ""), "HTTP/1.1")
    headers = HTTPHeaders()
    try:
        for name, value in scope["headers"]:
            headers.add(name.decode("latin-1"), value.decode("latin-1"))
        await _waited(delegate.headers_received(line, headers))
    except HTTPInputError:
        _refuse(connection, BadRequestError("The request has invalid headers."))
        await _left(receive)
        return
    try:
        async with asyncio.timeout(BODY_SECONDS):
            if line.method not in WITHOUT_BODY and not await _body(receive, delegate):
                return
    except TimeoutError:
        delegate.on_connection_close()
        _refuse(connection, BodyTimeoutError(f"The body did not arrive within {BODY_SECONDS:g} seconds."))
    else:
        delegate.finish()
    await _left(receive)


async def _body(receive: Receive, delegate: HTTPMessageDelegate) -> bool:
    """Pass the body on; return whether it ended before the client left.

    Of an endless body the route gets enough to refuse it.
    """
    received, more = 0, True
    while more and received <= HARD_LIMIT:
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        data = message.get("body", b"")
        received += len(data)
        await _waited(delegate.data_received(data))
        more = message.get("more_body", False)
    return True


def _refuse(connection: Connection, error: TurbopilotError) -> None:
    """Respond without a route."""
    body = compact(error.body())
    headers = HTTPHeaders(error.headers | {"Content-Length": str(len(body)), "Connection": "close"})
    connection.write_headers(ResponseStartLine("", error.status, ""), headers, body)
    connection.finish()


async def _left(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _waited(step: Awaitable[None] | None) -> None:
    if step is not None:
        await step


async def _live(receive: Receive, send: Send) -> None:
    """Agree to start and to end: what is mounted was started, and will be stopped, by who mounts it."""
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})


HTTP = "http"


class Unanswered:
    """An ASGI application in front of another: what that one leaves unanswered is 503 with Retry-After.

    Without it a server answers 500 in its place, which clients do not ask again after.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Have the other answer."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        await self._app(scope, receive, noted)
        if begun or scope["type"] != HTTP:
            return
        error = NotReadyError(
            "The replica that this was sent to has ended. Send it again.", code="replica_gone"
        )
        headers = [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
        await send({"type": "http.response.start", "status": error.status, "headers": headers})
        await send({"type": "http.response.body", "body": compact(error_body(error, None))})
