"""Authentication of callers: by the Jupyter server, by its kernels' secret, or by an API key."""

from __future__ import annotations

import hmac
from functools import cache
from typing import Any

from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.base.handlers import APIHandler
from tornado import web

from jupyter_turbopilot.jupyter.identity import StandaloneIdentity, is_loopback, is_same_site
from jupyter_turbopilot.jupyter.routes.endpoint import endpoints
from jupyter_turbopilot.jupyter.runtime import SECRET_HEADER
from jupyter_turbopilot.protocol.errors import RefusedError, TurbopilotError


class KernelIdentity(StandaloneIdentity):
    """Authenticates this server's kernels. They read the secret from a file that only its owner can read."""

    def get_user(self, _handler: Any) -> User:
        """Return the user that a kernel is for the authorizer."""
        return User(username="turbopilot-kernel", name="A kernel of this server")

    def should_check_origin(self, _handler: Any) -> bool:
        """Skip the check: kernels send no Origin."""
        return False


_kernel_identity = cache(KernelIdentity)


class AuthenticatedHandler(APIHandler):
    """A handler that authenticates its caller, with or without a Jupyter server.

    It sets `refused` to the error for a caller whom `Route` has to reject.
    """

    secret = ""
    refused: TurbopilotError | None = None

    @property
    def _is_own_kernel(self) -> bool:
        sent = self.request.headers.get(SECRET_HEADER, "")
        return bool(self.secret and sent and hmac.compare_digest(sent.encode(), self.secret.encode()))

    @property
    def identity_provider(self) -> Any:
        """Authenticate a kernel by its secret, and other callers by the server's provider."""
        return _kernel_identity() if self._is_own_kernel else super().identity_provider

    async def prepare(self) -> None:  # type: ignore[override]
        """Authenticate the caller and set `refused`."""
        try:
            await super().prepare()
            self.refused = self.refusal()
        except TurbopilotError as error:  # the identity provider rejected the caller
            self.current_user = None
            self.refused = error
        except web.HTTPError as error:
            self.refused = self._rejection(error.status_code)
        except ValueError:  # an invalid Origin
            self.refused = self._rejection(403)

    @property
    def standalone_identity(self) -> StandaloneIdentity | None:
        """The identity provider of `serve`; None under a Jupyter server."""
        provider = self.settings.get("identity_provider")
        return provider if isinstance(provider, StandaloneIdentity) else None

    @property
    def distinguishes_users(self) -> bool:
        """Return whether the provider distinguishes users: Jupyter's default generates names."""
        provider = self.identity_provider
        real = not self.standalone and type(provider).get_user is not IdentityProvider.get_user
        return bool(getattr(provider, "distinguishes_users", real))

    @property
    def standalone(self) -> bool:
        """Return whether the routes run without a Jupyter server."""
        return self.standalone_identity is not None

    def _rejection(self, status: int) -> TurbopilotError:
        """Return the error for an unauthenticated caller: 401 if a key would help, else `status`."""
        if (
            self.standalone_identity
            and not self.current_user
            and (error := self.standalone_identity.missing_key_error())
        ):
            return error
        return RefusedError(403 if status == 404 else status)  # noqa: PLR2004 - Jupyter's status for other origins

    def refusal(self) -> TurbopilotError | None:
        """Return the error for an authenticated caller without the required rights."""
        if self.may_manage or self.request.method in {"GET", "HEAD", "OPTIONS"}:
            return None
        manages = any(endpoint.access == "manage" for endpoint in endpoints(type(self)).values())
        return self.not_manager_error() if manages else None

    def not_manager_error(self) -> TurbopilotError:
        """Return the error for an authenticated caller who may not manage the server."""
        return self.standalone_identity.not_manager_error() if self.standalone_identity else RefusedError(403)

    @property
    def may_manage(self) -> bool:
        """Return whether this caller may manage the models."""
        return self.standalone_identity is None or self.standalone_identity.may_manage(self.current_user)

    @property
    def may_see_totals(self) -> bool:
        """Return whether this caller may see totals. Their differences reveal other users' requests."""
        identity = self.standalone_identity
        reads = identity.may_read_metrics(self.current_user) if identity else True
        return reads or not self.distinguishes_users

    def check_host(self) -> bool:
        """Check the Host header: loopback names, or any name that the identity provider allows."""
        if self.standalone_identity is None:
            return super().check_host()
        return is_loopback(self.request.host_name) or self.standalone_identity.allows_any_host(
            self.request.headers
        )

    def check_origin(self, origin_to_satisfy_tornado: str = "") -> bool:
        """Reject pages of other origins."""
        if self.standalone:
            return is_same_site(self.request.headers)
        return super().check_origin(origin_to_satisfy_tornado)

    def set_cors_headers(self) -> None:
        """Set CORS headers only under a Jupyter server, which configures them."""
        if not self.standalone:
            super().set_cors_headers()
