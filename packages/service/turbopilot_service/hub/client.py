"""The client of the hub's API: returns the owner of a token and the token's scopes."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import Annotated, Literal

import httpx
import msgspec
from msgspec import Meta

from jupyter_turbopilot.protocol.errors import NotReadyError

# JupyterHub grants this scope to administrators, but not to the tokens of Jupyter servers.
MANAGE_SCOPE = "admin-ui"
METRICS_SCOPE = "custom:turbopilot:metrics"  # the hub's configuration defines it
# Scopes for all users of the hub, which no token for this service needs.
BROAD_SCOPES = frozenset({"admin:users", "admin:servers", "access:servers", "tokens"})
TIMEOUT = 5.0  # seconds per request
MAX_CONNECTIONS = 16  # concurrent requests to the hub
MAX_NEW_REQUESTS = 12  # of these for new tokens, so that invalid tokens cannot delay renewals
MAX_BYTES = 1 << 20  # size of a response
OK, REJECTED = 200, frozenset({401, 403})


class TokenOwner(msgspec.Struct, frozen=True):
    """The user or service that owns a token: the required fields of the hub's response to `GET user`."""

    name: Annotated[str, Meta(min_length=1)]
    kind: Literal["user", "service"] = "user"
    admin: bool = False
    scopes: frozenset[str] = frozenset()

    @property
    def unique_name(self) -> str:
        """A unique name: a service and a user may have the same name."""
        return f"{self.kind}:{self.name}"

    def may_use(self, service: str) -> bool:
        """Return whether the token has the scope to use a service. The hub expands scopes."""
        return not self.scopes.isdisjoint({"access:services", scope_for(service)})

    @property
    def may_manage(self) -> bool:
        """Return whether the token may manage models. The owner's role alone is not enough.

        An administrator's Jupyter server has a token of its owner, and any code in a notebook can read it.
        """
        return self.admin and MANAGE_SCOPE in self.scopes

    @property
    def may_read_metrics(self) -> bool:
        """Return whether the token may read the metrics, which cover all users."""
        return self.may_manage or METRICS_SCOPE in self.scopes

    @property
    def broad_scopes(self) -> list[str]:
        """The scopes that let an attacker with the token act for other users."""
        return sorted(BROAD_SCOPES & self.scopes)


def scope_for(service: str) -> str:
    """Return the scope that a token needs to use a service."""
    return f"access:services!service={service}"


class Hub:
    """A client of the hub's API. It sends the user's token, so the service needs no rights of its own."""

    def __init__(self, api_url: str, seconds: float = TIMEOUT) -> None:
        self._url = f"{api_url}/user"
        self._seconds = seconds
        self._new_requests = asyncio.Semaphore(MAX_NEW_REQUESTS)
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(None),  # `token_owner` limits the whole request
            trust_env=False,  # ignore proxy settings, like JupyterHub's own clients
            follow_redirects=False,
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS),
        )

    async def token_owner(self, token: str, *, known: bool = False) -> TokenOwner | None:
        """Return the owner of a token, or None if the token is invalid.

        `known`: whether the hub has accepted the token before.
        """
        try:
            async with asyncio.timeout(self._seconds), nullcontext() if known else self._new_requests:
                return await self._fetch(token)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
            raise NotReadyError(
                "The JupyterHub does not respond, so the server cannot check this token. "
                "Try again once the hub is running.",
                code="hub_gone",
            ) from None

    async def _fetch(self, token: str) -> TokenOwner | None:
        headers = {"Authorization": f"token {token}", "Accept-Encoding": "identity"}
        async with self._client.stream("GET", self._url, headers=headers) as response:
            if response.status_code in REJECTED:
                return None
            if response.status_code != OK:
                raise ValueError("unexpected status")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise ValueError("response too large")
        return msgspec.json.decode(body, type=TokenOwner)  # raises a ValueError if invalid

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()
