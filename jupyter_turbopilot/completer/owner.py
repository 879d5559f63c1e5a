"""Who may meet a text again in the caches, and which session it belongs to: opaque digests. Pure."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

DIGITS = 32


def owner_of(username: str, groups: Collection[str], share: str, group: str, secret: bytes) -> str:
    """Return the owner of what somebody asks for.

    `share`: whether everybody has an owner of their own (`none`), the members of `group` have one in common
    (`group`), or all have the same (`all`).
    """
    if share == "all":
        return _digest(secret, "all")
    if share == "group" and group and group in groups:
        return _digest(secret, "group", group)
    return _digest(secret, "user", username)


def apart(owner: str, salt: str) -> str:
    """Split an owner's texts by a salt that the caller chose: no salt reaches another owner's."""
    return _digest(b"", "apart", owner, salt) if salt else owner


def session_of(secret: bytes, path: str) -> str:
    """Return a notebook's session: the same for as long as the secret is, and telling nothing of the path."""
    return _digest(secret, "session", path)


def _digest(secret: bytes, *parts: str) -> str:
    # `repr` keeps the parts apart, whatever is in them.
    told = repr(parts).encode("utf-8", "surrogatepass")
    return hmac.digest(secret, told, "sha256").hex()[:DIGITS]
