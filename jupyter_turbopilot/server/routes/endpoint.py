"""One declaration for each method of a route: what it takes, who may call it, what it answers, how it fails.

Authentication, authorization, the check of the body, the wording of errors and the OpenAPI document all
follow from it. `Route` accepts no method without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal

from jupyter_server.auth.decorator import allow_unauthenticated, authorized
from tornado import web

from jupyter_turbopilot.request import decode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from jupyter_turbopilot.errors import TurbopilotError

    Handler = Callable[..., Awaitable[None]]

# `open`: anybody. `use`: whoever the server's authorizer lets use `turbopilot`. `manage`: those of them who
# may change what the server holds.
Access = Literal["open", "use", "manage"]
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Endpoint:
    """Decorates a method of a route; it is given the body, if it takes one, and the address's parts."""

    takes: type[Any] | None = None  # the schema of the body
    read: Callable[[bytes, Any], Any] = decode  # reads the body as `takes`
    gives: type[Any] | None = None  # the schema of the answer
    streams: type[Any] | None = None  # the schema of a line, where the answer is a stream or may be one
    status: int = 200
    access: Access = "use"
    errors: tuple[type[TurbopilotError], ...] = ()  # beside what any caller and any body can be refused for

    def __call__(self, handle: Handler) -> Handler:
        """Refuse the caller, or check the body and handle the request; errors of ours are answers."""

        @wraps(handle)
        async def method(route: Any, *address: str) -> None:
            await route.guard(self._handled(handle, route, address))

        if self.access == "open":
            declared: Any = allow_unauthenticated(method)
        else:
            declared = web.authenticated(authorized(method))
        declared.endpoint = self
        return declared  # type: ignore[no-any-return]

    async def _handled(self, handle: Handler, route: Any, address: tuple[str, ...]) -> None:
        if route.refused:
            raise route.refused
        route.set_status(self.status)
        body = () if self.takes is None else (self.read(route.raw_body(), self.takes),)
        await handle(route, *body, *address)


def endpoints(route: type[Any]) -> dict[str, Endpoint]:
    """Return what a route declares, by method."""
    methods = ((name, getattr(route, name.lower(), None)) for name in METHODS)
    declared = ((name, getattr(method, "endpoint", None)) for name, method in methods)
    return {name: endpoint for name, endpoint in declared if endpoint}
