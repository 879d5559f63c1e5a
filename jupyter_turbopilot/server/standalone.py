"""`jupyter turbopilot serve`: the same routes at `/`, for editors, without a Jupyter server."""

from __future__ import annotations

import asyncio
import secrets
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.authorizer import AllowAllAuthorizer
from jupyter_server.auth.identity import IdentityProvider, User
from tornado import web
from tornado.httpserver import HTTPServer

from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.server.routes.about import MissingRoute, OpenHealthRoute, StatusRoute
from jupyter_turbopilot.server.routes.admission import MAX_KEY, has_key, is_key, is_loopback
from jupyter_turbopilot.server.routes.table import ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tornado.httputil import HTTPHeaders, HTTPServerRequest

    from jupyter_turbopilot.pilot.pilot import Pilot


class KeyIdentity(IdentityProvider):
    """Knows who brings the key; without a key, everybody who reaches this machine's own address."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key

    def get_user(self, handler: Any) -> User | None:
        """Return the caller, if the key is right."""
        if self._key and not has_key(handler.request.headers, self._key):
            return None
        return User(username="editor")

    def is_token_authenticated(self, handler: Any) -> bool:  # noqa: ARG002
        """There are no cookies here that another site could ride on."""
        return True

    def should_check_origin(self, handler: Any) -> bool:  # noqa: ARG002
        """A page of another origin is refused, key or not."""
        return True


class Application(web.Application):
    """The routes at `/`; a slash too many changes nothing, as in `/v1//completions` or `/infill/`."""

    def find_handler(self, request: HTTPServerRequest, **more: Any) -> Any:
        """Look up the route."""
        request.path = "/" + "/".join(filter(None, request.path.split("/")))
        return super().find_handler(request, **more)


def application(pilot: Pilot, key: str, host: str) -> web.Application:
    """Mount the routes at `/`."""
    own = (("", StatusRoute), ("health", OpenHealthRoute), ("v1/health", OpenHealthRoute))
    beyond = not is_loopback(host)  # by which names other machines know this one, nobody can tell

    def admits_any_host(headers: HTTPHeaders) -> bool:
        return bool(key) and (beyond or has_key(headers, key))

    return Application(
        [(f"/{path}", route, {"pilot": pilot}) for path, route in (*own, *ROUTES)],
        default_handler_class=MissingRoute,
        default_handler_args={"pilot": pilot},
        identity_provider=KeyIdentity(key),
        authorizer=AllowAllAuthorizer(),
        base_url="/",
        standalone=True,
        key=bool(key),
        admits_any_host=admits_any_host,
        log_function=lambda _: None,
        jinja2_env=None,
    )


def checked(key: str) -> str:
    """Return a key that callers can send."""
    if not is_key(key):
        raise BadRequestError(
            f"A key is 1 to {MAX_KEY} printable ASCII characters without spaces. "
            "Leave the option out to have one generated, or use --no-api-key."
        )
    return key


def key_from(file: Path) -> str:
    """Read the key from a file."""
    try:
        return checked(file.read_text("ascii", "replace").strip())
    except OSError as error:
        raise BadRequestError(f"{file} cannot be read: {error.strerror}. Check --api-key-file.") from None
    except BadRequestError as error:
        raise BadRequestError(f"{file} does not contain a valid key. {error.message}") from None


async def serve(pilot: Pilot, host: str, port: int, key: str | None) -> None:
    """Serve until SIGTERM or SIGINT; `key` None makes one, empty serves without."""
    if key == "" and not is_loopback(host):
        raise BadRequestError(
            "Without a key, only this machine can be served: use --host 127.0.0.1, or set a key."
        )
    made = key is None
    key = secrets.token_urlsafe(24) if key is None else key
    server = HTTPServer(application(pilot, key, host))
    try:
        server.listen(port, host)
    except (OSError, ValueError) as error:  # a name that cannot be looked up is a ValueError, if it is odd
        reason = getattr(error, "strerror", None) or "not an address"
        raise BadRequestError(
            f"Cannot listen on {host}:{port}: {reason}. Choose another address with --host or --port."
        ) from None
    ended = asyncio.Event()
    on_signals(asyncio.get_running_loop(), ended.set)
    pilot.start()
    print(f"Serving on http://{f'[{host}]' if ':' in host else host}:{port}/", flush=True)
    if made:
        print(f"Key: {key}   (send it as: Authorization: Bearer …)", flush=True)
    await ended.wait()
    server.stop()
    await asyncio.get_running_loop().run_in_executor(None, pilot.stop)
    # A request that came in at the end would be logged as an uncaught exception.
    with suppress(TimeoutError):
        await asyncio.wait_for(server.close_all_connections(), 1.0)


def on_signals(loop: asyncio.AbstractEventLoop, act: Callable[[], object]) -> None:
    """Act when this process is told to end."""
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, act)
        except NotImplementedError:  # on Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(act))
