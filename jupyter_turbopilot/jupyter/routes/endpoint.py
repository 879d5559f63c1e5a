"""The declaration of a route's method: its body, access rights, response and errors.

It determines authentication, authorization, validation of the body, error responses and the OpenAPI document.
`Route` accepts no method without a declaration.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal

from jupyter_server.auth.decorator import allow_unauthenticated, authorized
from tornado import web
from tornado.iostream import StreamClosedError

from jupyter_turbopilot.protocol.errors import BusyError, NotReadyError, TurbopilotError
from jupyter_turbopilot.protocol.request import MAX_BODY, decode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[..., Awaitable[None]]

# `open`: no authentication. `use`: callers whom the authorizer allows to use the resource `turbopilot`.
# `totals`: of these, callers who may see totals of all users. `manage`: callers who may manage the models.
Access = Literal["open", "use", "totals", "manage"]
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SMALL_BODY = 1 << 14  # bytes: more than a route with a few short fields needs


@dataclass(frozen=True)
class Endpoint:
    """Decorates a method of a route. The method receives the decoded body and the path parameters."""

    takes: type[Any] | None = None  # the schema of the body
    read: Callable[[bytes, Any], Any] = decode  # decodes the body as `takes`
    gives: type[Any] | None = None  # the schema of the response
    streams: type[Any] | None = None  # the schema of a line, if the response can be a stream
    status: int = 200
    access: Access = "use"
    errors: tuple[type[TurbopilotError], ...] = ()  # besides those of authentication and validation
    max_body: int = SMALL_BODY  # bytes
    max_parallel: int | None = None  # requests with a body of one caller; None: see `Limits.running`
    may_be_plain: bool = False  # accept bodies of other content types without a Jupyter server

    def __call__(self, handle: Handler) -> Handler:
        """Wrap the method: reject unauthorized callers, decode the body and send errors."""

        @wraps(handle)
        async def method(route: Any, *address: str) -> None:
            route.is_handled = True
            with suppress(StreamClosedError):
                try:
                    if route.is_disconnected:  # in the authorizer, so that the request is no longer counted
                        return
                    if route.refused:
                        raise route.refused
                    route.set_status(self.status)
                    is_plain_allowed = self.may_be_plain and route.standalone_identity is not None
                    body: tuple[Any, ...] = ()
                    if self.takes is not None:
                        received = route.body.take(route.request.headers, may_be_plain=is_plain_allowed)
                        body = (self.read(received, self.takes),)
                    await handle(route, *body, *address)
                except TurbopilotError as error:
                    if not (route._headers_written or route.is_disconnected):  # noqa: SLF001 - of tornado
                        await route.answer_error(error)

        if self.access == "open":
            declared: Any = allow_unauthenticated(method)
        else:
            declared = web.authenticated(authorized(method))
        declared.endpoint = self
        return declared  # type: ignore[no-any-return]


@dataclass(frozen=True)
class CodeEndpoint(Endpoint):
    """A method whose body has code, so that it may be large. Charge its caller by the size."""

    errors: tuple[type[TurbopilotError], ...] = (BusyError, NotReadyError)
    max_body: int = MAX_BODY
    may_be_plain: bool = True
