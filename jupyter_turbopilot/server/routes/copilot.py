"""What a Copilot client asks before it asks for completions."""

from __future__ import annotations

import time

from tornado import web

from jupyter_turbopilot.server.routes.base import Route
from jupyter_turbopilot.server.routes.endpoint import Endpoint

LASTS = 1800  # seconds


class CopilotTokenRoute(Route):
    """`GET copilot_internal/v2/token`: whoever may ask gets back the key that let it in."""

    @Endpoint()
    async def get(self) -> None:
        """Return a token, and this server as the endpoint for everything a client would send to GitHub."""
        now = int(time.time())
        key = self.request.headers.get("Authorization", "").rpartition(" ")[2]
        own = self.request.full_url().partition("/copilot_internal/")[0]
        self.answer(
            {
                "token": key or f"tid=turbopilot;exp={now + LASTS}",
                "expires_at": now + LASTS,
                "refresh_in": LASTS - 300,
                "endpoints": dict.fromkeys(("api", "origin-tracker", "proxy", "telemetry"), own),
                "chat_enabled": False,
                "telemetry": "disabled",
            }
        )


class CopilotNothingRoute(Route):
    """What a Copilot client asks for beside completions. It is not provided."""

    @Endpoint(status=404)
    async def get(self) -> None:
        """Return 404: these services of GitHub's are not provided."""
        raise web.HTTPError(404)
