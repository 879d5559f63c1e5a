"""`jupyter turbopilot serve`: the same routes at `/`, for editors, without a Jupyter server."""

from __future__ import annotations

import asyncio
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

from jupyter_turbopilot.engine.lifecycle import Phase
from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.server.identity import MAX_KEY, is_key
from jupyter_turbopilot.server.routes.manage import MissingRoute, OpenHealthRoute, StatusRoute
from jupyter_turbopilot.server.routes.table import ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tornado.httputil import HTTPServerRequest
    from tornado.iostream import IOStream

    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.pilot.pilot import Pilot
    from jupyter_turbopilot.server.identity import StandaloneIdentity


log = logging.getLogger(__name__)

# For each person, unless the settings say otherwise. Fast typing asks for two or three texts a second, and
# for one ahead with each.
LIMITS = {"requests_per_minute": 600, "running_per_person": 2, "waiting_per_person": 8}
POLL = 0.05  # seconds
# Errors of the command line or of the settings: a later attempt would fail in the same way.
FINAL = {"unknown_model", "model_refused", "model_damaged", "address", "key"}
# For the head of a request, and between requests of a connection: longer than our own clients keep one.
IDLE_SECONDS = 180.0


class Server(HTTPServer):
    """Closes connections above a limit at once.

    If no file descriptor is left, tornado logs an error in a loop that uses a whole core.
    """

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """Serve a connection, or close it."""
        if len(self._connections) < most_connections():
            super().handle_stream(stream, address)
        else:
            stream.close()


def most_connections() -> float:
    """Return three quarters of the file descriptors that this process may have."""
    if sys.platform == "win32":  # which has no such limit
        return float("inf")
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return limit * 3 // 4 if limit > 0 else float("inf")


class Application(web.Application):
    """The routes at `/`; a slash too many changes nothing, as in `/v1//completions` or `/infill/`."""

    def find_handler(self, request: HTTPServerRequest, **more: Any) -> Any:
        """Look up the route."""
        request.path = "/" + "/".join(filter(None, request.path.split("/")))
        return super().find_handler(request, **more)


def application(pilot: Pilot, identity: StandaloneIdentity, prefix: str = "/") -> web.Application:
    """Mount the routes under a prefix, which begins and ends with a slash."""
    own = (("", StatusRoute), ("health", OpenHealthRoute), ("v1/health", OpenHealthRoute))
    root = re.escape(prefix.rstrip("/"))
    routes = ((f"/{path}" if path else "/?", route) for path, route in (*own, *ROUTES))
    return Application(
        [(root + path, route, {"pilot": pilot}) for path, route in routes],
        default_handler_class=MissingRoute,
        default_handler_args={"pilot": pilot},
        identity_provider=identity,
        authorizer=AllowAllAuthorizer(),
        base_url=prefix,
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


@dataclass(frozen=True)
class Place:
    """Where a server listens, and under which prefix its routes are."""

    host: str
    port: int
    prefix: str = "/"

    @property
    def address(self) -> str:
        """Its address, for a person."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}{self.prefix}"


async def serve(pilot: Pilot, identity: StandaloneIdentity, place: Place, notice: str = "") -> int:
    """Serve until SIGTERM or SIGINT, or until the model is refused; return the exit status.

    `notice` is printed once the server listens.
    """
    server = Server(application(pilot, identity, place.prefix), idle_connection_timeout=IDLE_SECONDS)
    try:
        server.listen(place.port, place.host)
    except (OSError, ValueError) as error:  # a name that cannot be looked up is a ValueError, if it is odd
        reason = getattr(error, "strerror", None) or "not an address"
        raise BadRequestError(
            f"Cannot listen on {place.host}:{place.port}: {reason}. Choose another address with --host or "
            "--port, or as the `url` of the hub's service."
        ) from None
    ended = asyncio.Event()
    on_signals(asyncio.get_running_loop(), ended.set)
    pilot.start()
    if not (status := refusal(pilot)):
        if pilot.completer.study:
            notice = f"{notice}\nA study log is kept (c.Turbopilot.study_log).".strip()
        print(f"Serving on {place.address}", flush=True)
        if notice:
            print(notice, flush=True)
        status = await until_ended(ended, pilot)
    server.stop()
    await asyncio.get_running_loop().run_in_executor(None, pilot.stop)
    # A request that came in at the end would be logged as an uncaught exception.
    with suppress(TimeoutError):
        await asyncio.wait_for(server.close_all_connections(), 1.0)
    await identity.stop()
    return status


def refusal(pilot: Pilot) -> int:
    """Return the exit status if the model can never be loaded, else 0; the log has the reason."""
    state = pilot.worker.state
    return state.exit_status if state.phase is Phase.FAILED and state.code in FINAL else 0


async def until_ended(ended: asyncio.Event, pilot: Pilot) -> int:
    """Wait for the end, or for the refusal of the first model; return the exit status."""
    first = pilot.worker.state.model
    while pilot.worker.state.phase is Phase.LOADING and not ended.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), POLL)
    if pilot.worker.state.model == first and (status := refusal(pilot)):
        return status
    await ended.wait()
    return 0


def on_signals(loop: asyncio.AbstractEventLoop, act: Callable[[], object]) -> None:
    """Act when this process is told to end."""
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, act)
        except NotImplementedError:  # on Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(act))


def for_several(settings: Turbopilot) -> None:
    """Adapt the settings of a service for several people, and say what they cannot have."""
    refuse_study(settings, "a service for several people cannot ask each of them")
    asked: Any = settings.config.get("Turbopilot", {})
    lost = ["results_file"] if settings.results_file else []
    lost += ["keep_sequences"] if asked.get("keep_sequences") is True else []
    settings.results_file, settings.keep_sequences, settings.learning = "", False, False
    if lost:
        log.warning(
            "Turbopilot: this service keeps nothing of several people across restarts, so it ignores %s.",
            " and ".join(f"c.Turbopilot.{name}" for name in lost),
        )
    if settings.share == "group" and not settings.share_group:
        log.warning(
            'Turbopilot: c.Turbopilot.share is "group", but no group is named, so nobody shares anything. '
            "Set c.Turbopilot.share_group."
        )
    for name, value in LIMITS.items():
        if name not in asked and not getattr(settings, name):
            setattr(settings, name, value)


def refuse_study(settings: Turbopilot, why: str) -> None:
    """Refuse to log people who may not know of it: a log that is missing is noticed too late."""
    if settings.study_log:
        raise BadRequestError(
            f"c.Turbopilot.study_log cannot be used here: {why}. Set it in the configuration of each "
            "participant's own Jupyter server (docs/study.md), and remove it from this one."
        )
