"""Opaque digests that identify the tenant of cached texts and the session of a notebook."""

from __future__ import annotations

import hmac

DIGITS = 32
LABEL_DIGITS = 12


def tenant_of(username: str | None, secret: bytes) -> str:
    """Return the tenant of a user's requests; None: the one that all users share."""
    return _digest(secret, "all") if username is None else _digest(secret, "user", username)


def salted(tenant: str, salt: str) -> str:
    """Return a tenant that depends on a salt from the client. No salt leads to another tenant's texts."""
    return _digest(b"", "apart", tenant, salt) if salt else tenant


def session_of(secret: bytes, path: str) -> str:
    """Return the session of a notebook, which does not reveal its path. It changes with the secret."""
    return _digest(secret, "session", path)


def metrics_label(secret: bytes, caller: str) -> str:
    """Return a digest that names a user in the metrics. It changes with the secret."""
    return _digest(secret, "metrics", caller)[:LABEL_DIGITS]


def _digest(secret: bytes, *parts: str) -> str:
    # `repr` delimits the parts unambiguously.
    message = repr(parts).encode("utf-8", "surrogatepass")
    return hmac.digest(secret, message, "sha256").hex()[:DIGITS]
