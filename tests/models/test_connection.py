import socket
from typing import Any

import httpx
import pytest

from jupyter_turbopilot.models import connection as connection_module
from jupyter_turbopilot.models.connection import connection, translate_errors
from jupyter_turbopilot.protocol.errors import DownloadError

from .source_server import SourceServer

PUBLIC = "https://source.example/m"


def redirecting(monkeypatch: pytest.MonkeyPatch, location: str) -> None:
    """Let a source with a public address redirect to a location."""
    real = httpx.HTTPTransport.handle_request

    def answer(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        if request.url == PUBLIC:
            return httpx.Response(302, headers={"Location": location})
        return real(transport, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://169.254.169.254/latest/meta-data", "169.254.169.254"),
        *(
            (f"https://{address}/x", "not a public address")
            for address in (
                "169.254.169.254", "127.0.0.1:1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "100.64.0.1", "0.0.0.0",  # noqa: S104
                "224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[fe80::1]", "[fd00::1]", "[ff02::1]",
                "[::ffff:10.0.0.1]", "[2002:7f00:1::]", "[64:ff9b::a9fe:a9fe]", "localhost", "LOCALHOST.",
            )
        ),
        ("http://example.org/x", "without encryption"),
        ("ftp://example.org/x", "without encryption"),
        ("file:///etc/passwd", "without encryption"),
    ],
)  # fmt: skip
def test_public_source_redirects_only_to_public_https_hosts(
    monkeypatch: pytest.MonkeyPatch, location: str, words: str
) -> None:
    redirecting(monkeypatch, location)
    with pytest.raises(DownloadError, match=words), translate_errors("It"), connection(PUBLIC) as client:
        client.get(PUBLIC)


def test_connection_follows_redirects_within_the_source(server: SourceServer) -> None:
    server.says("/m", 302, {"Location": "/n"})
    server.files["/n"] = b"here"
    with connection(server.url) as client:
        assert client.get(f"{server.url}/m").content == b"here"


def resolved(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let host names resolve to these addresses, one after the other."""
    left = list(addresses)
    real = socket.create_connection

    def connect(address: tuple[str, int], *rest: Any, **more: Any) -> socket.socket:
        return real((left.pop(0) if len(left) > 1 else left[0], address[1]), *rest, **more)

    monkeypatch.setattr(socket, "create_connection", connect)


@pytest.mark.parametrize("name", ["rebound.example", "REBOUND.example.", "xn--fiqs8s.example", "2130706433"])
def test_connection_checks_the_connected_address(
    server: SourceServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    redirecting(monkeypatch, f"https://{name}:{httpx.URL(server.url).port}/n")
    resolved(monkeypatch, "127.0.0.1")
    with pytest.raises(DownloadError, match="not a public address"), connection(PUBLIC) as client:
        client.get(PUBLIC)
    assert not server.requests


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "mirror.example"])
def test_private_source_redirects_to_private_hosts(
    server: SourceServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    port = httpx.URL(server.url).port
    server.says("/m", 302, {"Location": f"http://storage.example:{port}/n"})
    server.files["/n"] = b"here"
    resolved(monkeypatch, "127.0.0.1")
    with connection(f"http://{name}:{port}") as client:
        assert client.get(f"http://{name}:{port}/m").content == b"here"


def test_page_refuses_an_endless_response(server: SourceServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "MAX_PAGE_BYTES", 1000)
    server.files["/list"] = b"x" * 2000
    with pytest.raises(DownloadError, match="more than"), connection(server.url) as client:
        connection_module.page(client, f"{server.url}/list", {})


def test_private_https_source_sends_nothing_in_clear_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda *_: httpx.Response(200))
    with (
        pytest.raises(DownloadError, match="without encryption"),
        connection("https://127.0.0.1/") as client,
    ):
        client.get("http://example.org/wheel")


@pytest.mark.parametrize(
    "chain",
    [
        ["https://example.org/m", "http://example.org/m"],
        ["https://example.org/m", "https://example.com/m", "http://example.org/m"],
        ["http://127.0.0.1/m", "https://example.org/m", "http://127.0.0.1/m"],
        ["http://example.org/m", "http://example.org:8080/m"],
    ],
)
def test_connection_never_downgrades_https(chain: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(_: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(302, headers={"Location": chain[len(asked)]})

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    with pytest.raises(DownloadError, match="without encryption"), connection(chain[0]) as client:
        client.get(chain[0])
    assert asked == chain[:-1]


def test_connection_allows_a_private_proxy(server: SourceServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", server.url)
    redirecting(monkeypatch, "https://example.org/n")
    with pytest.raises(httpx.ProxyError), connection(PUBLIC) as client:
        client.get(PUBLIC)  # fails only at the proxy, which does not support it


def test_connection_checks_each_redirect_chain_separately(
    server: SourceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(_: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    with connection("http://127.0.0.1/") as client:
        for address in ("http://127.0.0.1/index", "https://example.org/wheel", "http://127.0.0.1/index"):
            client.get(address)
    assert len(asked) == 3
