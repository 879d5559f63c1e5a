"""Who calls `serve`, where no Jupyter server says it: what every identity answers, and the one of a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_server.auth.identity import IdentityProvider, User

from jupyter_turbopilot.errors import RefusedError, TurbopilotError
from jupyter_turbopilot.server.routes.admission import has_key, is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping


class StandaloneIdentity(IdentityProvider):
    """What `serve` asks of an identity beside who calls; its `get_user` may raise an error of ours."""

    names_people = False  # whether it tells one person from another

    def may_manage(self, user: Any) -> bool:  # noqa: ARG002
        """Whether somebody who was let in may see and change what is loaded."""
        return False

    def not_manager(self) -> TurbopilotError:
        """Return the error for an admitted caller who may not manage the server."""
        return RefusedError(403)

    def admits_any_host(self, headers: Mapping[str, str]) -> bool:  # noqa: ARG002
        """Whether a request may call this machine by any name: a page's trick with names has no key."""
        return False

    def unknown(self) -> TurbopilotError | None:
        """Return the error for somebody who is not known; None where bringing something would not help."""
        return None

    async def stop(self) -> None:
        """End what it has begun; the server has ended."""

    def is_token_authenticated(self, handler: Any) -> bool:  # noqa: ARG002
        """There are no cookies here that another site could ride on."""
        return True

    def should_check_origin(self, handler: Any) -> bool:  # noqa: ARG002
        """A page of another origin is refused, whoever brings it."""
        return True


class KeyIdentity(StandaloneIdentity):
    """Knows who brings the key; without a key, everybody who reaches this machine's own address."""

    def __init__(self, key: str, host: str) -> None:
        """`host`: the address that is listened on."""
        super().__init__()
        self._key = key
        self._beyond = not is_loopback(host)  # by which names other machines know this one, nobody can tell

    def get_user(self, handler: Any) -> User | None:
        """Return the caller, if the key is right."""
        if self._key and not has_key(handler.request.headers, self._key):
            return None
        return User(username="editor")

    def may_manage(self, user: Any) -> bool:  # noqa: ARG002 - a key names nobody
        """Without a key nobody may."""
        return bool(self._key)

    def admits_any_host(self, headers: Mapping[str, str]) -> bool:
        """Let who brings the key, and other machines, use any name."""
        return bool(self._key) and (self._beyond or has_key(headers, self._key))

    def unknown(self) -> TurbopilotError | None:
        """A key would help, if there is one."""
        return RefusedError(401) if self._key else None
