"""Base class of all routes: limits of the body, responses, streams and errors."""

from __future__ import annotations

import asyncio
import math
import os
import secrets
import time
from collections import Counter
from contextlib import aclosing, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.auth.identity import IdentityProvider
from tornado import web
from tornado.http1connection import HTTP1Connection
from tornado.iostream import StreamClosedError

from jupyter_turbopilot.completer.tenant import tenant_of
from jupyter_turbopilot.jupyter.identity import may_omit_content_type
from jupyter_turbopilot.jupyter.metrics import Metrics
from jupyter_turbopilot.jupyter.routes.auth import AuthenticatedHandler
from jupyter_turbopilot.jupyter.routes.endpoint import METHODS, endpoints
from jupyter_turbopilot.jupyter.routes.rates import RateLimiter
from jupyter_turbopilot.protocol.errors import (
    BodyTooLargeError,
    BusyError,
    RefusedError,
    TurbopilotError,
    WrongContentTypeError,
)
from jupyter_turbopilot.protocol.phase import Phase
from jupyter_turbopilot.protocol.reply import compact
from jupyter_turbopilot.protocol.request import MAX_BODY

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from jupyter_turbopilot.index.reader import MaintainedIndex
    from jupyter_turbopilot.jupyter.pilot.pilot import Pilot

BODY_SECONDS = 30.0
# If a client keeps sending after the response, tornado closes the connection at this size.
HARD_LIMIT = 16 * MAX_BODY
NDJSON = "application/x-ndjson"
# Above this rate of refusals, the server refuses a caller's requests before it decodes their bodies, and
# delays each response by REFUSAL_DELAY seconds.
REFUSALS_PER_MINUTE, REFUSAL_BURST, REFUSAL_DELAY = 300, 20, 1.0
DISK_SECONDS = 0.5  # until a request does not wait for a disk any longer
T = TypeVar("T")
OWN_LIMITS = frozenset({"too_many_requests", "too_many_waiting"})  # codes of the limits of one caller
SMALL_BODY = 1 << 14  # bytes: more than a route with a few short fields needs
MAX_PARALLEL = 64  # requests of a user: more than their editors send at once


@web.stream_request_body
class Route(AuthenticatedHandler):
    """Base class of all routes. Each HTTP method is declared with `Endpoint`."""

    auth_resource = "turbopilot"
    errors: ClassVar[tuple[type[TurbopilotError], ...]] = ()  # possible errors of all methods
    field_names: ClassVar[dict[str, str]] = {}  # field names of errors: field names in the body
    serves_copilot = False  # whether Copilot's clients call the route
    serves_kernels = False  # whether this server's kernels may call the route with their secret
    accepts_plain_body = False  # accept other content types without a Jupyter server
    max_body: ClassVar[int] = SMALL_BODY  # bytes; a route that charges by the size sets MAX_BODY
    # Parallel requests with a body per caller. None: MAX_PARALLEL, but no limit for servers with the key.
    max_parallel: ClassVar[int | None] = None

    def __init_subclass__(cls, **more: Any) -> None:
        """Raise an error for methods without `Endpoint`. Handle HEAD like GET (tornado omits the body)."""
        super().__init_subclass__(**more)
        bare = [name for name in METHODS if name.lower() in vars(cls) and name not in endpoints(cls)]
        if bare:
            raise TypeError(f"{cls.__name__} has methods without an Endpoint: {', '.join(bare)}.")
        cls.head = cls.get

    def initialize(self, pilot: Pilot, secret: str = "") -> None:
        """`secret`: the secret of this server's kernels."""
        self.pilot = pilot
        self.secret = secret if self.serves_kernels else ""
        self._chunks: list[bytes] = []
        self._received = 0
        self._disconnected = False
        self._is_slowed_down = False
        self._is_counted = False  # whether `_running` includes this request
        self._is_handled = False  # whether the method of the route has begun

    async def may(self, action: str, resource: str) -> bool:
        """Return whether the Jupyter server's authorizer allows the action."""
        try:
            allowed = await ensure_async(
                self.authorizer.is_authorized(self, self.current_user, action, resource)
            )
        except web.HTTPError:
            return False
        return bool(allowed)

    async def notebook_index(self) -> MaintainedIndex | None:
        """Return the notebook index, for callers who may read the notebooks."""
        return (
            self.pilot.notebook_index
            if self.pilot.notebook_index and await self.may("read", "contents")
            else None
        )

    @property
    def metrics(self) -> Metrics:
        """The metrics of this server."""
        if "turbopilot_metrics" not in self.settings:
            self.settings["turbopilot_metrics"] = Metrics(self.pilot)
        return cast("Metrics", self.settings["turbopilot_metrics"])

    @property
    def tenant(self) -> str:
        """The tenant whose caches this request may use; empty on a server with a single user.

        All callers with a Jupyter server's token count as one user. On a JupyterHub, the owner of the server
        has no tenant, so that they keep the caches of a single user. Collaborators get their own tenant: they
        share the kernels and files, but not the caches.
        """
        name = self.username
        own = not self.standalone and name == os.environ.get("JUPYTERHUB_USER")
        if own or not self.distinguishes_users:
            return ""
        return tenant_of(None if self.pilot.settings.share_prompts else name, self.pilot.completer.secret)

    @property
    def is_owner(self) -> bool:
        """Return whether the caller owns the server, whose statistics count the owner's suggestions."""
        return self.may_manage and not self.tenant

    @property
    def username(self) -> str:
        """The authenticated user's name; empty if Jupyter generated it for this request."""
        provider = self.identity_provider
        signed_in = type(provider).get_user is not IdentityProvider.get_user or self.get_secure_cookie(
            provider.get_cookie_name(self), **provider.get_secure_cookie_kwargs
        )
        return str(getattr(self.current_user, "username", "")) if signed_in else ""

    @property
    def name(self) -> str:
        """The name of the route in the metrics."""
        return type(self).__name__.removesuffix("Route").lower()

    @property
    def caller(self) -> str:
        """The caller for fair scheduling. A client cannot vary it to get a larger share."""
        name = self.username
        # A key does not identify a user, so use the address.
        named = bool(name) and (
            self.standalone_identity is None or self.standalone_identity.distinguishes_users
        )
        return name if named else f"{name} {self.request.remote_ip}"

    @property
    def _refusals(self) -> RateLimiter:
        """The limit of refusals of this server."""
        refusals = RateLimiter(REFUSALS_PER_MINUTE, REFUSAL_BURST)
        return cast("RateLimiter", self.settings.setdefault("turbopilot_refusals", refusals))

    @property
    def names_users(self) -> bool:
        """Whether the caller may set `RawRequest.salt` for its users: with the key, it may be a server."""
        return self.standalone and not self.distinguishes_users and self.may_manage

    def _count_refusal(self, error: TurbopilotError) -> None:
        """Count a refusal: 401 for the address, and a limit of the caller unless it has several users."""
        if error.status == HTTPStatus.UNAUTHORIZED:
            caller = f"{self.request.remote_ip}"
        elif error.code in OWN_LIMITS and not self.names_users:
            caller = self.caller
        else:
            return
        with suppress(BusyError):
            self._refusals.take(caller, time.monotonic())

    @property
    def _running(self) -> Counter[tuple[str, str]]:
        """The running requests with a body on this server, by route and caller."""
        running: Counter[tuple[str, str]] = self.settings.setdefault("turbopilot_running", Counter())
        return running

    def _count_running(self) -> None:
        """Count a request with a body; refuse it above the limit, before its body takes memory."""
        endpoint = endpoints(type(self)).get(self.request.method or "")
        if self.refused or endpoint is None or endpoint.takes is None:
            return
        # With the key, the caller may be a server of many users; generation has separate limits.
        most = self.max_parallel or (math.inf if self.names_users else MAX_PARALLEL)
        if self._running[self.name, self.caller] >= most:
            self.refused = BusyError(
                f"{most} of your requests to this URL are running. Try again when one has ended.",
                code="too_many_waiting",
            )
            self.metrics.count_error(self.name, self.refused)
        else:
            self._running[self.name, self.caller] += 1
            self._is_counted = True

    def _uncount_running(self) -> None:
        """Stop counting the request."""
        if self._is_counted:
            self._is_counted = False
            self._running[self.name, self.caller] -= 1
            if not self._running[self.name, self.caller]:
                del self._running[self.name, self.caller]

    def on_finish(self) -> None:
        """Stop counting the request: its work has ended, also after a disconnect."""
        self._uncount_running()
        super().on_finish()

    def on_connection_close(self) -> None:
        """Note that the client has disconnected. If the body is incomplete, the method does not run."""
        self._disconnected = True
        if not self._is_handled:
            self._uncount_running()
        super().on_connection_close()

    async def _slow_down(self) -> None:
        """Refuse the request of a caller who repeats refused requests, after a delay."""
        is_open = any(endpoint.access == "open" for endpoint in endpoints(type(self)).values())
        if self.refused and self.refused.status == HTTPStatus.UNAUTHORIZED:
            caller = f"{self.request.remote_ip}"
        elif self.current_user and not is_open:
            caller = self.caller
        else:
            return
        wait = self._refusals.wait(caller, time.monotonic())
        if not wait:
            return
        if not self.refused:
            self.refused = BusyError(
                "You repeat refused requests without waiting. Wait for the seconds in Retry-After.",
                code="too_many_refusals",
                after=wait,
            )
            self.metrics.count_error(self.name, self.refused)
        self._is_slowed_down = True
        self.set_header("Connection", "close")
        await asyncio.sleep(REFUSAL_DELAY)

    async def prepare(self) -> None:  # type: ignore[override]
        """Limit the size of the body, authenticate the caller, and slow down repeated refusals."""
        connection = self.request.connection
        if isinstance(connection, HTTP1Connection):
            connection.set_max_body_size(HARD_LIMIT)
            connection.set_body_timeout(BODY_SECONDS)
        await super().prepare()
        if isinstance(connection, HTTP1Connection):
            await self._slow_down()
        self._count_running()
        if self.refused and not isinstance(connection, HTTP1Connection):
            # uvicorn, which Ray Serve uses, discards the rest of the body. Waiting for it would hold a slot.
            self._finish_with(self.refused)
        elif self.refused:
            # tornado closes the connection after an early response. A client that is still sending then
            # reports a broken connection instead of the error, so the response follows the body.
            self._received = self.max_body + 1

    @allow_unauthenticated
    def options(self, *address: Any, **named: Any) -> None:
        """Handle CORS preflight requests like the Jupyter server."""
        if self.refused:
            self._finish_with(self.refused)
        else:
            super().options(*address, **named)

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Send a rejected caller the reason instead of other errors."""
        if self.refused:
            self._finish_with(self.refused)
        else:
            super().send_error(status_code, **kwargs)

    def set_default_headers(self) -> None:
        """Add GitHub's request id: Copilot's clients take responses without one for a firewall's."""
        super().set_default_headers()
        if self.serves_copilot:
            self.set_header("X-GitHub-Request-Id", secrets.token_hex(16))

    def data_received(self, chunk: bytes) -> None:
        """Store the body up to `max_body` bytes."""
        self._received += len(chunk)
        if self._received <= self.max_body:
            self._chunks.append(chunk)
        else:
            self._chunks.clear()

    def raw_body(self) -> bytes:
        """Return the body, and free it; raise an error if its size or content type is invalid."""
        if self._received > self.max_body:
            advice = "Send less context." if self.max_body == MAX_BODY else "Send only the documented fields."
            raise BodyTooLargeError(f"The body is larger than {self.max_body} bytes. {advice}")
        declared = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        plain = self.accepts_plain_body and self.standalone and may_omit_content_type(self.request.headers)
        if declared != "application/json" and not plain:
            raise WrongContentTypeError(
                "Send the body as JSON, with the header Content-Type: application/json."
            )
        body = b"".join(self._chunks)
        self._chunks.clear()
        return body

    def finish(self, *chunk: Any, **named: Any) -> Future[None]:
        """Keep the content type that was set. Jupyter's `finish` would set JSON."""
        connection = self.request.connection
        finished = super().finish(*chunk, set_content_type=self._headers["Content-Type"], **named)
        if self._is_slowed_down and isinstance(connection, HTTP1Connection):
            finished.add_done_callback(lambda _: connection.close())
        return finished

    def answer(self, body: Any) -> None:
        """Finish with a JSON body; bytes are encoded JSON."""
        self.set_header("Content-Type", "application/json")
        self.finish(body if isinstance(body, bytes) else compact(body))

    async def events(self, events: AsyncGenerator[dict[str, Any]], last: bytes = b"") -> None:
        """Send server-sent events, then `last`."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        await self._send(events, b"data: %b\n\n", last=last)

    async def stream(self, frames: AsyncGenerator[dict[str, Any]], failed: dict[str, Any]) -> None:
        """Send one JSON object per line. The last line may be an error with the fields of `failed`."""
        self.set_header("Content-Type", NDJSON)
        await self._send(frames, b"%b\n", failed)

    async def _send(
        self,
        frames: AsyncGenerator[dict[str, Any]],
        line: bytes,
        failed: dict[str, Any] | None = None,
        last: bytes = b"",
    ) -> None:
        """Send each frame as a line, and an error as the last line.

        Without `failed`, an error before the first line becomes the response instead.
        """
        self.set_header("X-Accel-Buffering", "no")
        try:
            async with aclosing(frames):
                async for frame in frames:
                    self.write(line % compact(frame))
                    await self.flush()
        except TurbopilotError as error:
            if failed is not None or self._headers_written:
                self.write(line % compact((failed or {}) | self.error_body(error)) + last)
                await self.finish()
            raise
        self.write(last)
        await self.finish()

    async def try_loading(self, *, only_again: bool = False) -> None:
        """Start loading if necessary, or retry a failed load. `only_again`: do not start the first load."""
        phase = self.pilot.worker.state.phase
        # All calls with one key must have the same effect: a start that joined a retry would be lost.
        if phase is Phase.FAILED or (phase is Phase.EMPTY and not only_again):
            with suppress(TimeoutError, BusyError):
                call = self.pilot.disk.run(self.caller, "model", self.pilot.ensure)
                await asyncio.wait_for(call, DISK_SECONDS)

    async def run(self, function: Callable[..., T], *given: Any, **named: Any) -> T:
        """Call a function in a background thread."""
        return await self.pilot.background.run(self.caller, function, *given, **named)

    def field(self, error: TurbopilotError) -> str | None:
        """Return the name of the invalid field in the body."""
        return self.field_names.get(error.field or "", error.field)

    def error_body(self, error: TurbopilotError) -> dict[str, Any]:
        """Return the body of an error in the route's protocol."""
        return error.body(self.field(error))

    def write_error(self, status_code: int, **_: Any) -> None:
        """Send only the status: an exception may contain a path or the user's code."""
        self._finish_with(RefusedError(status_code))

    def _finish_with(self, error: TurbopilotError) -> Future[None]:
        self._count_refusal(error)
        self.set_status(error.status)
        for name, value in error.headers.items():
            self.set_header(name, value)
        if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(self._methods()))
        return self.finish(compact(self.error_body(error)))

    def _methods(self) -> list[str]:
        unimplemented = web.RequestHandler.get
        return [name for name in self.SUPPORTED_METHODS if getattr(type(self), name.lower()) != unimplemented]

    async def guard(self, work: Awaitable[None]) -> None:
        """Await `work`; send its error unless a stream has sent it or the client has disconnected."""
        self._is_handled = True
        with suppress(StreamClosedError):
            try:
                await work
            except TurbopilotError as error:
                if not (self._headers_written or self._disconnected):
                    await self._finish_with(error)
