"""Addresses of machines. Pure."""

from __future__ import annotations

import ipaddress
from contextlib import suppress


def is_loopback(name: str) -> bool:
    """Return whether a host name or an address is a loopback address."""
    name = name.removeprefix("[").removesuffix("]")
    with suppress(ValueError):
        return ipaddress.ip_address(name).is_loopback
    return name.removesuffix(".").lower() == "localhost"
