"""Identifies callers where no Jupyter server does: by key, by address, by the origin of a page."""

from __future__ import annotations

import hmac
import ipaddress
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.identity import IdentityProvider, User

from jupyter_turbopilot.errors import RefusedError, TurbopilotError

if TYPE_CHECKING:
    from collections.abc import Mapping


KEY_HEADERS = ("Authorization", "X-Api-Key", "Api-Key")
MAX_KEY = 1024


def is_loopback(name: str) -> bool:
    """Tell whether an address or a name means this machine and can be reached from it alone."""
    name = name.removeprefix("[").removesuffix("]")
    with suppress(ValueError):
        return ipaddress.ip_address(name).is_loopback
    return name.removesuffix(".").lower() == "localhost"


def is_key(text: str) -> bool:
    """Tell whether a text can be sent as a key in a header: printable ASCII without spaces."""
    return 0 < len(text) <= MAX_KEY and text.isascii() and text.isprintable() and " " not in text


def sent_keys(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the keys that were sent, in any header and under any scheme that clients use.

    Bearer, token, Api-Key or none: the scheme's name protects nothing.
    """
    sent = (headers.get(name, "").rpartition(" ")[2] for name in KEY_HEADERS)
    return tuple(filter(None, sent))


def has_key(headers: Mapping[str, str], key: str) -> bool:
    """Tell whether the key was sent."""
    return any(hmac.compare_digest(value.encode(), key.encode()) for value in sent_keys(headers))


def is_same_site(headers: Mapping[str, str]) -> bool:
    """Tell whether a request comes from no page, or from one of the host that it was sent to."""
    origin, host = headers.get("Origin"), headers.get("Host", "").lower()
    return origin is None or origin.lower() in {f"http://{host}", f"https://{host}"}


def may_be_plain(headers: Mapping[str, str]) -> bool:
    """Tell whether a body that is not declared as JSON is a program's; a page's form never is.

    curl declares a form unless it is told otherwise. Browsers say where a request comes from.
    """
    declared = headers.get("Content-Type", "").strip().lower()
    page = any(name in headers for name in ("Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode"))
    return not page and not declared.startswith("multipart/")


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
