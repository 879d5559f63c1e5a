"""`jupyter turbopilot serve`: the same routes at `/`, for editors, without a Jupyter server."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import secrets
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.authorizer import AllowAllAuthorizer
from jupyter_server.auth.identity import IdentityProvider, User
from tornado import web
from tornado.httpserver import HTTPServer

from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.routes.about import StatusRoute
from jupyter_turbopilot.routes.table import ROUTES

if TYPE_CHECKING:
    from jupyter_turbopilot.pilot import Pilot


class KeyIdentity(IdentityProvider):
    """Knows who brings the key; without a key, everybody who reaches this machine's own address."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key

    def get_user(self, handler: Any) -> User | None:
        """Return the caller, if the key is right."""
        given = handler.request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        given = given or handler.request.headers.get("X-Api-Key", "")
        if self._key and not hmac.compare_digest(given.encode(), self._key.encode()):
            return None
        return User(username="editor")

    def is_token_authenticated(self, handler: Any) -> bool:  # noqa: ARG002
        """There are no cookies here that another site could ride on."""
        return True

    def should_check_origin(self, handler: Any) -> bool:  # noqa: ARG002
        """A page of another origin is refused, key or not."""
        return True


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine alone."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def application(pilot: Pilot, key: str, host: str) -> web.Application:
    """Mount the routes at `/`."""
    return web.Application(
        [(f"/{path}", route, {"pilot": pilot}) for path, route in (("", StatusRoute), *ROUTES)],
        identity_provider=KeyIdentity(key),
        authorizer=AllowAllAuthorizer(),
        base_url="/",
        # The Host header names this machine itself, or the address that was asked for.
        local_hostnames=["localhost", host],
        standalone=True,
        managed=bool(key),
        log_function=lambda _: None,
        jinja2_env=None,
    )


async def serve(pilot: Pilot, host: str, port: int, key: str | None) -> None:
    """Serve until SIGTERM or SIGINT; `key` None makes one, empty serves without."""
    if key == "" and not is_loopback(host):
        raise BadRequestError("Without a key only this machine itself is served: use --host 127.0.0.1.")
    made = key is None
    key = secrets.token_urlsafe(24) if key is None else key
    server = HTTPServer(application(pilot, key, host))
    try:
        server.listen(port, host)
    except OSError as error:
        raise BadRequestError(f"{host}:{port} cannot be listened on: {error.strerror}.") from None
    pilot.start()
    print(f"Serving on http://{host}:{port}/", flush=True)
    if made:
        print(f"Key: {key}   (send it as: Authorization: Bearer …)", flush=True)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()
    server.stop()
    await asyncio.get_running_loop().run_in_executor(None, pilot.stop)
