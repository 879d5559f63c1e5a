"""HTTP client for downloads: no downgrade from https, no redirects into private networks, clear errors."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from zipfile import BadZipFile
from zlib import error as ZlibError  # noqa: N812 - a class

import httpx

from jupyter_turbopilot.protocol.errors import DownloadError, TurbopilotError
from jupyter_turbopilot.util.failures import DAMAGED

if TYPE_CHECKING:
    import ssl
    from collections.abc import Collection, Iterator

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
MAX_PAGE_BYTES = 64 * 1024**2  # of an index page or a listing
IDENTITY = {"Accept-Encoding": "identity"}  # compressed responses have neither comparable lengths nor ranges
# The public sources' file hosts. Some proxies and VPNs map every name to a private address.
_FILE_HOSTS = (".files.pythonhosted.org", ".huggingface.co", ".hf.co")
_SECURE = "turbopilot_secure"  # request extensions survive redirects


@contextmanager
def translate_errors(what: str) -> Iterator[None]:
    """Raise what goes wrong with a source as a `DownloadError`; errors of the local disk (OSError) pass."""
    try:
        yield
    except (TurbopilotError, OSError, MemoryError):
        raise
    except httpx.HTTPStatusError as error:
        raise DownloadError(f"{what} answered {error.response.status_code}.") from None
    except httpx.HTTPError as error:
        raise DownloadError(f"{what} cannot be reached ({type(error).__name__}).") from None
    except (*DAMAGED, BadZipFile, ZlibError, httpx.InvalidURL) as error:
        raise DownloadError(f"{what} sent an unreadable response ({type(error).__name__}).") from None


@contextmanager
def connection(
    source: str, hosts: Collection[str] = (), verify: ssl.SSLContext | None = None
) -> Iterator[httpx.Client]:
    """Open a client for a source. Hosts other than the source's must be public or listed in `hosts`."""
    own = _origin(httpx.URL(source))

    def check(request: httpx.Request) -> None:
        url, extensions = request.url, request.extensions
        host = url.raw_host.decode("ascii")  # `url.host` decodes international names
        trusted = _origin(url) == own or not {host, url.host}.isdisjoint(hosts)
        if url.scheme != "https" and (extensions.get(_SECURE) or not trusted):
            raise DownloadError(f"The download redirects to {url.host} without encryption. It was stopped.")
        extensions[_SECURE] = url.scheme == "https"
        if not trusted and not f".{host}".endswith(_FILE_HOSTS) and _is_private(host):
            raise DownloadError(
                f"The download redirects to {host}, which is not a public address. If intended, add it to "
                "c.Turbopilot.download_hosts."
            )

    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    with httpx.Client(
        timeout=timeout,
        follow_redirects=True,
        verify=verify or _certificates(),
        event_hooks={"request": [check]},
    ) as client:
        yield client


@lru_cache(maxsize=1)
def _certificates() -> ssl.SSLContext:
    """Load the certificate authorities once: it takes as long as a small transfer."""
    return httpx.create_ssl_context()


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _is_private(host: str) -> bool:
    """Return whether a host is or resolves to an address that is not public."""
    try:
        found = socket.getaddrinfo(host.strip("[]."), None)
    except (OSError, UnicodeError):  # a proxy may resolve it
        return False
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    plain = [getattr(address, "ipv4_mapped", None) or address for address in addresses]
    return any(not address.is_global or address.is_multicast for address in plain)


def host_of(url: str) -> str:
    """Return the server's name for messages: the whole address may contain a secret."""
    return urlsplit(url).hostname or "that address"


def page(client: httpx.Client, url: str, headers: dict[str, str]) -> tuple[httpx.Response, bytes]:
    """Return a response and its whole body; bodies above the size limit are refused."""
    body = bytearray()
    with client.stream("GET", url, headers=headers) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_bytes():
            body += chunk
            if len(body) > MAX_PAGE_BYTES:
                raise DownloadError(f"{host_of(url)} sent a page of more than {MAX_PAGE_BYTES >> 20} MB.")
    return answer, bytes(body)
