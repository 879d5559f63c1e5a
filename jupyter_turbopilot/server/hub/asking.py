"""Asking a hub whose a token is, as `jupyterhub.services.auth.HubAuth` does, and without logging it."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import httpx

from jupyter_turbopilot.errors import NotReadyError
from jupyter_turbopilot.server.hub.person import Person, read_person

SECONDS = 5.0  # for an answer
AT_ONCE = 16  # concurrent requests to the hub
OF_NEW = 12  # of those about new tokens, so that made-up ones cannot delay the renewal of known ones
MOST = 1 << 20  # bytes of an answer: somebody may be in many groups
OK, NOT_KNOWN = 200, frozenset({401, 403})


class HubGoneError(NotReadyError):
    """The hub does not answer, and what it said before counts no longer."""

    def __init__(self) -> None:
        super().__init__(
            "The JupyterHub does not answer, so nobody can tell whose token this is. Try again when it runs.",
            code="hub_gone",
        )


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
            raise HubGoneError from None

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
        return read_person(bytes(body))

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()
