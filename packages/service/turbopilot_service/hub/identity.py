"""A service of a JupyterHub: its environment, and authentication by tokens with a cache of their owners."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jupyter_server.auth.identity import User

from jupyter_turbopilot.jupyter.identity import StandaloneIdentity, is_key, sent_keys
from jupyter_turbopilot.jupyter.standalone import ListenAddress
from jupyter_turbopilot.protocol.errors import MISSING_SCOPE, BadRequestError, BusyError, RefusedError
from jupyter_turbopilot.util.bounds import LimitedDict
from turbopilot_service.hub.client import MANAGE_SCOPE, METRICS_SCOPE, Hub, scope_for
from turbopilot_service.hub.sockets import passed_sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from urllib.parse import SplitResult

    from jupyter_turbopilot.protocol.errors import TurbopilotError
    from turbopilot_service.hub.client import TokenOwner

log = logging.getLogger(__name__)

# Seconds: cached owners expire after the first and are renewed in the background after the second. A revoked
# token works at most until it expires. Users do not notice a hub that restarts within this time.
VALID_SECONDS, RENEW_SECONDS = 300.0, 150.0
REJECTED_SECONDS = 10.0  # seconds for which a rejection is cached
MAX_TOKENS = 4096  # entries, each for accepted and rejected tokens
MAX_NEW_TOKENS = 256  # concurrent requests for new tokens; renewals are not limited

NAME = "JUPYTERHUB_SERVICE_NAME"
API_URL, PREFIX, URL = "JUPYTERHUB_API_URL", "JUPYTERHUB_SERVICE_PREFIX", "JUPYTERHUB_SERVICE_URL"
DESCRIPTIONS = {
    API_URL: "the address of the hub's API, such as http://127.0.0.1:8081/hub/api",
    PREFIX: "the path of the service on the hub's proxy, such as /services/turbopilot/",
    URL: "the address to listen on, such as http://127.0.0.1:10101",
}


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass
class HubUser(User):
    """A user of the hub."""

    is_manager: bool = False
    reads_metrics: bool = False


class HubIdentity(StandaloneIdentity):
    """Authenticates users by their JupyterHub tokens."""

    distinguishes_users = True

    def __init__(self, hub: Hub, service: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`service`: the name of this service in the hub."""
        super().__init__()
        self._hub = hub
        self._service = service
        self._clock = clock
        # The hub's responses by the digests of the tokens, with the times of the requests.
        self._owners: LimitedDict[str, tuple[TokenOwner, float]] = LimitedDict(MAX_TOKENS)
        self._rejected: LimitedDict[str, float] = LimitedDict(MAX_TOKENS)
        self._lookups: dict[str, asyncio.Task[TokenOwner | None]] = {}  # by the token's digest
        self._warned: set[str] = set()  # services with broad tokens; "" for users
        self._new: set[str] = set()  # digests in `_lookups` that the hub has not accepted yet

    async def get_user(self, handler: Any) -> User | None:
        """Return the caller, or None if the request has no token."""
        sent = sent_keys(handler.request.headers)
        if not sent:
            return None
        owner = await self._owner(sent[0]) if is_key(sent[0]) else None
        if owner is None:
            raise RefusedError(
                401,
                "The JupyterHub rejected this token. It has expired or was revoked. Restart your server in "
                "the hub's control panel.",
            )
        if not owner.may_use(self._service):
            raise RefusedError(
                403,
                f"This token may not use the service {self._service}. Ask the JupyterHub's administrator to "
                "add you to the group that may. If all users may use it, the roles `user` and `server` need "
                f"the scope {scope_for(self._service)} (see `jupyter turbopilot hub-config`). Then restart "
                "your server.",
                code=MISSING_SCOPE,
            )
        if owner.broad_scopes:
            self._warn_about(owner)
        return HubUser(
            owner.unique_name,
            owner.name,
            is_manager=owner.may_manage,
            reads_metrics=owner.may_read_metrics,
        )

    def _warn_about(self, owner: TokenOwner) -> None:
        """Log once that a service or a user presents a broad token. The log contains no users' names."""
        service = owner.name if owner.kind == "service" else ""
        if service in self._warned:
            return
        self._warned.add(service)
        log.warning(
            "Turbopilot: A token of %s has more scopes than this service needs: %s. Use a token with the "
            "scope %s, and %s for the metrics or %s to manage models.",
            f"the service {service}" if service else "an administrator",
            ", ".join(owner.broad_scopes),
            scope_for(self._service),
            METRICS_SCOPE,
            MANAGE_SCOPE,
        )

    async def _owner(self, token: str) -> TokenOwner | None:
        """Return the owner of a token; wait for the hub only if the owner is not cached."""
        digest, now = digest_of(token), self._clock()
        if now < self._rejected.get(digest, -math.inf) + REJECTED_SECONDS:
            return None
        owner, asked = self._owners.get(digest, (None, -math.inf))
        if now >= asked + VALID_SECONDS:
            return await asyncio.shield(self._look_up(digest, token))
        if now >= asked + RENEW_SECONDS:
            self._look_up(digest, token)
        return owner

    def _look_up(self, digest: str, token: str) -> asyncio.Task[TokenOwner | None]:
        """Request the owner from the hub, with one request at a time per token."""
        if digest not in self._lookups:
            if digest not in self._owners:  # also known if it has expired
                if len(self._new) >= MAX_NEW_TOKENS:
                    raise BusyError("The JupyterHub is checking many new tokens. Try again shortly.")
                self._new.add(digest)
            task = self._lookups[digest] = asyncio.create_task(self._query_hub(digest, token))
            task.add_done_callback(lambda done: self._finish_lookup(digest, done))
        return self._lookups[digest]

    async def _query_hub(self, digest: str, token: str) -> TokenOwner | None:
        asked = self._clock()
        owner = await self._hub.token_owner(token, known=digest not in self._new)
        self._owners.pop(digest, None)
        self._rejected.pop(digest, None)
        if owner:
            self._owners[digest] = owner, asked
        else:
            self._rejected[digest] = asked
        return owner

    def _finish_lookup(self, digest: str, done: asyncio.Task[TokenOwner | None]) -> None:
        del self._lookups[digest]
        self._new.discard(digest)
        if not done.cancelled():
            done.exception()  # marks the exception as retrieved; otherwise asyncio logs it

    def may_manage(self, user: Any) -> bool:
        return bool(getattr(user, "is_manager", False))

    def not_manager_error(self) -> TurbopilotError:
        """Return an error that names the required scope."""
        return RefusedError(
            403,
            f"This requires a JupyterHub administrator's token with the scope {MANAGE_SCOPE}, or for the "
            f"metrics a token with the scope {METRICS_SCOPE}. Tokens of Jupyter servers have neither; create "
            "one on the hub's Token page.",
        )

    def may_read_metrics(self, user: Any) -> bool:
        """Return whether the user's token may read the metrics."""
        return bool(getattr(user, "reads_metrics", False))

    def allows_any_host(self, headers: Mapping[str, str]) -> bool:  # noqa: ARG002
        """Accept all host names: the proxy forwards the hub's, and every route requires a token."""
        return True

    def missing_key_error(self) -> TurbopilotError | None:
        """Return 401 with advice how to send a token."""
        return RefusedError(
            401,
            "Send a token of this JupyterHub in the header Authorization: Bearer. On a Jupyter server that "
            'the hub started, set c.TurbopilotRemote.auth = "jupyterhub". For other clients, create a token '
            "on the hub's Token page.",
        )

    async def stop(self) -> None:
        """Cancel all requests to the hub."""
        for task in list(self._lookups.values()):
            task.cancel()
        await self._hub.close()


@dataclass(frozen=True)
class Service:
    """The hub's API and the address of the service."""

    name: str
    api_url: str
    host: str
    port: int
    prefix: str  # begins and ends with a slash


def read_environment(environment: Mapping[str, str]) -> Service:
    """Read the variables; raise an error that names missing or invalid ones."""
    missing = [f"{name} ({meant})" for name, meant in DESCRIPTIONS.items() if not environment.get(name)]
    if missing:
        raise BadRequestError(
            f"With --hub, the environment must contain {', '.join(missing)}. JupyterHub sets these variables "
            "for a service with a command and a url (see `jupyter turbopilot hub-config`). If you start the "
            "service yourself, set them as the JupyterHub page of the documentation describes."
        )
    url = _split_url(environment, URL)
    if url.scheme == "https":
        raise BadRequestError(
            f"The environment variable {URL} begins with https://, but only the hub's proxy supports TLS. Use http://."
        )
    if not (url.hostname and url.port):
        raise _invalid(URL)
    _split_url(environment, API_URL)
    prefix = "/" + "".join(f"{part}/" for part in environment[PREFIX].split("/") if part)
    name = environment.get(NAME) or prefix.rstrip("/").rpartition("/")[2]
    if not name:
        raise _invalid(PREFIX)
    return Service(name, environment[API_URL].rstrip("/"), url.hostname, url.port, prefix)


def _split_url(environment: Mapping[str, str], name: str) -> SplitResult:
    """Return the parts of a variable's URL; raise an error if it is invalid."""
    with suppress(ValueError):
        parts = urlsplit(environment[name])
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return parts
    raise _invalid(name)


def _invalid(name: str) -> BadRequestError:
    return BadRequestError(f"The environment variable {name} is invalid. Set it to {DESCRIPTIONS[name]}.")


def hub_callers(environment: Mapping[str, str]) -> tuple[HubIdentity, ListenAddress]:
    """Return the identity provider and the address of the service that the environment describes."""
    service = read_environment(environment)
    sockets = passed_sockets(environment, service.host, service.port)
    address = ListenAddress(service.host, service.port, service.prefix, sockets)
    return HubIdentity(Hub(service.api_url), service.name), address
