"""Why a service of a hub lets somebody not in, in words that say what to do. Pure."""

from __future__ import annotations

from jupyter_turbopilot.errors import NotReadyError, TurbopilotError
from jupyter_turbopilot.server.hub.person import MANAGES, scope_for


class NoTokenError(TurbopilotError):
    """No token was sent."""

    status = 401
    code = "unauthenticated"

    def __init__(self) -> None:
        super().__init__(
            "Send a token of this JupyterHub, as Authorization: Bearer. A server that the hub started does "
            'so with c.TurbopilotRemote.auth = "jupyterhub"; the hub\'s page Token makes one for others.'
        )


class UnknownHubTokenError(TurbopilotError):
    """The hub does not know the token."""

    status = 401
    code = "unauthenticated"

    def __init__(self) -> None:
        super().__init__(
            "The JupyterHub does not know this token: it has expired, or was revoked. Stop your server in "
            "the hub's control panel and start it again."
        )


class NoScopeError(TurbopilotError):
    """The token may not use this service."""

    status = 403
    code = "forbidden"

    def __init__(self, service: str) -> None:
        super().__init__(
            f"This token may not use the service {service}. The JupyterHub's administrator has to give the "
            f"roles `user` and `server` the scope {scope_for(service)}, as `jupyter turbopilot hub-config` "
            "prints it; then stop your server and start it again."
        )


class NotManagerError(TurbopilotError):
    """The token may use this service, but not manage it."""

    status = 403
    code = "forbidden"

    def __init__(self) -> None:
        super().__init__(
            f"This needs a token with the scope {MANAGES}, of an administrator of the JupyterHub. Create one "
            "on the hub's page Token. Tokens of Jupyter servers do not have this scope."
        )


class HubGoneError(NotReadyError):
    """The hub does not answer, and what it said before counts no longer."""

    def __init__(self) -> None:
        super().__init__(
            "The JupyterHub does not answer, so nobody can tell whose token this is. Try again when it runs.",
            code="hub_gone",
        )
