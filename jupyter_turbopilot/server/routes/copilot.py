"""What a Copilot client asks before it asks for completions."""

from __future__ import annotations

import time

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_turbopilot.server.routes.base import Route

LASTS = 1800  # seconds


class CopilotTokenRoute(Route):
    """`GET copilot_internal/v2/token`: whoever may ask gets back the key that let it in."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Hand out a token, and this server's own address for all that a client would send to GitHub."""
        now = int(time.time())
        given = self.request.headers.get("Authorization", "").rpartition(" ")[2]
        own = self.request.full_url().partition("/copilot_internal/")[0]
        self.answer(
            {
                "token": given or f"tid=turbopilot;exp={now + LASTS}",
                "expires_at": now + LASTS,
                "refresh_in": LASTS - 300,
                "endpoints": dict.fromkeys(("api", "origin-tracker", "proxy", "telemetry"), own),
                "chat_enabled": False,
                "telemetry": "disabled",
            }
        )


class CopilotNothingRoute(Route):
    """What a Copilot client asks for beside completions: not here, and said in a numbered answer."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Say so."""
        raise web.HTTPError(404)
