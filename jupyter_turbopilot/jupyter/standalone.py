"""`jupyter turbopilot serve`: the routes without a Jupyter server, for editors."""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.authorizer import AllowAllAuthorizer
from tornado import web
from tornado.httpserver import HTTPServer

from jupyter_turbopilot.jupyter.identity import MAX_KEY, is_key
from jupyter_turbopilot.jupyter.pilot.threads import stop_within
from jupyter_turbopilot.jupyter.routes.table import MISSING, lazy, loaded, table
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.protocol.phase import Phase
from jupyter_turbopilot.settings.access import PATHLESS_WARNING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from tornado.httputil import HTTPServerRequest
    from tornado.iostream import IOStream

    from jupyter_turbopilot.jupyter.identity import StandaloneIdentity
    from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
    from jupyter_turbopilot.settings.config import Turbopilot


log = logging.getLogger(__name__)

# Routes that differ from those of a Jupyter server, or that it lacks.
_MANAGE = "jupyter_turbopilot.jupyter.routes.manage:"
OWN = {
    "": f"{_MANAGE}StatusRoute",
    "health": f"{_MANAGE}OpenHealthRoute",
    "v1/health": f"{_MANAGE}OpenHealthRoute",
}

# Unless configured. Fast typing causes two or three requests per second, each with a prefetch.
REQUESTS_PER_MINUTE = 600
# Limits for each user, if the identity provider distinguishes users.
RUNNING_PER_USER, WAITING_PER_USER = 2, 8
POLL = 0.05  # seconds
CLOSE_SECONDS = 0.5  # until the end of the process, if a client does not close its connection
# Errors in the command line or the settings: a retry would fail too.
PERMANENT_ERRORS = {"unknown_model", "model_refused", "model_damaged", "address", "key"}
# Timeout for idle connections; longer than Turbopilot's clients keep one open.
IDLE_SECONDS = 180.0


class Server(HTTPServer):
    """Closes connections above a limit at once.

    If no file descriptor is left, tornado logs an error in a loop that uses a whole core.
    """

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """Serve the connection, or close it above the limit."""
        if len(self._connections) < max_connections():
            super().handle_stream(stream, address)
        else:
            stream.close()


def max_connections() -> float:
    """Return three quarters of the limit on open file descriptors."""
    if sys.platform == "win32":  # no such limit
        return float("inf")
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return limit * 3 // 4 if limit > 0 else float("inf")


class Application(web.Application):
    """The routes. Extra slashes are ignored, as in `/v1//completions` or `/infill/`."""

    def find_handler(self, request: HTTPServerRequest, **more: Any) -> Any:
        request.path = "/" + "/".join(filter(None, request.path.split("/")))
        return super().find_handler(request, **more)


def application(pilot: Pilot, identity: StandaloneIdentity, prefix: str = "/") -> web.Application:
    """Mount the routes under a prefix that begins and ends with a slash."""
    pilot.worker.sheds_load = identity.distinguishes_users or identity.may_manage(None)
    if identity.distinguishes_users:
        pilot.worker.limits.running, pilot.worker.limits.waiting = RUNNING_PER_USER, WAITING_PER_USER
    loaded()  # now, because no client waits yet
    root = re.escape(prefix.rstrip("/"))
    routes = ((f"/{path}" if path else "/?", value) for path, value in (table() | OWN).items())
    return Application(
        [(root + path, lazy(value, lambda: pilot)) for path, value in routes],
        default_handler_class=lazy(MISSING, lambda: pilot),
        identity_provider=identity,
        authorizer=AllowAllAuthorizer(),
        base_url=prefix,
        log_function=lambda _: None,
        jinja2_env=None,
    )


def checked(key: str) -> str:
    """Return the key, or raise an error if a client could not send it."""
    if not is_key(key):
        raise BadRequestError(
            f"A key is 1 to {MAX_KEY} printable ASCII characters without spaces. "
            "Leave the option out to generate a key, or use --no-api-key."
        )
    return key


def key_from(file: Path) -> str:
    try:
        return checked(file.read_text("ascii", "replace").strip())
    except OSError as error:
        raise BadRequestError(f"{file} cannot be read: {error.strerror}. Check --api-key-file.") from None
    except BadRequestError as error:
        raise BadRequestError(f"{file} does not contain a valid key. {error.message}") from None


@dataclass(frozen=True)
class ListenAddress:
    """The address that a server listens on, and the prefix of its routes."""

    host: str
    port: int
    prefix: str = "/"
    sockets: tuple[socket.socket, ...] = ()  # sockets that already listen on the address

    @property
    def address(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}{self.prefix}"


async def serve(pilot: Pilot, identity: StandaloneIdentity, place: ListenAddress, notice: str = "") -> int:
    """Serve until SIGTERM or SIGINT, or until the model is rejected; return the exit status.

    With passed sockets, a rejected model does not end the server. `notice` is printed once it listens.
    """
    server = Server(application(pilot, identity, place.prefix), idle_connection_timeout=IDLE_SECONDS)
    if place.sockets:
        server.add_sockets(place.sockets)
    else:
        listen(server, place)
    ended = asyncio.Event()
    on_signals(asyncio.get_running_loop(), ended.set)
    # Selecting the model reads the disk, which may hang.
    waits = [
        asyncio.ensure_future(pilot.disk.run("", "model", pilot.start)),
        asyncio.ensure_future(ended.wait()),
    ]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    # systemd would restart the service repeatedly, and requests to its socket would wait until they time out.
    status = 0 if place.sockets else load_failure_status(pilot)
    if not status:
        print(f"Serving on {place.address}", flush=True)
        for text in filter(None, (notice, *(one.notice for one in pilot.completer.listeners))):
            print(text, flush=True)
        if place.sockets:
            await ended.wait()
        else:
            status = await wait_for_end(ended, pilot)
    server.stop()
    await stop_within(pilot.stop)
    # Otherwise tornado logs a request that arrives now as an uncaught exception.
    with suppress(TimeoutError):
        await asyncio.wait_for(server.close_all_connections(), CLOSE_SECONDS)
    await identity.stop()
    return status


def listen(server: HTTPServer, place: ListenAddress) -> None:
    """Listen on an address, or raise an error with advice."""
    try:
        server.listen(place.port, place.host)
    except (OSError, ValueError) as error:  # an invalid host name can raise a ValueError
        reason = getattr(error, "strerror", None) or "the address is invalid"
        advice = "Choose another address with --host or --port, or in the `url` of the hub's service."
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            advice += (
                " On a JupyterHub, find out which program listens there: it receives users' tokens. A "
                "systemd socket keeps the port reserved; see the JupyterHub page of the documentation."
            )
        raise BadRequestError(f"Cannot listen on {place.host}:{place.port}: {reason}. {advice}") from None


def load_failure_status(pilot: Pilot) -> int:
    """Return the exit status if a retry could not load the model, else 0."""
    state = pilot.worker.state
    return state.exit_status if state.phase is Phase.FAILED and state.code in PERMANENT_ERRORS else 0


async def wait_for_end(ended: asyncio.Event, pilot: Pilot) -> int:
    """Wait until the server is stopped or the first model is rejected; return the exit status."""
    first = pilot.worker.state.model
    while pilot.worker.state.phase is Phase.LOADING and not ended.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), POLL)
    if pilot.worker.state.model == first and (status := load_failure_status(pilot)):
        return status
    await ended.wait()
    return 0


def on_signals(loop: asyncio.AbstractEventLoop, act: Callable[[], object]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, act)
        except NotImplementedError:  # on Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(act))


def for_several(settings: Turbopilot) -> None:
    """Adapt the settings to a service for several users, and log which settings are ignored."""
    refuse_usage_log(settings, "a service for several users cannot ask each of them for consent")
    asked: Any = settings.config.get("Turbopilot", {})
    lost = ["cache_file"] if settings.cache_file else []
    lost += ["keep_sequences"] if asked.get("keep_sequences") is True else []
    settings.cache_file, settings.keep_sequences = "", False
    if lost:
        log.warning(
            "Turbopilot: this service has several users and does not store their data, so it ignores %s.",
            " and ".join(f"c.Turbopilot.{name}" for name in lost),
        )
    if settings.denied_paths:
        log.warning("Turbopilot: %s", PATHLESS_WARNING)
    settings.separate_caches = True
    if "requests_per_minute" not in asked:
        settings.requests_per_minute = settings.requests_per_minute or REQUESTS_PER_MINUTE


def refuse_usage_log(settings: Turbopilot, why: str) -> None:
    """Raise an error if a usage log is configured, because the users have not consented to it."""
    if settings.usage_log:
        raise BadRequestError(
            f"c.Turbopilot.usage_log cannot be used here: {why}. Set it in the configuration of each "
            "participant's own Jupyter server, and remove it from this one; see the Privacy page of the "
            "documentation."
        )
