"""Where a service of a JupyterHub is, from the environment that the hub, or who runs it, has set. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jupyter_turbopilot.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "JUPYTERHUB_SERVICE_NAME"
API_URL, PREFIX, URL = "JUPYTERHUB_API_URL", "JUPYTERHUB_SERVICE_PREFIX", "JUPYTERHUB_SERVICE_URL"
MEANT = {
    API_URL: "the address of the hub's API, such as http://127.0.0.1:8081/hub/api",
    PREFIX: "the path that the hub's proxy knows the service by, such as /services/turbopilot/",
    URL: "the address to listen on, such as http://127.0.0.1:10101",
}


@dataclass(frozen=True)
class Service:
    """What a service has to know of its hub and of itself."""

    name: str
    api_url: str
    host: str
    port: int
    prefix: str  # begins and ends with a slash


def read_environment(environment: Mapping[str, str]) -> Service:
    """Read it; what is missing or wrong is named."""
    missing = [f"{name} ({meant})" for name, meant in MEANT.items() if not environment.get(name)]
    if missing:
        raise BadRequestError(
            f"With --hub, the environment has to hold {', '.join(missing)}. A JupyterHub sets them for a "
            "service with a command and a url (`jupyter turbopilot hub-config` prints one); where you start "
            "the service yourself, set them as docs/jupyterhub.md says."
        )
    host, port = _listened(environment[URL])
    if not _split(environment[API_URL])[1]:
        raise _wrong(API_URL)
    prefix = "/" + "".join(f"{part}/" for part in environment[PREFIX].split("/") if part)
    name = environment.get(NAME) or prefix.rstrip("/").rpartition("/")[2]
    if not name:
        raise _wrong(PREFIX)
    return Service(name, environment[API_URL].rstrip("/"), host, port, prefix)


def _listened(url: str) -> tuple[str, int]:
    scheme, host, port = _split(url)
    if scheme == "https":
        raise BadRequestError(
            f"The environment's {URL} begins with https://, but only the hub's proxy can encrypt. Use http://."
        )
    if not host or not port:
        raise _wrong(URL)
    return host, port


def _split(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port; empty for what is no address."""
    try:
        parts = urlsplit(url)
        port = parts.port or 0
    except ValueError:
        return "", "", 0
    return (parts.scheme, parts.hostname or "", port) if parts.scheme in {"http", "https"} else ("", "", 0)


def _wrong(name: str) -> BadRequestError:
    return BadRequestError(f"The environment's {name} is not what it should be: {MEANT[name]}.")
