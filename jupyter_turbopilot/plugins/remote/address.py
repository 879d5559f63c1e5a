"""Reads and checks the addresses of remote servers and their API keys."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jupyter_turbopilot.protocol.errors import ModelRefusedError
from jupyter_turbopilot.util.addresses import is_loopback

if TYPE_CHECKING:
    from collections.abc import Sequence

PROVIDER = "hf:"
ROUTER = "https://router.huggingface.co"  # of Hugging Face's inference providers
ENGINE_KEY, HUB_KEY = "TURBOPILOT_ENGINE_KEY", "HF_TOKEN"
JUPYTERHUB_KEY = "JUPYTERHUB_API_TOKEN"
MAX_KEY = 1 << 14  # characters
_taken: dict[str, str] = {}  # keys that were removed from the environment
_address_error = partial(ModelRefusedError, code="address")
_key_error = partial(ModelRefusedError, code="key")


@dataclass(frozen=True)
class Address:
    """The address of a remote server."""

    root: str  # the URL before the routes, without `/v1`
    host: str  # the part that may be displayed
    provider: str = ""  # the name of one of Hugging Face's inference providers
    local: bool = False  # whether it is on this machine


def read_addresses(urls: Sequence[str], *, allow_http: bool) -> tuple[Address, ...]:
    """Parse the addresses of a configuration; raise ModelRefusedError without quoting an invalid one."""
    if not urls:
        raise _address_error("c.TurbopilotRemote.urls is empty. Set it to the server's address.")
    found = tuple(_read(url.strip(), number, allow_http) for number, url in enumerate(urls, 1))
    if len({bool(address.provider) for address in found}) > 1:
        raise _address_error(
            "c.TurbopilotRemote.urls has addresses with hf: and others, but a key is for one kind. Use only "
            "one kind."
        )
    return found


def _read(url: str, number: int, allow_http: bool) -> Address:
    """Parse one address. Errors contain only its number, because it may contain a secret."""
    which = f"Address {number} of c.TurbopilotRemote.urls"
    if url.startswith(PROVIDER):
        name = url.removeprefix(PROVIDER)
        if not name.isascii() or not name.replace("-", "").isalnum():
            raise _address_error(f"{which} has an invalid provider. Write it like hf:together.")
        return Address(f"{ROUTER}/{name}", url, name)
    invalid = _address_error(f"{which} is not a valid URL. Write it like https://host:8080/v1.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise invalid from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise _address_error(
            f"{which} contains a user name, a password, a query or a fragment. Remove it, and set a key with "
            "c.TurbopilotRemote.key_file or the environment variable TURBOPILOT_ENGINE_KEY."
        )
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url:
        raise invalid
    local = is_loopback(host)
    if parts.scheme == "http" and not (local or allow_http):
        raise _address_error(
            f"{which} is on another machine, but traffic is not encrypted. Use https://, or allow it with "
            "c.TurbopilotRemote.allow_http = True."
        )
    shown = f"[{host}]" if ":" in host else host
    shown = shown if port is None else f"{shown}:{port}"
    path = parts.path.rstrip("/").removesuffix("/completions").removesuffix("/v1")
    return Address(f"{parts.scheme}://{shown}{path}", shown, local=local)


def read_key(file: str, *, provider: bool, jupyterhub: bool = False) -> str:
    """Return the API key, or an empty string if none is set. Errors never contain the key.

    `jupyterhub`: use this server's JupyterHub token.
    """
    if jupyterhub and (file or provider):
        conflict = "an address has hf:" if provider else "c.TurbopilotRemote.key_file is set"
        raise _key_error(f'c.TurbopilotRemote.auth is "jupyterhub", but {conflict}. Remove one of them.')
    if file:
        return _checked(_content(Path(file).expanduser()), "The file c.TurbopilotRemote.key_file")
    variable = JUPYTERHUB_KEY if jupyterhub else HUB_KEY if provider else ENGINE_KEY
    key = os.environ.get(variable) or _taken.get(variable, "")
    if jupyterhub and not key:
        raise _key_error(
            f'c.TurbopilotRemote.auth is "jupyterhub", but the environment variable {JUPYTERHUB_KEY} is not '
            "set. JupyterHub sets it for servers that it starts. Start this server from the hub, or remove "
            "the setting."
        )
    return _checked(key, f"The environment variable {variable}")


def take_from_environment(*, provider: bool) -> None:
    """Remove the key from the environment, which kernels and other child processes inherit.

    A Hugging Face token is removed only if the engine uses it, because notebooks may need it. JupyterHub's
    code in this process needs its token.
    """
    for variable in (ENGINE_KEY, HUB_KEY) if provider else (ENGINE_KEY,):
        if key := os.environ.pop(variable, ""):
            _taken[variable] = key


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if sys.platform != "win32" and (found.st_mode & 0o077 or found.st_uid != os.getuid()):
                raise _key_error(
                    "Other users can read the file c.TurbopilotRemote.key_file, so its key is not used. Run "
                    "chmod 600 on it, and get a new key if others may have read it."
                )
            content = file.read(MAX_KEY + 1)
    except OSError as error:
        raise _key_error(
            f"The file c.TurbopilotRemote.key_file cannot be read ({type(error).__name__}). Check the path."
        ) from None
    text = content.decode("ascii", "replace").strip()
    if not text:
        raise _key_error("The file c.TurbopilotRemote.key_file is empty. Put the server's key into it.")
    return text


def _checked(key: str, place: str) -> str:
    key = key.strip()
    if len(key) > MAX_KEY or any(not "!" <= character <= "~" for character in key):
        raise _key_error(f"{place} is not a valid key. Set it to printable ASCII characters without spaces.")
    return key
