"""Authentication without a Jupyter server: API keys, addresses and origins."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.identity import IdentityProvider, User

from jupyter_turbopilot.protocol.errors import RefusedError, TurbopilotError
from jupyter_turbopilot.util.addresses import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping


KEY_HEADERS = ("Authorization", "X-Api-Key", "Api-Key")
MAX_KEY = 1024


def is_key(text: str) -> bool:
    """Return whether a text can be sent as a key in a header: printable ASCII without spaces."""
    return 0 < len(text) <= MAX_KEY and text.isascii() and text.isprintable() and " " not in text


def sent_keys(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the keys in all headers that clients use for a key.

    Any scheme is accepted (Bearer, token, Api-Key, none), because its name does not protect anything.
    """
    sent = (headers.get(name, "").rpartition(" ")[2] for name in KEY_HEADERS)
    return tuple(filter(None, sent))


def has_key(headers: Mapping[str, str], key: str) -> bool:
    return any(hmac.compare_digest(value.encode(), key.encode()) for value in sent_keys(headers))


def is_same_site(headers: Mapping[str, str]) -> bool:
    """Return whether the Origin is missing or is the requested host."""
    origin, host = headers.get("Origin"), headers.get("Host", "").lower()
    return origin is None or origin.lower() in {f"http://{host}", f"https://{host}"}


def may_omit_content_type(headers: Mapping[str, str]) -> bool:
    """Return whether to accept a body that is not declared as JSON.

    By default, curl declares a form. A form from a web page is rejected: browsers send Origin or Sec-Fetch-*.
    """
    declared = headers.get("Content-Type", "").strip().lower()
    page = any(name in headers for name in ("Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode"))
    return not page and not declared.startswith("multipart/")


class StandaloneIdentity(IdentityProvider):
    """Base class of the identity providers of `serve`. `get_user` may raise a `TurbopilotError`."""

    distinguishes_users = False  # whether it distinguishes users

    def may_manage(self, user: Any) -> bool:  # noqa: ARG002
        """Return whether an authenticated user may manage the models."""
        return False

    def may_read_metrics(self, user: Any) -> bool:
        """Return whether an authenticated user may read the metrics, which cover all users."""
        return self.may_manage(user)

    def not_manager_error(self) -> TurbopilotError:
        """Return the error for an authenticated caller who may not manage the server."""
        return RefusedError(403)

    def allows_any_host(self, headers: Mapping[str, str]) -> bool:  # noqa: ARG002
        """Return whether the request may use any host name. A DNS rebinding page does not have the key."""
        return False

    def missing_key_error(self) -> TurbopilotError | None:
        """Return the error for a caller without credentials; None if credentials would not help."""
        return None

    async def stop(self) -> None:
        """Release resources when the server stops."""

    def is_token_authenticated(self, handler: Any) -> bool:  # noqa: ARG002
        """Skip the XSRF check: the server sets no cookies."""
        return True

    def should_check_origin(self, handler: Any) -> bool:  # noqa: ARG002
        """Reject pages of other origins for all callers."""
        return True


class KeyIdentity(StandaloneIdentity):
    """Authenticates callers with an API key. Without a key, everyone who can connect is authenticated."""

    def __init__(self, key: str, host: str) -> None:
        """`host`: the address that the server listens on."""
        super().__init__()
        self._key = key
        self._is_public = not is_loopback(host)  # clients may then use any host name for this machine

    def get_user(self, handler: Any) -> User | None:
        """Return the caller, or None if the key is missing or wrong."""
        if self._key and not has_key(handler.request.headers, self._key):
            return None
        return User(username="editor")

    def may_manage(self, user: Any) -> bool:  # noqa: ARG002 - a key does not identify a user
        """Return whether the server has a key."""
        return bool(self._key)

    def allows_any_host(self, headers: Mapping[str, str]) -> bool:
        """Return whether the request may use any host name: with the key, or on a public address."""
        return bool(self._key) and (self._is_public or has_key(headers, self._key))

    def missing_key_error(self) -> TurbopilotError | None:
        """Return 401 if the server has a key."""
        return RefusedError(401) if self._key else None
