"""The addresses of far sides: what they may look like, and what of them may be shown. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jupyter_turbopilot.errors import ModelRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

PROVIDER = "hf:"


@dataclass(frozen=True)
class Address:
    """Where a far side is."""

    root: str  # what its routes are appended to: without `/v1`; empty for a provider known by name
    host: str  # what may be shown of it
    provider: str = ""  # of Hugging Face's; "url" for a server of their text generation at `root`
    local: bool = False  # whether it is this machine


def read_addresses(urls: Sequence[str], *, plain_http: bool) -> tuple[Address, ...]:
    """Read all addresses of a configuration, or refuse them in words that repeat none."""
    if not urls:
        raise _refused("c.TurbopilotRemote.urls is empty. Name the server's address in it.")
    found = tuple(_read(url.strip(), number, plain_http) for number, url in enumerate(urls, 1))
    if len({bool(address.provider) for address in found}) > 1:
        raise _refused(
            "c.TurbopilotRemote.urls has addresses with hf: and others, but a key is for one kind. Leave out "
            "either."
        )
    return found


def _read(url: str, number: int, plain_http: bool) -> Address:
    """Read one address. What is wrong is told by its number: a secret may be in it."""
    which = f"Address {number} of c.TurbopilotRemote.urls"
    name = url.removeprefix(PROVIDER)
    if name != url and "/" not in name:
        if not name or not name.isascii() or not name.replace("-", "").isalnum():
            raise _refused(f"{which} names no provider. Write it like hf:together.")
        return Address("", f"{PROVIDER}{name}", name)
    try:
        parts = urlsplit(name)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _refused(f"{which} is no address. Write it like https://host:8080/v1.") from None
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise _refused(
            f"{which} has a user name or a password in it. Put the key into c.TurbopilotRemote.key_file "
            "or the environment's TURBOPILOT_ENGINE_KEY, and leave it out of the address."
        )
    if parts.query or parts.fragment:
        raise _refused(f"{which} has a part behind a ? or #. Leave it out; a key belongs into key_file.")
    if parts.scheme not in {"http", "https"} or not host or not _printable(name):
        raise _refused(f"{which} is no address. Write it like https://host:8080/v1.")
    local = is_loopback(host)
    if parts.scheme == "http" and not (local or plain_http):
        raise _refused(
            f"{which} is another machine's and without encryption: whoever is between reads your code. Use "
            "https://, or allow it with c.TurbopilotRemote.plain_http = True."
        )
    shown = f"[{host}]" if ":" in host else host
    shown = shown if port is None else f"{shown}:{port}"
    path = parts.path.rstrip("/")
    provider = "url" if name != url else ""
    if not provider:
        path = path.removesuffix("/completions").removesuffix("/v1")
    return Address(f"{parts.scheme}://{shown}{path}", shown, provider, local)


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _printable(text: str) -> bool:
    return text.isprintable() and " " not in text


def _refused(words: str) -> ModelRefusedError:
    return ModelRefusedError(words, code="address")
