"""HTTP client for downloads: no downgrade from https, no redirects into private networks, clear errors."""

from __future__ import annotations

import ipaddress
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zipfile import BadZipFile
from zlib import error as ZlibError  # noqa: N812 - a class

import httpx

from jupyter_turbopilot.protocol.errors import DownloadError, TurbopilotError
from jupyter_turbopilot.util.failures import DAMAGED

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
MAX_PAGE_BYTES = 64 * 1024**2  # of an index page or a listing
IDENTITY = {"Accept-Encoding": "identity"}  # compressed responses have neither comparable lengths nor ranges
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
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
def connection(source: str, verify: ssl.SSLContext | None = None) -> Iterator[httpx.Client]:
    """Open a client for a source. Other hosts must be public and use https, unless the source is private.

    Some VPNs map every name to a private address.
    """
    own = httpx.URL(source)
    is_private = _is_private(_host(own))

    def own_peer(peer: str) -> None:
        nonlocal is_private
        is_private = _is_private(peer)

    def check(request: httpx.Request) -> None:
        url, extensions = request.url, request.extensions
        is_own, host = _origin(url) == _origin(own), _host(url)
        may_be_open = is_own or (is_private and own.scheme != "https")
        if url.scheme != "https" and (extensions.get(_SECURE) or not may_be_open):
            raise DownloadError(f"The download redirects to {url.host} without encryption. It was stopped.")
        extensions[_SECURE] = url.scheme == "https"

        def public_peer(peer: str) -> None:
            if _is_private(peer) and not is_private:
                raise DownloadError(
                    f"The download redirects to {host}, which is not a public address. It was stopped. "
                    "Download the file yourself, and copy it into the models folder."
                )

        if not is_own:
            public_peer(host)
        extensions["trace"] = _on_connection(host, own_peer if is_own else public_peer)

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


def _on_connection(host: str, check: Callable[[str], None]) -> Callable[[str, dict[str, Any]], None]:
    """Check the address of the connection before anything is sent: a name may have several."""
    connecting_to = ""

    def trace(event: str, info: dict[str, Any]) -> None:
        nonlocal connecting_to
        if event.endswith("connect_tcp.started"):
            connecting_to = info["host"]
        elif event.endswith("connect_tcp.complete") and connecting_to == host:  # otherwise it is a proxy
            stream = info["return_value"]
            address = stream.get_extra_info("server_addr") or ("localhost",)
            try:
                check(str(address[0]))
            except DownloadError:
                stream.close()
                raise

    return trace


def _host(url: httpx.URL) -> str:
    """Return the name in the form of the trace events: `url.host` decodes international names."""
    return url.raw_host.decode("ascii")


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _is_private(host: str) -> bool:
    """Return whether the host is localhost or a private address; other names are checked on connection."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host.rstrip(".").lower() == "localhost"
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        address = inner or address
    return not address.is_global or address.is_multicast


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
