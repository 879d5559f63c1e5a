"""Authentication of callers: by the Jupyter server, by its kernels' secret, or by an API key."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from jupyter_core.utils import ensure_async
from jupyter_server.auth.identity import IdentityProvider, User
from tornado import web

from jupyter_turbopilot.completer.tenant import tenant_of
from jupyter_turbopilot.jupyter.identity import StandaloneIdentity, is_key
from jupyter_turbopilot.protocol.reply import SESSION_HEADER

if TYPE_CHECKING:
    from jupyter_server.base.handlers import APIHandler

    from jupyter_turbopilot.jupyter.pilot.pilot import Pilot

MAX_SESSION = 128  # characters


class KernelIdentity(StandaloneIdentity):
    """Authenticates this server's kernels. They read the secret from a file that only its owner can read."""

    def get_user(self, _handler: Any) -> User:
        """Return the user that a kernel is for the authorizer."""
        return User(username="turbopilot-kernel", name="A kernel of this server")

    def should_check_origin(self, _handler: Any) -> bool:
        """Skip the check: kernels send no Origin."""
        return False


kernel_identity = cache(KernelIdentity)


@dataclass(frozen=True)
class Caller:
    """Who sends a request, and with which rights. It is determined once, before the body is read.

    `name`: for fair scheduling and limits; a client cannot vary it to get a larger share. `session`: the id
    that another Turbopilot server sends. `tenant`: whose caches the request may use; empty on a server with a
    single user. `names_users`: whether it may set `RawRequest.salt` for its users, because it has the key and
    may be a server. `may_see_totals`: differences of totals reveal other users' requests.
    """

    name: str
    address: str
    agent: str
    session: str
    tenant: str
    distinguishes_users: bool  # whether the identity provider does: Jupyter's default generates names
    names_users: bool
    may_manage: bool
    may_see_totals: bool

    @property
    def is_owner(self) -> bool:
        """Whether the caller owns the server, whose statistics count the owner's suggestions."""
        return self.may_manage and not self.tenant


def caller_of(handler: APIHandler, standalone: StandaloneIdentity | None, pilot: Pilot) -> Caller:
    """Return the caller of a request that was authenticated. `standalone`: the identity provider of `serve`.

    All callers with a Jupyter server's token count as one user. On a JupyterHub, the owner of the server
    has no tenant, so that they keep the caches of a single user. Collaborators get their own tenant: they
    share the kernels and files, but not the caches.
    """
    provider, user, headers = handler.identity_provider, handler.current_user, handler.request.headers
    is_real = type(provider).get_user is not IdentityProvider.get_user
    # Jupyter's default generates a name for each request without a cookie.
    is_named = is_real or handler.get_secure_cookie(
        provider.get_cookie_name(handler), **provider.get_secure_cookie_kwargs
    )
    username = str(getattr(user, "username", "")) if is_named else ""
    distinguishes_users = bool(getattr(provider, "distinguishes_users", not standalone and is_real))
    has_server = not standalone and username == os.environ.get("JUPYTERHUB_USER")
    may_manage = not standalone or standalone.may_manage(user)
    reads_metrics = not standalone or standalone.may_read_metrics(user)
    address, session = f"{handler.request.remote_ip}", headers.get(SESSION_HEADER, "")
    # A key does not identify a user, so use the address.
    is_user = username and (not standalone or standalone.distinguishes_users)
    shared = None if pilot.settings.share_prompts else username
    return Caller(
        name=username if is_user else f"{username} {address}",
        address=address,
        agent=headers.get("User-Agent", ""),
        session=session if is_key(session) and len(session) <= MAX_SESSION else "",
        tenant="" if has_server or not distinguishes_users else tenant_of(shared),
        distinguishes_users=distinguishes_users,
        names_users=bool(standalone) and not distinguishes_users and may_manage,
        may_manage=may_manage,
        may_see_totals=reads_metrics or not distinguishes_users,
    )


async def may(handler: APIHandler, action: str, resource: str) -> bool:
    """Return whether the Jupyter server's authorizer allows the caller an action."""
    user, authorizer = handler.current_user, handler.authorizer
    try:
        return bool(await ensure_async(authorizer.is_authorized(handler, user, action, resource)))
    except web.HTTPError:
        return False
