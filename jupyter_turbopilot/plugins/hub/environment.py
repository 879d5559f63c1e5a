"""Configuration of a JupyterHub service from environment variables. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jupyter_turbopilot.protocol.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "JUPYTERHUB_SERVICE_NAME"
API_URL, PREFIX, URL = "JUPYTERHUB_API_URL", "JUPYTERHUB_SERVICE_PREFIX", "JUPYTERHUB_SERVICE_URL"
DESCRIPTIONS = {
    API_URL: "the address of the hub's API, such as http://127.0.0.1:8081/hub/api",
    PREFIX: "the path of the service on the hub's proxy, such as /services/turbopilot/",
    URL: "the address to listen on, such as http://127.0.0.1:10101",
}


@dataclass(frozen=True)
class Service:
    """The hub's API and the address of the service."""

    name: str
    api_url: str
    host: str
    port: int
    prefix: str  # begins and ends with a slash


def read_environment(environment: Mapping[str, str]) -> Service:
    """Read the variables; raise an error that names missing or invalid ones."""
    missing = [f"{name} ({meant})" for name, meant in DESCRIPTIONS.items() if not environment.get(name)]
    if missing:
        raise BadRequestError(
            f"With --hub, the environment must contain {', '.join(missing)}. JupyterHub sets these variables "
            "for a service with a command and a url (see `jupyter turbopilot hub-config`). If you start the "
            "service yourself, set them as the JupyterHub page of the documentation describes."
        )
    host, port = _listen_address(environment[URL])
    if not _split_url(environment[API_URL])[1]:
        raise _invalid(API_URL)
    prefix = "/" + "".join(f"{part}/" for part in environment[PREFIX].split("/") if part)
    name = environment.get(NAME) or prefix.rstrip("/").rpartition("/")[2]
    if not name:
        raise _invalid(PREFIX)
    return Service(name, environment[API_URL].rstrip("/"), host, port, prefix)


def _listen_address(url: str) -> tuple[str, int]:
    scheme, host, port = _split_url(url)
    if scheme == "https":
        raise BadRequestError(
            f"The environment variable {URL} begins with https://, but only the hub's proxy supports TLS. Use http://."
        )
    if not host or not port:
        raise _invalid(URL)
    return host, port


def _split_url(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port; empty values for an invalid URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or 0
    except ValueError:
        return "", "", 0
    return (parts.scheme, parts.hostname or "", port) if parts.scheme in {"http", "https"} else ("", "", 0)


def _invalid(name: str) -> BadRequestError:
    return BadRequestError(f"The environment variable {name} is invalid. Set it to {DESCRIPTIONS[name]}.")
