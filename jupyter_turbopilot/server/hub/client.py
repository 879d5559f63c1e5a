"""The client of a hub's API: which user or service a token belongs to, and what the user may do."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import Annotated, Literal

import httpx
import msgspec
from msgspec import Meta

from jupyter_turbopilot.errors import NotReadyError

# JupyterHub grants it to administrators, and not to the tokens of Jupyter servers.
MANAGES = "admin-ui"
SECONDS = 5.0  # for an answer
AT_ONCE = 16  # concurrent requests to the hub
OF_NEW = 12  # of those about new tokens, so that made-up ones cannot delay the renewal of known ones
MOST = 1 << 20  # bytes of an answer: a user may be in many groups
OK, NOT_KNOWN = 200, frozenset({401, 403})


class Person(msgspec.Struct, frozen=True):
    """A user whom the hub knows, or a service of the hub: its answer to `GET user`, as far as it matters."""

    name: Annotated[str, Meta(min_length=1)]
    kind: Literal["user", "service"] = "user"
    admin: bool = False
    groups: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()

    @property
    def known_as(self) -> str:
        """What tells them from everybody else: a service may be called as a user is."""
        return f"{self.kind}:{self.name}"

    def may_use(self, service: str) -> bool:
        """Whether their token has the scope to use a service. The hub sends scopes expanded."""
        return not self.scopes.isdisjoint({"access:services", scope_for(service)})

    @property
    def may_manage(self) -> bool:
        """Whether the token may manage models. The owner's role alone is not enough.

        An administrator's server has a token of that administrator, which any code in a notebook can read.
        """
        return self.admin and MANAGES in self.scopes


def scope_for(service: str) -> str:
    """Return the scope that lets somebody use a service."""
    return f"access:services!service={service}"


class Hub:
    """A hub's API; it is asked with the token that is asked about, which needs no right of ours."""

    def __init__(self, api_url: str, seconds: float = SECONDS) -> None:
        self._url = f"{api_url}/user"
        self._seconds = seconds
        self._of_new = asyncio.Semaphore(OF_NEW)
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(None),  # time is kept for the whole of a question
            trust_env=False,  # as the hub's own clients have it: what is between us is the administrator's
            follow_redirects=False,
            limits=httpx.Limits(max_connections=AT_ONCE),
        )

    async def who(self, token: str, *, known: bool = False) -> Person | None:
        """Return whom a token belongs to; None: the hub does not know it. `known`: whether it did before."""
        try:
            async with asyncio.timeout(self._seconds), nullcontext() if known else self._of_new:
                return await self._ask(token)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
            raise NotReadyError(
                "The JupyterHub does not answer, so the server cannot check this token. "
                "Try again when the hub runs.",
                code="hub_gone",
            ) from None

    async def _ask(self, token: str) -> Person | None:
        headers = {"Authorization": f"token {token}", "Accept-Encoding": "identity"}
        async with self._client.stream("GET", self._url, headers=headers) as answer:
            if answer.status_code in NOT_KNOWN:
                return None
            if answer.status_code != OK:
                raise ValueError("not a hub's answer")
            body = bytearray()
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > MOST:
                    raise ValueError("an answer without end")
        return msgspec.json.decode(body, type=Person)  # its errors are ValueErrors

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()
