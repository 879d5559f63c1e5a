"""What every route shares: who may ask, how much may be sent, how an error is worded."""

from __future__ import annotations

import hmac
import json
import secrets
from contextlib import aclosing, suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.base.handlers import APIHandler
from tornado import web
from tornado.iostream import StreamClosedError

from jupyter_turbopilot.completer.waiting import AsyncBatch, AsyncReplies
from jupyter_turbopilot.context.facts import NONE, Facts
from jupyter_turbopilot.engine.job import DEADLINE, DISCONNECTED
from jupyter_turbopilot.errors import (
    BodyTooLargeError,
    BusyError,
    NotReadyError,
    RefusedError,
    TurbopilotError,
    WrongContentTypeError,
)
from jupyter_turbopilot.request import MAX_BODY, Completion
from jupyter_turbopilot.server.metrics import Metrics
from jupyter_turbopilot.server.routes.admission import is_loopback, is_same_site, may_be_plain
from jupyter_turbopilot.server.routes.endpoint import METHODS, endpoints
from jupyter_turbopilot.server.runtime import SECRET_HEADER

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import AsyncGenerator, Awaitable, Sequence

    from jupyter_turbopilot.completer.waiting import Listener
    from jupyter_turbopilot.engine.job import Job
    from jupyter_turbopilot.pilot.pilot import Pilot
    from jupyter_turbopilot.raw_request import RawRequest
    from jupyter_turbopilot.reply import Reply

BODY_SECONDS = 30.0
# A client that goes on sending after the answer is cut off by tornado at this size.
HARD_LIMIT = 16 * MAX_BODY
NDJSON = "application/x-ndjson"


def compact(body: Any) -> bytes:
    """Write JSON without spaces: llama.vim drops an answer that has one behind the colon of `"content"`."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:  # a file's name need not be UTF-8
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False, default=_written)
        return text.encode("utf-8", "replace")


def _written(part: msgspec.Raw) -> Any:
    """Return a part that was written already as what it stands for."""
    return json.loads(bytes(part))


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
    """A route of ours. Each of its methods is an `Endpoint`."""

    auth_resource = "turbopilot"
    errors: ClassVar[tuple[type[TurbopilotError], ...]] = ()  # how any of its methods may fail
    completes = False  # whether a program's plain body will do, where no Jupyter server decides it

    def __init_subclass__(cls, **more: Any) -> None:
        """Refuse methods that are not declared; answer HEAD as GET (tornado leaves the body out)."""
        super().__init_subclass__(**more)
        bare = [name for name in METHODS if name.lower() in vars(cls) and name not in endpoints(cls)]
        if bare:
            raise TypeError(f"{cls.__name__} has methods without an Endpoint: {', '.join(bare)}.")
        cls.head = cls.get

    def initialize(self, pilot: Pilot, secret: str = "") -> None:
        """Take what the route works with; `secret` opens it to this server's kernels."""
        self.pilot = pilot
        self.secret = secret
        self.renamed: dict[str, str] = {}  # what the engine calls a field: what the body calls it
        self._chunks: list[bytes] = []
        self._received = 0
        self._left = False  # whether the client has gone

    @property
    def metrics(self) -> Metrics:
        """What this server counts."""
        if "turbopilot_metrics" not in self.settings:
            self.settings["turbopilot_metrics"] = Metrics(self.pilot)
        metrics: Metrics = self.settings["turbopilot_metrics"]
        return metrics

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
            refusal = self._refusal()
        except web.HTTPError as error:
            refusal = self._unadmitted(error.status_code)
        except ValueError:  # an Origin that is no address
            refusal = self._unadmitted(403)
        if refusal:
            # Told once the body has come: an answer before that ends as a broken connection for many
            # clients. The method is out of reach meanwhile.
            self._received = MAX_BODY + 1
            setattr(self, str(self.request.method).lower(), partial(self._refuse, refusal))

    @property
    def _alone(self) -> bool:
        """Whether there is no Jupyter server to decide who is let in."""
        return bool(self.settings.get("standalone"))

    def _unadmitted(self, status: int) -> int:
        """Return the status for a caller who was not let in: a key would help, or nothing would."""
        if self._alone and self.settings["key"] and not self.current_user:
            return 401
        return 403 if status == 404 else status  # noqa: PLR2004 - Jupyter's word for another origin

    def _refusal(self) -> int:
        """Return the status with which somebody who was let in is refused; 0: not refused."""
        if self.may_manage or self.request.method in {"GET", "HEAD", "OPTIONS"}:
            return 0
        return 403 if any(one.access == "manage" for one in endpoints(type(self)).values()) else 0

    def _refuse(self, status: int, *_arguments: Any, **_named: Any) -> None:
        raise web.HTTPError(status)

    @property
    def may_manage(self) -> bool:
        """Whether this caller may see and change what is loaded: without a key nobody may."""
        return not self._alone or bool(self.settings["key"])

    def check_host(self) -> bool:
        """Let who brings the key call this machine by any name; a page's trick with names has no key."""
        if not self._alone:
            return super().check_host()
        return is_loopback(self.request.host_name) or self.settings["admits_any_host"](self.request.headers)

    def check_origin(self, origin_to_satisfy_tornado: str = "") -> bool:
        """Refuse pages of other sites."""
        if self._alone:
            return is_same_site(self.request.headers)
        return super().check_origin(origin_to_satisfy_tornado)

    def set_default_headers(self) -> None:
        """Number every answer: Copilot's clients take one without a number for a firewall's."""
        super().set_default_headers()
        self.set_header("X-GitHub-Request-Id", secrets.token_hex(16))

    def set_cors_headers(self) -> None:
        """Let no page of another site read an answer where there is no Jupyter server to decide it."""
        if not self._alone:
            super().set_cors_headers()

    def data_received(self, chunk: bytes) -> None:
        """Keep what comes until it is more than a request may hold."""
        self._received += len(chunk)
        if self._received <= MAX_BODY:
            self._chunks.append(chunk)
        else:
            self._chunks.clear()

    def raw_body(self) -> bytes:
        """Return the body, once its size and type are right."""
        if self._received > MAX_BODY:
            raise BodyTooLargeError(f"A request may hold {MAX_BODY} bytes.")
        declared = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        plain = self.completes and self._alone and may_be_plain(self.request.headers)
        if declared != "application/json" and not plain:
            raise WrongContentTypeError("Send the body as application/json.")
        return b"".join(self._chunks)

    def answer(self, body: Any) -> None:
        """Finish with a body, or with what was written as JSON already."""
        self.set_header("Content-Type", "application/json")
        self.finish(body if isinstance(body, bytes) else compact(body))

    async def events(self, events: AsyncGenerator[dict[str, Any]], last: bytes = b"") -> None:
        """Write server-sent events as they come; what goes wrong meanwhile is one of them."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")
        try:
            async with aclosing(events):
                async for event in events:
                    self.write(b"data: " + compact(event) + b"\n\n")
                    await self.flush()
        except TurbopilotError as error:
            if not self._headers_written:
                raise
            self.write(b"data: " + compact(self.worded(error)) + b"\n\n")
        self.write(last)
        await self.finish()

    def field(self, error: TurbopilotError) -> str | None:
        """Return what the body calls the part that is wrong."""
        return self.renamed.get(error.field or "", error.field)

    def worded(self, error: TurbopilotError) -> dict[str, Any]:
        """Word an error as the protocol does."""
        return error.body(self.field(error))

    async def stream(self, frames: AsyncGenerator[dict[str, Any]]) -> None:
        """Write one JSON object a line as they come."""
        self.set_header("Content-Type", NDJSON)
        self.set_header("X-Accel-Buffering", "no")
        async with aclosing(frames):
            async for frame in frames:
                self.write(compact(frame) + b"\n")
                await self.flush()
        await self.finish()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Word an error; nothing of a traceback, a path or the person's code is in it."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if not isinstance(error, TurbopilotError):
            error = RefusedError(status_code)
        self.set_status(error.status)
        self._finish_with(error)

    def _finish_with(self, error: TurbopilotError) -> Future[None]:
        """Answer with an error, and with what its status asks for."""
        if error.status == 401:  # noqa: PLR2004
            self.set_header("WWW-Authenticate", "Bearer")
        if error.status == 405:  # noqa: PLR2004
            self.set_header("Allow", ", ".join(self._methods()))
        if error.status in {429, 503}:
            self.set_header("Retry-After", "1")
        if isinstance(error, BodyTooLargeError):
            self.set_header("Connection", "close")  # the rest of it is not worth reading
        self.set_header("Content-Type", "application/json")
        return self.finish(compact(self.worded(error)))

    def _methods(self) -> list[str]:
        unimplemented = web.RequestHandler.get
        return [name for name in self.SUPPORTED_METHODS if getattr(type(self), name.lower()) != unimplemented]

    async def guard(self, work: Awaitable[None]) -> None:
        """Run the method's work; our own errors are answers, and whoever has gone is told nothing."""
        with suppress(StreamClosedError):
            try:
                await work
            except TurbopilotError as error:
                if self._headers_written or self._left:
                    return  # that somebody went away is no failure of the server's for its log
                self.set_status(error.status)
                await self._finish_with(error)


class JobRoute(Route):
    """A route that has something written; whoever goes away is not written for any longer."""

    completes = True
    errors = (BusyError, NotReadyError)

    @property
    def name(self) -> str:
        """The route, for who counts: nothing of the address that was asked for."""
        return type(self).__name__.removesuffix("Route").lower()

    @property
    def caller(self) -> str:
        """Who asks and gets a share of the model: nothing that a client can vary to get more of them."""
        name = self._username()
        # A key says nothing of who brings it, and without a name there is nothing else to go by.
        return f"{name} {self.request.remote_ip}" if self._alone or not name else name

    def _editor(self, client: str) -> str:
        """Return what tells an editor from the caller's others: a newer request ends its own alone."""
        agent = self.request.headers.get("User-Agent", "")
        return f"{client} {self.request.remote_ip} {agent}" if client else ""

    def _username(self) -> str:
        """Return who has signed in; a name that was made up for one request alone says nothing."""
        provider = self.identity_provider
        signed_in = type(provider).get_user is not IdentityProvider.get_user or self.get_secure_cookie(
            provider.get_cookie_name(self), **provider.get_secure_cookie_kwargs
        )
        return str(getattr(self.current_user, "username", "")) if signed_in else ""

    def initialize(self, pilot: Pilot, secret: str = "") -> None:
        """Take what the route works with."""
        super().initialize(pilot, secret)
        self._jobs: list[Job] = []

    def replies(self, request: Completion | RawRequest, facts: Facts = NONE) -> AsyncReplies:
        """Begin, and return the replies as they grow; an error is raised if it comes first."""
        replies = AsyncReplies(self._count)
        self._begin(request, facts, replies.listen)
        return replies

    def together(self, requests: Sequence[RawRequest]) -> AsyncBatch:
        """Begin several at a time, and return the replies to all of them as they come."""
        batch = AsyncBatch(len(requests), self._count)
        for number, request in enumerate(requests):
            self._begin(request, NONE, batch.listener(number))
        return batch

    def _begin(self, request: Completion | RawRequest, facts: Facts, listener: Listener) -> None:
        self.pilot.ensure()  # `load_at_start` may be off; what kept it from being loaded may have gone
        if isinstance(request, Completion):
            request = msgspec.structs.replace(request, client=self._editor(request.client))
        try:
            self._jobs.append(self.pilot.completer.submit(request, listener, facts, self.caller))
        except TurbopilotError as error:
            self.metrics.count(self.name, error.code)
            raise

    def _count(self, reply: Reply) -> None:
        """Count how a request has ended."""
        if reply.done:
            outcome = reply.error.code if reply.error else reply.finish_reason or "answered"
            self.metrics.count(self.name, outcome)
            self.metrics.measure(reply.timings)

    async def whole(self, requests: Sequence[RawRequest]) -> list[Reply]:
        """Return the last reply to each request; but for what is only read ahead, all hold something."""
        found = {number: reply async for number, reply in self.together(requests) if reply.done}
        for number, request in enumerate(requests):
            if not found[number].items and not request.ahead:
                reason = found[number].finish_reason or DEADLINE
                raise NotReadyError("Its time was up before anything could be written.", code=reason)
        return [found[number] for number in range(len(requests))]

    def drop(self) -> None:
        """Stop what is being written: nobody will read it."""
        for job in self._jobs:
            job.cancel.set(DISCONNECTED)

    def on_finish(self) -> None:
        """Stop what was not waited for."""
        self.drop()
        super().on_finish()

    def on_connection_close(self) -> None:
        """Stop working for somebody who has gone."""
        self._left = True
        self.drop()
        super().on_connection_close()
