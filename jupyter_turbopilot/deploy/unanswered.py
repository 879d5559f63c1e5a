"""What a proxy says for a replica that died before it had said anything: come again. No web server in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.errors import NotReadyError
from jupyter_turbopilot.server.routes.encoding import compact
from jupyter_turbopilot.server.routes.openai_wording import error_body

if TYPE_CHECKING:
    from jupyter_turbopilot.server.asgi import Message, Receive, Send

HTTP = "http"


class Unanswered:
    """An ASGI application in front of another: what that one leaves unanswered is 503 with Retry-After.

    Without it a server answers 500 in its place, which clients do not ask again after.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Have the other answer."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        await self._app(scope, receive, noted)
        if begun or scope["type"] != HTTP:
            return
        error = NotReadyError(
            "The replica that this was sent to has ended. Send it again.", code="replica_gone"
        )
        headers = [(b"content-type", b"application/json"), (b"retry-after", b"1")]
        await send({"type": "http.response.start", "status": error.status, "headers": headers})
        await send({"type": "http.response.body", "body": compact(error_body(error, None))})
