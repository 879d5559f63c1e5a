"""The addresses of far sides and their keys: which are accepted, and what of them may be shown."""

from __future__ import annotations

import ipaddress
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jupyter_turbopilot.errors import ModelRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

PROVIDER = "hf:"
ENGINE_KEY, HUB_KEY = "TURBOPILOT_ENGINE_KEY", "HF_TOKEN"
JUPYTERHUB_KEY = "JUPYTERHUB_API_TOKEN"
MAX_KEY = 1 << 14  # characters
_taken: dict[str, str] = {}  # keys that are in the environment no more


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
        raise _address_error("c.TurbopilotRemote.urls is empty. Name the server's address in it.")
    found = tuple(_read(url.strip(), number, plain_http) for number, url in enumerate(urls, 1))
    if len({bool(address.provider) for address in found}) > 1:
        raise _address_error(
            "c.TurbopilotRemote.urls has addresses with hf: and others, but a key is for one kind. Leave out "
            "either."
        )
    return found


def _read(url: str, number: int, plain_http: bool) -> Address:
    """Read one address. What is wrong is told by its number: a secret may be in it."""
    which = f"Address {number} of c.TurbopilotRemote.urls"
    name = url.removeprefix(PROVIDER)
    is_provider = name != url
    if is_provider and "/" not in name:
        if not name.isascii() or not name.replace("-", "").isalnum():
            raise _address_error(f"{which} names no provider. Write it like hf:together.")
        return Address("", f"{PROVIDER}{name}", name)
    try:
        parts = urlsplit(name)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _address_error(f"{which} is no address. Write it like https://host:8080/v1.") from None
    if "@" in parts.netloc:
        raise _address_error(
            f"{which} has a user name or a password in it. Put the key into c.TurbopilotRemote.key_file "
            "or the environment's TURBOPILOT_ENGINE_KEY, and leave it out of the address."
        )
    if parts.query or parts.fragment:
        raise _address_error(
            f"{which} has a part behind a ? or #. Leave it out; a key belongs into key_file."
        )
    if parts.scheme not in {"http", "https"} or not host or not name.isprintable() or " " in name:
        raise _address_error(f"{which} is no address. Write it like https://host:8080/v1.")
    local = is_loopback(host)
    if parts.scheme == "http" and not (local or plain_http):
        raise _address_error(
            f"{which} is another machine's and without encryption: whoever is between reads your code. Use "
            "https://, or allow it with c.TurbopilotRemote.plain_http = True."
        )
    shown = f"[{host}]" if ":" in host else host
    shown = shown if port is None else f"{shown}:{port}"
    path = parts.path.rstrip("/")
    if not is_provider:
        path = path.removesuffix("/completions").removesuffix("/v1")
    return Address(f"{parts.scheme}://{shown}{path}", shown, "url" if is_provider else "", local)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _address_error(errors: str) -> ModelRefusedError:
    return ModelRefusedError(errors, code="address")


def read_key(file: str, *, provider: bool, jupyterhub: bool = False) -> str:
    """Return the key, or nothing where none is set. No error repeats what it read.

    `jupyterhub`: it is the token that a JupyterHub gave this server.
    """
    if jupyterhub:
        return _hub_token(file, provider=provider)
    if file:
        return _checked(_content(Path(file).expanduser()), "The file c.TurbopilotRemote.key_file")
    variable = HUB_KEY if provider else ENGINE_KEY
    return _checked(os.environ.get(variable) or _taken.get(variable, ""), f"The environment's {variable}")


def take_from_environment(*, provider: bool) -> None:
    """Keep the key for this process alone: kernels, terminals and other children inherit the environment.

    A Hugging Face token is taken only where it is the engine's: notebooks may have a use for it.
    """
    for variable in (ENGINE_KEY, HUB_KEY) if provider else (ENGINE_KEY,):
        if key := os.environ.pop(variable, ""):
            _taken[variable] = key


def _hub_token(file: str, *, provider: bool) -> str:
    """Return the token. The hub's own code in this process needs it, so it stays in the environment."""
    if file or provider:
        what = "an address has hf:" if provider else "c.TurbopilotRemote.key_file is set"
        raise _key_error(f'c.TurbopilotRemote.auth is "jupyterhub", but {what}. Leave out either.')
    if not (token := os.environ.get(JUPYTERHUB_KEY)):
        raise _key_error(
            f'c.TurbopilotRemote.auth is "jupyterhub", but the environment has no {JUPYTERHUB_KEY}: a '
            "JupyterHub sets it in servers that it starts. Start this one from the hub, or leave the setting "
            "out."
        )
    return _checked(token, f"The environment's {JUPYTERHUB_KEY}")


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if sys.platform != "win32" and (found.st_mode & 0o077 or found.st_uid != os.getuid()):
                raise _key_error(
                    "The file c.TurbopilotRemote.key_file can be read by others, so its key is not used. "
                    "Make it yours alone: chmod 600, and get a new key if others may have read it."
                )
            content = file.read(MAX_KEY + 1)
    except OSError as error:
        raise _key_error(
            f"The file c.TurbopilotRemote.key_file cannot be read ({type(error).__name__}). Correct the path."
        ) from None
    text = content.decode("ascii", "replace").strip()
    if not text:
        raise _key_error("The file c.TurbopilotRemote.key_file is empty. Put the server's key into it.")
    return text


def _checked(key: str, place: str) -> str:
    key = key.strip()
    if len(key) > MAX_KEY or any(not "!" <= character <= "~" for character in key):
        raise _key_error(f"{place} does not hold a key: it must be one word of ASCII characters.")
    return key


def _key_error(errors: str) -> ModelRefusedError:
    return ModelRefusedError(errors, code="key")
