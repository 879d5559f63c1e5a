"""Who may call a route: whoever the Jupyter server lets in, its own kernels, or whoever brings the key."""

from __future__ import annotations

import hmac
from functools import cache
from typing import Any

from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.base.handlers import APIHandler
from tornado import web

from jupyter_turbopilot.errors import RefusedError, TurbopilotError
from jupyter_turbopilot.server.identity import StandaloneIdentity, is_loopback, is_same_site
from jupyter_turbopilot.server.routes.endpoint import endpoints
from jupyter_turbopilot.server.runtime import SECRET_HEADER


class KernelIdentity(StandaloneIdentity):
    """Knows a kernel of this server by the secret it read from a file that its owner alone can read."""

    def get_user(self, _handler: Any) -> User:
        """Return who a kernel is to the authorizer."""
        return User(username="turbopilot-kernel", name="A kernel of this server")

    def should_check_origin(self, _handler: Any) -> bool:
        """A kernel has no origin."""
        return False


_kernel_identity = cache(KernelIdentity)


class AuthenticatedHandler(APIHandler):
    """A handler that knows its caller, under a Jupyter server and without one.

    It notes in `refused` whether the caller has to be refused; `Route` does so.
    """

    secret = ""
    refused: TurbopilotError | None = None  # why this caller is refused, if so

    @property
    def _trusted(self) -> bool:
        sent = self.request.headers.get(SECRET_HEADER, "")
        return bool(self.secret and sent and hmac.compare_digest(sent.encode(), self.secret.encode()))

    @property
    def identity_provider(self) -> Any:
        """Let a kernel in by its secret, everybody else as the server does."""
        return _kernel_identity() if self._trusted else super().identity_provider

    async def prepare(self) -> None:  # type: ignore[override]
        """Find out who calls, and note why they are refused, if they are."""
        try:
            await super().prepare()
            self.refused = self.refusal()
        except TurbopilotError as error:  # who calls cannot be told, or may not
            self.current_user = None
            self.refused = error
        except web.HTTPError as error:
            self.refused = self._unadmitted(error.status_code)
        except ValueError:  # an Origin that is no address
            self.refused = self._unadmitted(403)

    @property
    def alone(self) -> StandaloneIdentity | None:
        """Who decides who is let in where there is no Jupyter server."""
        provider = self.settings.get("identity_provider")
        return provider if isinstance(provider, StandaloneIdentity) else None

    @property
    def names_people(self) -> bool:
        """Whether callers are told apart as people: Jupyter's own way makes names up, a key has none."""
        provider = self.identity_provider
        real = not self.standalone and type(provider).get_user is not IdentityProvider.get_user
        return bool(getattr(provider, "names_people", real))

    @property
    def standalone(self) -> bool:
        """Whether there is no Jupyter server to decide who is let in."""
        return self.alone is not None

    def _unadmitted(self, status: int) -> TurbopilotError:
        """Return the error for a caller who was not let in: bringing a key would help, or nothing would."""
        if self.alone and not self.current_user and (unknown := self.alone.unknown()):
            return unknown
        return RefusedError(403 if status == 404 else status)  # noqa: PLR2004 - Jupyter's word for another origin

    def refusal(self) -> TurbopilotError | None:
        """Return why somebody who was let in is refused, if so."""
        if self.may_manage or self.request.method in {"GET", "HEAD", "OPTIONS"}:
            return None
        manages = any(endpoint.access == "manage" for endpoint in endpoints(type(self)).values())
        return self.not_manager() if manages else None

    def not_manager(self) -> TurbopilotError:
        """Return the error for an admitted caller who may not manage the server."""
        return self.alone.not_manager() if self.alone else RefusedError(403)

    @property
    def may_manage(self) -> bool:
        """Whether this caller may see and change what is loaded."""
        return self.alone is None or self.alone.may_manage(self.current_user)

    @property
    def sees_totals(self) -> bool:
        """Whether this caller may see what all requests took: two looks tell what one between them was."""
        return self.may_manage or not self.names_people

    def check_host(self) -> bool:
        """Let a request call this machine by its own names, and by others where the identity says so."""
        if self.alone is None:
            return super().check_host()
        return is_loopback(self.request.host_name) or self.alone.admits_any_host(self.request.headers)

    def check_origin(self, origin_to_satisfy_tornado: str = "") -> bool:
        """Refuse pages of other sites."""
        if self.standalone:
            return is_same_site(self.request.headers)
        return super().check_origin(origin_to_satisfy_tornado)

    def set_cors_headers(self) -> None:
        """Let no page of another site read an answer where there is no Jupyter server to decide it."""
        if not self.standalone:
            super().set_cors_headers()
