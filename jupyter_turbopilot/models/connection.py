"""HTTP for downloads: never from https to http, no redirect into the private network, clear errors."""

from __future__ import annotations

import ipaddress
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from jupyter_turbopilot.errors import DownloadError, TurbopilotError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Iterator

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
MOST_PAGE = 64 * 1024**2  # bytes of a page of an index or a listing
IDENTITY = {"Accept-Encoding": "identity"}  # of a compressed file neither length nor ranges can be compared
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Where the public sources keep their files. Some proxies and VPNs give every name a private address.
_FILE_HOSTS = (".files.pythonhosted.org", ".huggingface.co", ".hf.co")
_SECURE = "turbopilot_secure"  # a request's extensions are handed on to where it is redirected


@contextmanager
def in_words(what: str) -> Iterator[None]:
    """Say what a source did wrong; what the disk says against it (OSError) is left to who writes."""
    try:
        yield
    except (TurbopilotError, OSError, MemoryError):
        raise
    except httpx.HTTPStatusError as error:
        raise DownloadError(f"{what} answered {error.response.status_code}.") from None
    except httpx.HTTPError as error:
        raise DownloadError(f"{what} cannot be reached ({type(error).__name__}).") from None
    except Exception as error:  # noqa: BLE001 - bad JSON, damaged archives, addresses that are none
        raise DownloadError(f"{what} sent what cannot be read ({type(error).__name__}).") from None


@contextmanager
def connection(
    source: str, hosts: Collection[str] = (), verify: ssl.SSLContext | None = None
) -> Iterator[httpx.Client]:
    """Open a client for a source. Other hosts than its own have to be public, or among `hosts`."""
    own = _origin(httpx.URL(source))

    def check(request: httpx.Request) -> None:
        url, extensions = request.url, request.extensions
        # As it is connected to: `url.host` spells an international name in letters that no event has.
        host = url.raw_host.decode("ascii")
        trusted = _origin(url) == own or not {host, url.host}.isdisjoint(hosts)
        if url.scheme != "https" and (extensions.get(_SECURE) or not trusted):
            raise DownloadError(
                f"The download leads to {url.host} without encryption, so it was not followed."
            )
        extensions[_SECURE] = url.scheme == "https"
        extensions.pop("trace", None)
        if not trusted and not f".{host}".endswith(_FILE_HOSTS):
            if _is_private(host):
                raise _private(host)
            extensions["trace"] = _peer_check(host)

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
    """Read the authorities' certificates, which takes as long as all the rest of a small transfer."""
    return httpx.create_ssl_context()


def _peer_check(host: str) -> Callable[[str, dict[str, Any]], None]:
    """Look at the address that was really connected to, before anything is sent: a name may have several."""
    connecting_to = ""

    def trace(event: str, info: dict[str, Any]) -> None:
        nonlocal connecting_to
        if event.endswith("connect_tcp.started"):
            connecting_to = info["host"]
        elif event.endswith("connect_tcp.complete") and connecting_to == host:  # or it is a proxy
            stream = info["return_value"]
            address = stream.get_extra_info("server_addr")
            if not address or _is_private(str(address[0])):
                stream.close()
                raise _private(host)

    return trace


def _private(host: str) -> DownloadError:
    return DownloadError(
        f"The download leads to {host}, which is not a public address. If that is right, add the host to "
        "c.Turbopilot.download_hosts."
    )


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _is_private(host: str) -> bool:
    """Return whether that is an address which is not public; a name is none until it is looked up."""
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
    """Return the server's name for messages: never the whole address, which may hold a key."""
    return urlsplit(url).hostname or "that address"


def page(client: httpx.Client, url: str, headers: dict[str, str]) -> tuple[httpx.Response, bytes]:
    """Return an answer that is read as a whole, and its body; one that does not end is refused."""
    body = bytearray()
    with client.stream("GET", url, headers=headers) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_bytes():
            body += chunk
            if len(body) > MOST_PAGE:
                raise DownloadError(f"{host_of(url)} sends more than such a page can hold.")
    return answer, bytes(body)
