"""Invalid bodies get an error message on every route, and the next valid request succeeds."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.jupyter.routes import base
from jupyter_turbopilot.jupyter.routes.table import loaded
from jupyter_turbopilot.protocol.request import MAX_BODY

from ..serve_app import KEY, ServeApp

TAKING = sorted(
    {
        (path.replace("([^/]+)", "any"), method)
        for path, route in loaded()
        for method, endpoint in route.endpoints.items()
        if endpoint.takes
    }
)
GOOD = {"input_prefix": "x = ", "input_suffix": "", "n_predict": 2}


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[ServeApp]:
    started = ServeApp(tiny_model)
    yield started
    started.stop()


@pytest.fixture(autouse=True)
def _all_goes_on(server: ServeApp) -> Iterator[None]:
    yield
    assert server.client.get("/health").json()["ready"]
    assert server.client.post("/infill", json=GOOD).status_code == 200


def speak(server: ServeApp, data: bytes, seconds: float = 10) -> bytes:
    """Send bytes and return all that comes back."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as connection:
        try:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionError:
            return b""


def head(method: str, path: str, *more: str) -> bytes:
    lines = (
        f"{method} /{path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {KEY}",
        "Connection: close",
    )
    return "\r\n".join([*lines, "Content-Type: application/json", *more, "", ""]).encode()


@pytest.mark.parametrize(("path", "method"), TAKING)
@pytest.mark.parametrize("chunked", [False, True])
def test_five_megabyte_body_is_rejected(server: ServeApp, path: str, method: str, chunked: bool) -> None:
    pieces = [b'{"prompt": "', *[b"x" * MAX_BODY] * 5, b'"}']
    headers = {"Content-Type": "application/json"}
    content: Any = iter(pieces) if chunked else b"".join(pieces)
    answer = server.client.request(method, f"/{path}", content=content, headers=headers)
    assert answer.status_code == 413
    assert "1048576 bytes" in answer.text or "16384 bytes" in answer.text


@pytest.mark.parametrize("key", [KEY, "wrong"])
def test_endless_body_is_cut_off(server: ServeApp, key: str) -> None:
    length = base.HARD_LIMIT + 1
    begin = head("POST", "infill", f"Content-Length: {length}").replace(KEY.encode(), key.encode())
    message = speak(server, begin + b"x" * length)
    assert message == b"" or message.split()[1] in {b"400", b"413", b"401"}


@pytest.mark.parametrize(("path", "method"), TAKING)
@pytest.mark.parametrize(
    "body",
    [b"", b"[1]", b'{"prompt": "\xff"}', b"[" * MAX_BODY, b'{"prompt": "x"} {"prompt": "y"}'],
)
def test_invalid_request_is_rejected_with_a_message(
    server: ServeApp, path: str, method: str, body: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = server.client.request(method, f"/{path}", content=body, headers=headers)
    assert answer.status_code in {400, 413}
    assert answer.json()["error"]
    assert "Traceback" not in answer.text
    assert "/" not in answer.text.replace("/v1", "").replace("n/a", "")


@pytest.mark.parametrize(("path", "method"), TAKING)
@pytest.mark.parametrize(
    "body", [b'{"a": 1e999}', b'{"seed": ' + b"9" * 5000 + b"}"], ids=["1e999", "digits"]
)
def test_huge_numbers_are_rejected_or_ignored(server: ServeApp, path: str, method: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = server.client.request(method, f"/{path}", content=body, headers=headers)
    assert answer.status_code in {200, 400}
    assert "Traceback" not in answer.text
    assert server.client.get("/health").status_code == 200


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "0x10", "+5", "5, 6", "99999999999999999999999"])
def test_invalid_content_length_is_rejected(server: ServeApp, length: str) -> None:
    message = speak(server, head("POST", "infill", f"Content-Length: {length}") + b"hello")
    assert message == b"" or message.startswith(b"HTTP/1.1 400")


def test_two_content_lengths_are_rejected(server: ServeApp) -> None:
    body = b"0\r\n\r\nGET /models HTTP/1.1\r\nHost: localhost\r\n\r\n"
    both = ("Content-Length: 5", "Transfer-Encoding: chunked")
    message = speak(server, head("POST", "infill", *both) + body)
    assert message.count(b"HTTP/1.1") <= 1
    assert b"200 OK" not in message


@pytest.mark.parametrize(
    "chunk", [b"-1\r\nx\r\n", b"g\r\nx\r\n", b"5\r\nxx", b"fffffffffff\r\nx", b"\r\n\r\n"]
)
def test_invalid_chunks_close_the_connection(
    server: ServeApp, chunk: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "BODY_SECONDS", 0.2)
    message = speak(server, head("POST", "infill", "Transfer-Encoding: chunked") + chunk)
    assert b"200 OK" not in message


@pytest.mark.parametrize("declared", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_slow_body_is_cut_off_without_blocking_others(
    server: ServeApp, monkeypatch: pytest.MonkeyPatch, declared: str
) -> None:
    monkeypatch.setattr(base, "BODY_SECONDS", 0.5)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head("POST", "infill", declared))
        piece = b"1\r\n{\r\n" if "chunked" in declared else b"{"
        with pytest.raises(OSError):  # noqa: PT011 - any connection error
            drip(connection, piece, lambda: server.client.post("/infill", json=GOOD).raise_for_status())


def drip(connection: socket.socket, piece: bytes, meanwhile: Callable[[], object]) -> None:
    for _ in range(100):
        connection.sendall(piece)
        meanwhile()
        time.sleep(0.05)


def test_names_with_newlines_do_not_forge_log_lines(
    server: ServeApp, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    name = "a\r\n[E 2026] forged\nb"
    for path, method in TAKING:
        body = {"model": name, "prompt": name, "event": name, "id": name}
        answer = server.client.request(method, f"/{path}", json=body)
        assert "[E 2026] forged\n" not in answer.text
    server.client.get("/v1/models/a%0d%0a[E 2026] forged%0ab")
    server.client.get("/no%0d%0aforged")
    message = capfd.readouterr()
    assert not [line for line in (caplog.text + message.out + message.err).splitlines() if "forged" in line]
