"""The limits of each route that takes a body: size, parallel requests, operations, disconnects, shutdown."""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from jupyter_turbopilot.jupyter.routes import fixes, jobs
from jupyter_turbopilot.jupyter.routes.admission import WINDOW
from jupyter_turbopilot.jupyter.routes.base import Route
from jupyter_turbopilot.jupyter.routes.endpoint import Endpoint
from jupyter_turbopilot.jupyter.routes.limits import MAX_PARALLEL
from jupyter_turbopilot.jupyter.routes.table import loaded
from jupyter_turbopilot.plugins.functions import route as functions_route
from jupyter_turbopilot.plugins.protocols import tokenization
from jupyter_turbopilot.protocol.request import MAX_BODY
from jupyter_turbopilot.util.bounds import count_operations

from ...serve_app import KEY, ServeApp
from .conftest import complete_body
from .test_fixes import check_body, fix_body, rename_body, repeat_body
from .test_helpers import COMPLETE as HELPERS_BODY

if TYPE_CHECKING:
    import httpx

BURST = 4  # requests per minute


class BodyMethod(NamedTuple):
    """A method of a route that takes a body."""

    path: str
    method: str
    route: type[Route]
    endpoint: Endpoint


BODY_METHODS = [
    BodyMethod(path.replace("([^/]+)", "any"), method, route, endpoint)
    for path, route in loaded()
    for method, endpoint in route.endpoints.items()
    if endpoint.takes
]
USING = [
    body_method
    for body_method in BODY_METHODS
    if "manage" not in {each.access for each in body_method.route.endpoints.values()}
]
BODIES: dict[str, dict[str, Any]] = {
    "complete": complete_body(),
    "helpers": HELPERS_BODY,
    "fix": fix_body(),
    "check": check_body(),
    "rename": rename_body(),
    "repeat": repeat_body(),
    "infill": {"input_prefix": "x = ", "input_suffix": "", "n_predict": 1},
    "completion": {"prompt": "x", "n_predict": 1},
    "completions": {"prompt": "x", "n_predict": 1},
    "tokenize": {"content": "x"},
    "detokenize": {"tokens": [65]},
    "v1/completions": {"prompt": "x", "max_tokens": 1},
    "v1/engines/any/completions": {"prompt": "x", "max_tokens": 1},
    "api/generate": {"inputs": "x", "parameters": {"max_new_tokens": 1}},
    "feedback": {"id": "x", "event": "shown"},
    "models": {"model": "unknown"},
    "models/pull": {"model": "unknown"},
}
# The function of each route that parses, for which a test substitutes one that does not end.
PARSING: dict[str, tuple[Any, str]] = {
    "helpers": (functions_route, "generate_functions"),
    "fix": (fixes, "_find"),
    "rename": (fixes.renames, "find"),
    "repeat": (fixes.repeats, "find"),
    "tokenize": (tokenization, "_tokenize_body"),
    "detokenize": (tokenization, "_detokenize_body"),
}


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[ServeApp]:
    """A server whose callers are other machines: each has its own limits."""
    started = ServeApp(tiny_model, requests_per_minute=BURST)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def keyless(tiny_model: Path) -> Iterator[ServeApp]:
    started = ServeApp(tiny_model, key="")
    yield started
    started.stop()


@pytest.fixture
def address(request: pytest.FixtureRequest) -> str:
    """An address that no other test uses."""
    address.number = getattr(address, "number", 0) + 1  # type: ignore[attr-defined]
    return f"127.0.1.{address.number}"  # type: ignore[attr-defined]


def id_of(body_method: BodyMethod) -> str:
    return f"{body_method.method} {body_method.path}"


def send(client: httpx.Client, body_method: BodyMethod, size: int = 0) -> httpx.Response:
    """Send a valid body, of a size in bytes."""
    body = json.dumps(BODIES[body_method.path])
    padding = max(0, size - len(body) - len(', "unknown": ""'))
    if size:
        body = f'{body[:-1]}, "unknown": "{"x" * padding}"}}'
    headers = {"Content-Type": "application/json"}
    return client.request(body_method.method, f"/{body_method.path}", content=body, headers=headers)


def refusal(response: httpx.Response, code: str) -> dict[str, Any]:
    """Return the error of a refused request: it is complete in the format of each protocol."""
    assert response.status_code == 429, response.text
    assert int(response.headers["Retry-After"]) >= 1
    text = response.json()
    error: dict[str, Any] = text["error"] if isinstance(text["error"], dict) else text
    if "code" in error:
        assert error["code"] == code
    assert "Try again" in str(text)
    return error


def test_bodies_cover_every_route() -> None:
    assert BODIES.keys() == {body_method.path for body_method in BODY_METHODS}


@pytest.mark.parametrize("body_method", BODY_METHODS, ids=id_of)
def test_large_bodies_are_charged_or_refused(server: ServeApp, address: str, body_method: BodyMethod) -> None:
    with server.connected(address) as client:
        assert send(client, body_method).status_code not in {413, 429}
        assert send(client, body_method).status_code not in {413, 429}
        response = send(client, body_method, MAX_BODY - 10)
        if body_method.endpoint.max_body < MAX_BODY:
            assert response.status_code == 413
            assert "fields" in response.text
            return
        refusal(response, "too_many_requests")  # it costs more than is left
        assert int(response.headers["Retry-After"]) > 10


@pytest.mark.parametrize(("path", "size"), [("complete", 2 * WINDOW), ("infill", 250_000)])
def test_windows_of_an_editor_count_as_one_request(
    server: ServeApp, address: str, path: str, size: int
) -> None:
    body_method = next(body_method for body_method in BODY_METHODS if body_method.path == path)
    with server.connected(address) as client:
        codes = [send(client, body_method, size).status_code for _ in range(BURST)]
        assert codes == [200] * BURST
        refusal(send(client, body_method), "too_many_requests")


def test_completions_above_a_window_are_charged_by_size(server: ServeApp, address: str) -> None:
    body_method = next(body_method for body_method in BODY_METHODS if body_method.path == "complete")
    with server.connected(address) as client:
        assert send(client, body_method, 640_000).status_code == 200
        refusal(send(client, body_method), "too_many_requests")


def half_a_request(server: ServeApp, address: str, body_method: BodyMethod) -> socket.socket:
    """Send the head of a request, and wait until the server counts it and reads its body."""
    connection = socket.create_connection(("127.0.0.1", server.port), source_address=(address, 0))
    head = (
        f"{body_method.method} /{body_method.path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}",
        "Content-Type: application/json", "Content-Length: 1000", "Expect: 100-continue", f"Authorization: Bearer {KEY}", "", "",
    )  # fmt: skip
    connection.sendall("\r\n".join(head).encode())
    assert connection.recv(99).startswith(b"HTTP/1.1 100 ")
    return connection


@pytest.mark.parametrize("body_method", USING, ids=id_of)
def test_parallel_requests_of_a_caller_are_limited(
    keyless: ServeApp, address: str, body_method: BodyMethod
) -> None:
    with ExitStack() as open_, keyless.connected(address) as client, keyless.connected("127.0.2.1") as other:
        # The server refuses some of them.
        for _ in range((body_method.endpoint.max_parallel or MAX_PARALLEL) + 8):
            open_.enter_context(half_a_request(keyless, address, body_method))
        refused = until(lambda: send(client, body_method), lambda response: response.status_code == 429)
        refusal(refused, "too_many_waiting")
        assert send(other, body_method).is_success
        open_.close()
        until(lambda: send(client, body_method), lambda response: response.is_success)


def test_requests_of_a_server_with_the_key_are_not_limited(server: ServeApp, address: str) -> None:
    body_method = next(body_method for body_method in BODY_METHODS if body_method.path == "v1/completions")
    with ExitStack() as open_, server.connected(address) as client:
        for _ in range(MAX_PARALLEL):
            open_.enter_context(half_a_request(server, address, body_method))
        assert send(client, body_method).status_code == 200


def until(ask: Callable[[], httpx.Response], done: Callable[[httpx.Response], bool]) -> httpx.Response:
    """Repeat a request until its response is the expected one."""
    end = time.monotonic() + 30
    while not done(response := ask()):
        assert time.monotonic() < end, response.text
        time.sleep(0.02)
    return response


class Endless:
    """Substitutes the function of a route that parses, and counts operations without an end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: str, each: int) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()
        self._each = each
        monkeypatch.setattr(*PARSING[path], self)

    def __call__(self, *_: Any, **__: Any) -> None:
        try:
            self.begun.set()
            while True:
                count_operations(self._each)
        finally:
            self.ended.set()


@pytest.mark.parametrize("path", PARSING)
def test_operations_of_a_request_are_limited(
    keyless: ServeApp, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    endless = Endless(monkeypatch, path, 1000)
    monkeypatch.setattr(jobs, "CPU_SECONDS", math.inf)
    response = keyless.client.post(f"/{path}", json=BODIES[path])
    assert endless.ended.is_set()
    if path in {"fix", "rename", "repeat"}:
        assert response.status_code == 200
        assert not response.json().get("fixes", response.json().get("edits"))
    else:
        assert (response.status_code, response.json()["error"]["code"]) == (400, "too_complex")


@pytest.mark.parametrize("path", PARSING)
def test_parsing_ends_at_a_disconnect(keyless: ServeApp, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    endless = Endless(monkeypatch, path, 0)
    monkeypatch.setattr(jobs, "CPU_SECONDS", math.inf)
    with socket.create_connection(("127.0.0.1", keyless.port)) as connection:
        body = json.dumps(BODIES[path]).encode()
        head = (
            f"POST /{path} HTTP/1.1\r\nHost: 127.0.0.1:{keyless.port}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        assert endless.begun.wait(30)
        assert not endless.ended.is_set()
    assert endless.ended.wait(30)


@pytest.mark.parametrize("path", ["rename", "tokenize"])
def test_parsing_ends_after_the_processor_time(
    keyless: ServeApp, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    endless = Endless(monkeypatch, path, 0)
    response = keyless.client.post(f"/{path}", json=BODIES[path])
    assert endless.ended.is_set()
    assert response.status_code == (200 if path == "rename" else 400)


def test_parsing_ends_when_the_server_stops(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ServeApp(tiny_model)
    endless = Endless(monkeypatch, "rename", 0)
    monkeypatch.setattr(jobs, "CPU_SECONDS", math.inf)
    answers: list[httpx.Response] = []
    asking = threading.Thread(
        target=lambda: answers.append(server.client.post("/rename", json=BODIES["rename"]))
    )
    asking.start()
    assert endless.begun.wait(30)
    server.pilot.stop()
    asking.join(30)
    assert endless.ended.is_set()
    assert (answers[0].status_code, answers[0].json()["error"]["code"]) == (503, "stopped")
    server.stop()
