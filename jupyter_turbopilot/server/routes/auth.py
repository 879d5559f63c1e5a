"""Who may call a route: whoever the Jupyter server lets in, its own kernels, or whoever brings the key."""

from __future__ import annotations

import hmac
from functools import cache
from typing import Any

from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.base.handlers import APIHandler
from tornado import web

from jupyter_turbopilot.server.routes.admission import is_loopback, is_same_site
from jupyter_turbopilot.server.routes.endpoint import endpoints
from jupyter_turbopilot.server.runtime import SECRET_HEADER


class KernelIdentity(IdentityProvider):
    """Knows a kernel of this server by the secret it read from a file that its owner alone can read."""

    def get_user(self, _handler: Any) -> User:
        """Return who a kernel is to the authorizer."""
        return User(username="turbopilot-kernel", name="A kernel of this server")

    def is_token_authenticated(self, _handler: Any) -> bool:
        """A secret in a header cannot be sent by another site's form."""
        return True

    def should_check_origin(self, _handler: Any) -> bool:
        """A kernel has no origin."""
        return False


@cache
def _kernel_identity() -> KernelIdentity:
    return KernelIdentity()


class AuthenticatedHandler(APIHandler):
    """A handler that knows its caller, under a Jupyter server and without one.

    It notes in `refused` whether the caller has to be refused; `Route` does so.
    """

    secret = ""
    refused = 0  # the status with which this caller is refused; 0: not refused

    @property
    def _trusted(self) -> bool:
        sent = self.request.headers.get(SECRET_HEADER, "")
        return bool(self.secret and sent and hmac.compare_digest(sent.encode(), self.secret.encode()))

    @property
    def identity_provider(self) -> Any:
        """Let a kernel in by its secret, everybody else as the server does."""
        return _kernel_identity() if self._trusted else super().identity_provider

    async def prepare(self) -> None:  # type: ignore[override]
        """Find out who calls, and note with which status they are refused."""
        try:
            await super().prepare()
            self.refused = self.refusal()
        except web.HTTPError as error:
            self.refused = self._unadmitted(error.status_code)
        except ValueError:  # an Origin that is no address
            self.refused = self._unadmitted(403)

    @property
    def standalone(self) -> bool:
        """Whether there is no Jupyter server to decide who is let in."""
        return bool(self.settings.get("standalone"))

    def _unadmitted(self, status: int) -> int:
        """Return the status for a caller who was not let in: a key would help, or nothing would."""
        if self.standalone and self.settings["key"] and not self.current_user:
            return 401
        return 403 if status == 404 else status  # noqa: PLR2004 - Jupyter's word for another origin

    def refusal(self) -> int:
        """Return the status with which somebody who was let in is refused; 0: not refused."""
        if self.may_manage or self.request.method in {"GET", "HEAD", "OPTIONS"}:
            return 0
        return 403 if any(endpoint.access == "manage" for endpoint in endpoints(type(self)).values()) else 0

    @property
    def may_manage(self) -> bool:
        """Whether this caller may see and change what is loaded: without a key nobody may."""
        return not self.standalone or bool(self.settings["key"])

    def check_host(self) -> bool:
        """Let who brings the key call this machine by any name; a page's trick with names has no key."""
        if not self.standalone:
            return super().check_host()
        return is_loopback(self.request.host_name) or self.settings["admits_any_host"](self.request.headers)

    def check_origin(self, origin_to_satisfy_tornado: str = "") -> bool:
        """Refuse pages of other sites."""
        if self.standalone:
            return is_same_site(self.request.headers)
        return super().check_origin(origin_to_satisfy_tornado)

    def set_cors_headers(self) -> None:
        """Let no page of another site read an answer where there is no Jupyter server to decide it."""
        if not self.standalone:
            super().set_cors_headers()
