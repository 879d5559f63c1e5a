"""The base class of all routes: the life of a request."""

from __future__ import annotations

import asyncio
import hmac
from contextlib import ExitStack, suppress
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import APIHandler
from tornado import web
from tornado.http1connection import HTTP1Connection

from jupyter_turbopilot.jupyter.identity import StandaloneIdentity, is_same_site
from jupyter_turbopilot.jupyter.metrics import Metrics
from jupyter_turbopilot.jupyter.routes import limits
from jupyter_turbopilot.jupyter.routes.auth import Caller, caller_of, kernel_identity
from jupyter_turbopilot.jupyter.routes.endpoint import METHODS, Endpoint
from jupyter_turbopilot.jupyter.runtime import SECRET_HEADER
from jupyter_turbopilot.jupyter.saved_switch import SavedSwitches
from jupyter_turbopilot.protocol.errors import BusyError, RefusedError, TurbopilotError
from jupyter_turbopilot.protocol.reply import compact
from jupyter_turbopilot.protocol.request import MAX_BODY
from jupyter_turbopilot.util.addresses import is_loopback

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable, Mapping

    from jupyter_turbopilot.jupyter.pilot.pilot import Pilot

BODY_SECONDS = 30.0
# If a client keeps sending after the response, tornado closes the connection at this size.
HARD_LIMIT = 16 * MAX_BODY
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
COUNTED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS})
T = TypeVar("T")


class Shared:
    """What all requests to a server share."""

    def __init__(self, pilot: Pilot, settings: Mapping[str, Any]) -> None:
        self.metrics = Metrics(pilot)
        self.limits = limits.Limits(pilot.settings.requests_per_minute)
        self.switches = SavedSwitches(settings.get("contents_manager"), pilot.disk)


@web.stream_request_body
class Route(APIHandler):
    """Base class of all routes. Each HTTP method is declared with `Endpoint`.

    `prepare` authenticates the caller, and may refuse the request before its body arrives (`refused`). Then
    `data_received` stores the body. The method calls `answer` or a function of `streams.py`, or raises a
    `TurbopilotError`. The callbacks of `at_disconnect` end its work.
    """

    auth_resource = "turbopilot"
    serves_kernels = False  # whether this server's kernels may call the route with their secret
    endpoints: ClassVar[Mapping[str, Endpoint]] = {}  # the declarations of its methods
    extra_headers: ClassVar[Mapping[str, Callable[[], str]]] = {}  # of all responses of the route

    @staticmethod
    def error_body(error: TurbopilotError) -> dict[str, Any]:
        """Return the body of an error in the route's protocol."""
        return error.body()

    def __init_subclass__(cls, **more: Any) -> None:
        """Raise an error for methods without `Endpoint`. Handle HEAD like GET (tornado omits the body)."""
        super().__init_subclass__(**more)
        declared = {name: getattr(getattr(cls, name.lower()), "endpoint", None) for name in METHODS}
        cls.endpoints = {name: endpoint for name, endpoint in declared.items() if endpoint}
        bare = [name for name in METHODS if name.lower() in vars(cls) and name not in cls.endpoints]
        if bare:
            raise TypeError(f"{cls.__name__} has methods without an Endpoint: {', '.join(bare)}.")
        cls.head = cls.get

    def initialize(self, pilot: Pilot, secret: str = "") -> None:
        """`secret`: the secret of this server's kernels."""
        self.pilot = pilot
        self.refused: TurbopilotError | None = None
        self.at_disconnect = ExitStack()
        self.is_disconnected = False
        self.is_admitted = False  # by a function of admission.py, without which `Completions` raise an error
        sent = self.request.headers.get(SECRET_HEADER, "").encode()
        is_kernel = bool(secret) and hmac.compare_digest(sent, secret.encode())
        self._is_kernel = self.serves_kernels and is_kernel
        self._endpoint = self.endpoints.get(self.request.method or "", Endpoint())
        self.body = limits.Body(self._endpoint.max_body)
        self._count = ExitStack()  # of the running requests
        self._is_slowed_down = False
        self.is_handled = False  # whether the method of the route has begun

    @property
    def name(self) -> str:
        """The name of the route in the metrics."""
        return type(self).__name__.removesuffix("Route").lower()

    @property
    def shared(self) -> Shared:
        """What all requests to this server share."""
        if "turbopilot_shared" not in self.settings:
            self.settings["turbopilot_shared"] = Shared(self.pilot, self.settings)
        shared: Shared = self.settings["turbopilot_shared"]
        return shared

    @cached_property
    def caller(self) -> Caller:
        """Who sends the request."""
        return caller_of(self, self.standalone_identity, self.pilot)

    @property
    def standalone_identity(self) -> StandaloneIdentity | None:
        """The identity provider of `serve`; None under a Jupyter server."""
        provider = self.settings.get("identity_provider")
        return provider if isinstance(provider, StandaloneIdentity) else None

    @property
    def identity_provider(self) -> Any:
        """Authenticate a kernel by its secret, and other callers by the server's provider."""
        return kernel_identity() if self._is_kernel else super().identity_provider

    async def prepare(self) -> None:  # type: ignore[override]
        """Authenticate the caller, slow down repeated refusals, and count running requests."""
        connection: Any = self.request.connection
        is_http1 = isinstance(connection, HTTP1Connection)
        if is_http1:
            connection.set_max_body_size(HARD_LIMIT)
            connection.set_body_timeout(BODY_SECONDS)
        self.refused = await self._authenticate()
        try:
            if is_http1:
                await self._slow_down()
            if not self.refused and self._endpoint.takes and not self.is_disconnected:
                most = self._endpoint.max_parallel
                self._count.enter_context(self.shared.limits.running(self.name, self.caller, most))
        except BusyError as error:
            self.refused = error
            self.shared.metrics.count_error(self.name, error)
        if self.refused and not is_http1:
            # uvicorn, which Ray Serve uses, discards the rest of the body. Waiting for it would hold a slot.
            self.answer_error(self.refused)
        elif self.refused:
            # tornado closes the connection after an early response. A client that is still sending then
            # reports a broken connection instead of the error, so the response follows the body.
            self.body = limits.Body(0)

    async def _authenticate(self) -> TurbopilotError | None:
        """Authenticate the caller; return the error for a caller without the required rights."""
        self.current_user = None
        try:
            await super().prepare()
        except TurbopilotError as error:  # the identity provider rejected the caller
            return error
        except web.HTTPError as error:
            return self._rejection(error.status_code)
        except ValueError:  # an invalid Origin
            return self._rejection(403)
        required = {endpoint.access for endpoint in self.endpoints.values()}
        if not required:
            return RefusedError(404)
        is_safe = self.request.method in SAFE_METHODS
        may = is_safe or "manage" not in required or self.caller.may_manage
        may = may and ("totals" not in required or self.caller.may_see_totals)
        return None if may else self.not_manager_error()

    def _rejection(self, status: int) -> TurbopilotError:
        """Return the error for an unauthenticated caller: 401 if a key would help, else `status`."""
        identity = self.standalone_identity
        missing = identity.missing_key_error() if identity and not self.current_user else None
        return missing or RefusedError(403 if status == 404 else status)  # noqa: PLR2004 - Jupyter's status for other origins

    async def _slow_down(self) -> None:
        """Refuse the request of a caller who repeats refused requests, after a delay."""
        if self.refused and self.refused.status == HTTPStatus.UNAUTHORIZED:
            name = self.caller.address
        elif self.current_user and all(each.access != "open" for each in self.endpoints.values()):
            name = self.caller.name
        else:
            return
        try:
            self.shared.limits.check_refusals(name)
        except BusyError:
            self._is_slowed_down = True
            self.set_header("Connection", "close")
            await asyncio.sleep(limits.REFUSAL_DELAY)
            if not self.refused:
                raise

    def not_manager_error(self) -> TurbopilotError:
        """Return the error for an authenticated caller who may not manage the server."""
        return self.standalone_identity.not_manager_error() if self.standalone_identity else RefusedError(403)

    def check_host(self) -> bool:
        """Check the Host header: loopback names, or any name that the identity provider allows."""
        identity = self.standalone_identity
        if identity is None:
            return super().check_host()
        return is_loopback(self.request.host_name) or identity.allows_any_host(self.request.headers)

    def check_origin(self, origin_to_satisfy_tornado: str = "") -> bool:
        """Reject pages of other origins."""
        if self.standalone_identity:
            return is_same_site(self.request.headers)
        return super().check_origin(origin_to_satisfy_tornado)

    def set_cors_headers(self) -> None:
        """Set CORS headers only under a Jupyter server, which configures them."""
        if not self.standalone_identity:
            super().set_cors_headers()

    @allow_unauthenticated
    def options(self, *address: Any, **named: Any) -> None:
        """Handle CORS preflight requests like the Jupyter server."""
        if self.refused:
            self.answer_error(self.refused)
        else:
            super().options(*address, **named)

    def data_received(self, chunk: bytes) -> None:
        """Store a part of the body."""
        self.body.add(chunk)

    async def run(self, function: Callable[..., T], *given: Any, **named: Any) -> T:
        """Call a function in a background thread."""
        return await self.pilot.background.run(self.caller.name, function, *given, **named)

    def set_default_headers(self) -> None:
        """Add the headers of the route's protocol."""
        super().set_default_headers()
        for name, value in self.extra_headers.items():
            self.set_header(name, value())

    def answer(self, body: Any) -> None:
        """Finish with a JSON body; bytes are encoded JSON."""
        self.set_header("Content-Type", "application/json")
        self.finish(body if isinstance(body, bytes) else compact(body))

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Send a rejected caller the reason instead of other errors."""
        if self.refused:
            self.answer_error(self.refused)
        else:
            super().send_error(status_code, **kwargs)

    def write_error(self, status_code: int, **_: Any) -> None:
        """Send only the status: an exception may contain a path or the user's code."""
        self.answer_error(RefusedError(status_code))

    def answer_error(self, error: TurbopilotError) -> Future[None]:
        """Finish with an error in the route's protocol."""
        if error.status in COUNTED:
            self.shared.limits.count_refusal(error, self.caller)
        self.set_status(error.status)
        for name, value in error.headers.items():
            self.set_header(name, value)
        if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
            missing = web.RequestHandler.get
            allowed = [
                name for name in self.SUPPORTED_METHODS if getattr(type(self), name.lower()) != missing
            ]
            self.set_header("Allow", ", ".join(allowed))
        return self.finish(compact(self.error_body(error)))

    def update_api_activity(self) -> None:
        """Ignore an invalid query, for which Jupyter's method would raise an error in each `finish`."""
        with suppress(web.HTTPError):
            super().update_api_activity()

    def finish(self, *chunk: Any, **named: Any) -> Future[None]:
        """Keep the content type that was set. Jupyter's `finish` would set JSON."""
        connection = self.request.connection
        finished = super().finish(*chunk, set_content_type=self._headers["Content-Type"], **named)
        if self._is_slowed_down and isinstance(connection, HTTP1Connection):
            finished.add_done_callback(lambda _: connection.close())
        return finished

    def on_finish(self) -> None:
        """End all work, and stop counting the request, also after a disconnect."""
        self.at_disconnect.close()
        self._count.close()
        super().on_finish()

    def on_connection_close(self) -> None:
        """End all work: the client has disconnected. If the body is incomplete, the method does not run."""
        self.is_disconnected = True
        self.at_disconnect.close()
        if not self.is_handled:
            self._count.close()
        super().on_connection_close()
