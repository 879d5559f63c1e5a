"""Opaque digests that identify the tenant of cached texts and the session of a notebook."""

from __future__ import annotations

import hmac
import secrets

DIGITS = 32
LABEL_DIGITS = 12
SECRET = secrets.token_bytes(32)  # of this server: without it, no digest can be computed


def tenant_of(username: str | None) -> str:
    """Return the tenant of a user's requests; None: the one that all users share."""
    return _digest(SECRET, "all") if username is None else _digest(SECRET, "user", username)


def salted(tenant: str, salt: str) -> str:
    """Return a tenant that depends on a salt from the client. No salt leads to another tenant's texts."""
    return _digest(b"", "apart", tenant, salt) if salt else tenant


def session_of(path: str, tenant: str = "") -> str:
    """Return the session of a tenant's notebook."""
    return _digest(SECRET, "session", path, tenant)


def metrics_label(caller: str) -> str:
    """Return a digest that names a user in the metrics."""
    return _digest(SECRET, "metrics", caller)[:LABEL_DIGITS]


def _digest(secret: bytes, *parts: str) -> str:
    # `repr` delimits the parts unambiguously.
    message = repr(parts).encode("utf-8", "surrogatepass")
    return hmac.digest(secret, message, "sha256").hex()[:DIGITS]
