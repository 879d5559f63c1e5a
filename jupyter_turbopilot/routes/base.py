"""What every route shares: who may ask, how much may be sent, how an error is worded."""

from __future__ import annotations

import asyncio
import hmac
import json
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.base.handlers import APIHandler
from tornado import web
from tornado.iostream import StreamClosedError

from jupyter_turbopilot.context import kernel
from jupyter_turbopilot.engine.worker import DEADLINE, DISCONNECTED, Job
from jupyter_turbopilot.errors import (
    BodyTooLargeError,
    NotReadyError,
    TurbopilotError,
    WrongContentTypeError,
)
from jupyter_turbopilot.metrics import Metrics
from jupyter_turbopilot.request import MAX_BODY, decode
from jupyter_turbopilot.runtime import SECRET_HEADER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from jupyter_turbopilot.pilot import Pilot
    from jupyter_turbopilot.reply import Reply
    from jupyter_turbopilot.request import Completion
    from jupyter_turbopilot.text import Text

T = TypeVar("T")
BODY_SECONDS = 30.0
# A client that goes on sending after the answer is cut off by tornado at this size.
HARD_LIMIT = 16 * MAX_BODY
NDJSON = "application/x-ndjson"


def compact(body: Any) -> bytes:
    """Write JSON without spaces: llama.vim drops an answer that has one behind the colon of `"content"`."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


class KernelIdentity(IdentityProvider):
    """Knows a kernel of this server by the secret it read from a file that its owner alone can read."""

    def get_user(self, _handler: Any) -> User:
        """Return who a kernel is to the authorizer."""
        return User(username="turbopilot-kernel", name="A kernel of this server")

    def is_token_authenticated(self, _handler: Any) -> bool:
        """A secret in a header cannot be sent by another site's form."""
        return True

    def should_check_origin(self, _handler: Any) -> bool:
        """A kernel has no origin."""
        return False


@cache
def _kernel_identity() -> KernelIdentity:
    return KernelIdentity()


@web.stream_request_body
class Route(APIHandler):
    """A route of ours. Every method is authenticated and authorised."""

    auth_resource = "turbopilot"
    accepts: type[Any] | None = None  # the schema of its body
    manages = False  # whether the route changes what the server holds

    def initialize(self, pilot: Pilot, secret: str = "") -> None:
        """Take what the route works with; `secret` opens it to this server's kernels."""
        self.pilot = pilot
        self.secret = secret
        self._chunks: list[bytes] = []
        self._received = 0
        self.refused = False

    @property
    def metrics(self) -> Metrics:
        """What this server counts."""
        if "turbopilot_metrics" not in self.settings:
            self.settings["turbopilot_metrics"] = Metrics(self.pilot)
        found: Metrics = self.settings["turbopilot_metrics"]
        return found

    @property
    def _trusted(self) -> bool:
        given = self.request.headers.get(SECRET_HEADER, "")
        return bool(self.secret and given and hmac.compare_digest(given.encode(), self.secret.encode()))

    @property
    def identity_provider(self) -> Any:
        """Let a kernel in by its secret, everybody else as the server does."""
        return _kernel_identity() if self._trusted else super().identity_provider

    async def prepare(self) -> None:  # type: ignore[override]
        """Cap the body before a byte of it is read; then know the caller."""
        connection: Any = self.request.connection
        if connection is not None and hasattr(connection, "set_max_body_size"):
            connection.set_max_body_size(HARD_LIMIT)
            connection.set_body_timeout(BODY_SECONDS)
        try:
            await super().prepare()
            self._check_managed()
        except web.HTTPError:
            # Refused once the body has come: an answer before that ends as a broken connection for many
            # clients. Nobody is signed in, so every method refuses.
            self.current_user = self._jupyter_current_user = None
            self._received = MAX_BODY + 1
            self.refused = True

    def _check_managed(self) -> None:
        """Let nobody change which model is loaded where there is no key."""
        if self.manages and self.settings.get("standalone") and not self.settings["managed"]:
            raise web.HTTPError(403)

    def set_cors_headers(self) -> None:
        """Let no page of another site read an answer where there is no Jupyter server to decide it."""
        if not self.settings.get("standalone"):
            super().set_cors_headers()

    def data_received(self, chunk: bytes) -> None:
        """Keep what comes until it is more than a request may hold."""
        self._received += len(chunk)
        if self._received <= MAX_BODY:
            self._chunks.append(chunk)
        else:
            self._chunks.clear()

    def body(self, kind: type[T]) -> T:
        """Read the body as `kind`."""
        return decode(self.raw_body(), kind)

    def raw_body(self) -> bytes:
        """Return the body, once its size and type are right."""
        if self._received > MAX_BODY:
            raise BodyTooLargeError(f"A request may hold {MAX_BODY} bytes.")
        declared = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if declared != "application/json":
            raise WrongContentTypeError("Send the body as application/json.")
        return b"".join(self._chunks)

    def answer(self, body: Any) -> None:
        """Finish with a body in JSON."""
        self.set_header("Content-Type", "application/json")
        self.finish(compact(body))

    async def events(self, events: AsyncIterator[dict[str, Any]], last: bytes = b"") -> None:
        """Write server-sent events as they come; what goes wrong meanwhile is one of them."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")
        with suppress(StreamClosedError):
            try:
                async for event in events:
                    self.write(b"data: " + compact(event) + b"\n\n")
                    await self.flush()
            except TurbopilotError as error:
                if not self._headers_written:
                    raise
                self.write(b"data: " + compact(self.worded(error)) + b"\n\n")
            self.write(last)
            await self.finish()

    def worded(self, error: TurbopilotError) -> dict[str, Any]:
        """Word an error as the protocol does."""
        return error.body()

    async def stream(self, frames: AsyncIterator[dict[str, Any]]) -> None:
        """Write one JSON object a line as they come."""
        self.set_header("Content-Type", NDJSON)
        self.set_header("X-Accel-Buffering", "no")
        async for frame in frames:
            self.write(compact(frame) + b"\n")
            await self.flush()
        await self.finish()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Word an error; nothing of a traceback, a path or the person's code is in it."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        self.set_header("Content-Type", "application/json")
        if isinstance(error, TurbopilotError):
            self.finish(compact(self.worded(error)))
            return
        words = {401: "Sign in first.", 403: "You may not do that.", 404: "There is nothing here."}
        message = words.get(status_code, "The request failed." if status_code < 500 else "The server failed.")  # noqa: PLR2004
        code = {401: "unauthenticated", 403: "forbidden", 404: "not_found"}.get(status_code, "error")
        told = TurbopilotError(message)
        told.status, told.code = status_code, code
        self.finish(compact(self.worded(told)))

    async def guard(self, work: Awaitable[None]) -> None:
        """Run the method's work; our own errors are answers, not failures."""
        try:
            await work
        except TurbopilotError as error:
            if self._headers_written:
                return
            self.set_status(error.status)
            if error.status in {429, 503}:
                self.set_header("Retry-After", "1")
            if isinstance(error, BodyTooLargeError):
                self.set_header("Connection", "close")  # the rest of it is not worth reading
            self.set_header("Content-Type", "application/json")
            await self.finish(compact(self.worded(error)))


class JobRoute(Route):
    """A route that has something written; whoever goes away is not written for any longer."""

    @property
    def name(self) -> str:
        """The route, for who counts: nothing of the address that was asked for."""
        return type(self).__name__.removesuffix("Route").lower()

    @property
    def caller(self) -> str:
        """Who asks, as far as one can be told from another: nobody keeps the others waiting."""
        agent = self.request.headers.get("User-Agent", "")
        return f"{getattr(self.current_user, 'username', '')} {self.request.remote_ip} {agent}"

    def initialize(self, pilot: Pilot, secret: str = "") -> None:
        """Take what the route works with."""
        super().initialize(pilot, secret)
        self._jobs: list[Job] = []

    async def replies(
        self, request: Completion | Text, facts: kernel.Facts = kernel.NONE
    ) -> AsyncIterator[Reply]:
        """Yield the reply as it grows, to the last one; an error is raised if it came first."""
        self.pilot.ensure()  # `load_at_start` may be off; what kept it from being loaded may have gone
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[Reply] = asyncio.Queue()

        def listener(reply: Reply) -> None:
            with suppress(RuntimeError):  # the loop has ended: nobody listens any more
                loop.call_soon_threadsafe(queue.put_nowait, reply)

        outcome, begun = DISCONNECTED, False
        try:
            self._jobs.append(self.pilot.completer.submit(request, listener, facts, self.caller))
            while outcome == DISCONNECTED:
                reply = await queue.get()
                if reply.error and not begun:
                    raise reply.error
                if reply.done:
                    # Whoever has the last reply does not ask for another.
                    outcome = reply.error.code if reply.error else reply.finish_reason or "answered"
                    self.metrics.measure(reply.timings)
                begun = True
                yield reply
        except TurbopilotError as error:
            outcome = error.code
            raise
        finally:
            self.metrics.count(self.name, outcome)

    async def last(self, request: Completion | Text) -> Reply:
        """Return the last reply."""
        async for reply in self.replies(request):
            found = reply
        if found.error:
            raise found.error
        return found

    async def whole(self, request: Completion | Text) -> Reply:
        """Return the last reply, which holds something."""
        found = await self.last(request)
        if not found.items:
            reason = found.finish_reason or DEADLINE
            raise NotReadyError("Its time was up before anything could be written.", code=reason)
        return found

    def drop(self) -> None:
        """Stop what is being written: nobody will read it."""
        for job in self._jobs:
            job.cancel.set(DISCONNECTED)

    def on_connection_close(self) -> None:
        """Stop working for somebody who has gone."""
        self.drop()
        super().on_connection_close()
