"""The routes as an ASGI application, for servers such as Ray Serve's uvicorn."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import StreamClosedError

from jupyter_turbopilot.jupyter.routes.base import BODY_SECONDS, HARD_LIMIT
from jupyter_turbopilot.protocol.errors import BadRequestError, BodyTimeoutError, NotReadyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from tornado.web import Application

    from jupyter_turbopilot.protocol.errors import TurbopilotError

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]


START, BODY = "http.response.start", "http.response.body"
METHODS_WITHOUT_BODY = {"GET", "HEAD", "OPTIONS"}  # no route reads the body of these methods


class Connection(HTTPConnection):
    """Queues the output of a route; `deliver` sends it as ASGI messages, in order."""

    def __init__(self, context: SimpleNamespace) -> None:
        self.context = context
        self.closed = False
        self._outgoing: asyncio.Queue[tuple[Message, asyncio.Future[None] | None]] = asyncio.Queue()

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Do nothing: `Mounted` reports a disconnect with `on_connection_close`."""

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> asyncio.Future[None]:
        """Queue the status and the headers of the response."""
        assert isinstance(start_line, ResponseStartLine)  # noqa: S101 - a server sends only responses
        sent = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.get_all()
        ]
        self._outgoing.put_nowait(({"type": START, "status": start_line.code, "headers": sent}, None))
        return self.write(chunk or b"")

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """Queue a part of the body; the returned future completes once the part is sent."""
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.closed:
            sent.set_exception(StreamClosedError())
            sent.exception()  # marks the exception as retrieved; otherwise asyncio logs it
        else:
            self._outgoing.put_nowait(({"type": BODY, "body": chunk, "more_body": True}, sent))
        return sent

    def finish(self) -> None:
        """Queue the end of the response."""
        self._outgoing.put_nowait(({"type": BODY, "body": b"", "more_body": False}, None))

    async def deliver(self, send: Send) -> None:
        """Send the queued messages until the response ends."""
        more = True
        while more:
            message, sent = await self._outgoing.get()
            await send(message)
            more = bool(message.get("more_body", True))
            if sent and not sent.done():
                sent.set_result(None)

    def close(self) -> None:
        """Fail the futures of all parts that were not sent."""
        self.closed = True
        while not self._outgoing.empty():
            _, sent = self._outgoing.get_nowait()
            if sent and not sent.done():
                sent.set_exception(StreamClosedError())
                sent.exception()


class Mounted:
    """An ASGI application that serves the routes of a tornado application."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one request, and stop the route if the client disconnects or the request is cancelled."""
        if scope["type"] == "lifespan":
            await _acknowledge_lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"This application supports only HTTP, not {scope['type']}.")
        client = scope.get("client") or ("", 0)
        connection = Connection(
            SimpleNamespace(remote_ip=str(client[0]), protocol=scope.get("scheme", "http"))
        )
        delegate: HTTPMessageDelegate = self._application.start_request(object(), connection)
        receiving = asyncio.ensure_future(_receive_request(scope, receive, delegate, connection))
        sending = asyncio.ensure_future(connection.deliver(send))
        try:
            # The route may respond before the body has arrived, for example with 401.
            await asyncio.wait({receiving, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            answered = sending.done() and not sending.cancelled() and not sending.exception()
            connection.close()
            for task in (receiving, sending):
                task.cancel()
            received, _ = await asyncio.gather(receiving, sending, return_exceptions=True)
            if not answered:
                delegate.on_connection_close()
        if isinstance(received, Exception):
            raise received


async def _receive_request(
    scope: Message, receive: Receive, delegate: HTTPMessageDelegate, connection: Connection
) -> None:
    """Pass the request to the route as it arrives; return once the client has disconnected."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    query = scope.get("query_string", b"").decode("latin-1")
    line = RequestStartLine(scope["method"], quote(path) + (f"?{query}" if query else ""), "HTTP/1.1")
    headers = HTTPHeaders()
    try:
        for name, value in scope["headers"]:
            headers.add(name.decode("latin-1"), value.decode("latin-1"))
        await _await_if_needed(delegate.headers_received(line, headers))
    except HTTPInputError:
        _send_error(connection, BadRequestError("The request has invalid headers."))
        await _wait_for_disconnect(receive)
        return
    try:
        async with asyncio.timeout(BODY_SECONDS):
            if line.method not in METHODS_WITHOUT_BODY and not await _receive_body(receive, delegate):
                return
    except TimeoutError:
        delegate.on_connection_close()
        _send_error(connection, BodyTimeoutError(f"The body did not arrive within {BODY_SECONDS:g} seconds."))
    else:
        delegate.finish()
    await _wait_for_disconnect(receive)


async def _receive_body(receive: Receive, delegate: HTTPMessageDelegate) -> bool:
    """Pass the body to the route; return whether it arrived before the client disconnected.

    Stop at HARD_LIMIT: the route rejects a body of that size.
    """
    received, more = 0, True
    while more and received <= HARD_LIMIT:
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        data = message.get("body", b"")
        received += len(data)
        await _await_if_needed(delegate.data_received(data))
        more = message.get("more_body", False)
    return True


def _send_error(connection: Connection, error: TurbopilotError) -> None:
    """Respond with an error, without calling a route."""
    body = msgspec.json.encode(error.body())
    headers = HTTPHeaders(error.headers | {"Content-Length": str(len(body)), "Connection": "close"})
    connection.write_headers(ResponseStartLine("", error.status, ""), headers, body)
    connection.finish()


async def _wait_for_disconnect(receive: Receive) -> None:
    """Wait until the client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _await_if_needed(step: Awaitable[None] | None) -> None:
    if step is not None:
        await step


async def _acknowledge_lifespan(receive: Receive, send: Send) -> None:
    """Acknowledge startup and shutdown. The caller of `Mounted` starts and stops the pilot itself."""
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})


class Unanswered:
    """ASGI middleware that responds 503 with Retry-After if the wrapped application does not respond.

    uvicorn would respond 500, and clients do not retry after a 500.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Call the wrapped application."""
        begun = False

        async def record(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        await self._app(scope, receive, record)
        if begun or scope["type"] != "http":
            return
        error = NotReadyError(
            "The replica that received this request has stopped. Send the request again.", code="replica_gone"
        )
        headers = [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
        await send({"type": START, "status": error.status, "headers": headers})
        await send({"type": BODY, "body": msgspec.json.encode(error.openai_body())})
