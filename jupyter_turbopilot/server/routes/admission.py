"""Who is let in where no Jupyter server decides it: by key, by address, by where a page comes from. Pure."""

from __future__ import annotations

import hmac
import ipaddress
from contextlib import suppress
from typing import TYPE_CHECKING

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
