"""Authentication of `serve`: keys, host names, health, content types and origins."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado import web

from jupyter_turbopilot.jupyter.routes.table import loaded

from ...serve_app import KEY, ServeApp

Start = Callable[..., ServeApp]
BODY = {"input_prefix": "x = ", "input_suffix": "", "n_predict": 2}
METHODS = ("get", "head", "post", "put", "patch", "delete")
ENDS = [
    (path.replace("([^/]+)", "any").replace("(.+)", "any"), method.upper())
    for path, route in loaded()
    for method in METHODS
    if getattr(route, method) is not getattr(web.RequestHandler, method)
]
OPEN = {("health", "GET"), ("health", "HEAD"), ("v1/health", "GET"), ("v1/health", "HEAD")}
CLOSED = [end for end in ENDS if end not in OPEN]
COMPLETIONS = {
    "complete": {"cells": [{"source": "x = "}], "offset": 4},
    "infill": BODY,
    "completion": {"prompt": "x = ", "n_predict": 2},
    "completions": {"prompt": "x = ", "n_predict": 2},
    "v1/completions": {"prompt": "x = ", "max_tokens": 2},
    "v1/engines/any/completions": {"prompt": "x = ", "max_tokens": 2},
    "api/generate": {"inputs": "x = "},
}


@pytest.fixture(scope="module")
def start(tiny_model: Path) -> Iterator[Start]:
    started: list[ServeApp] = []

    def begin(**more: Any) -> ServeApp:
        started.append(ServeApp(tiny_model, **more))
        return started[-1]

    yield begin
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def server(start: Start) -> ServeApp:
    return start()


@pytest.fixture(scope="module")
def keyless(start: Start) -> ServeApp:
    return start(key="")


@pytest.fixture(scope="module")
def beyond(start: Start) -> ServeApp:
    return start(host="0.0.0.0")  # noqa: S104 - only compared


@pytest.mark.parametrize(("path", "method"), [*CLOSED, ("nothing/here", "GET"), ("nothing/here", "POST")])
def test_missing_or_wrong_key_is_an_authentication_error(server: ServeApp, path: str, method: str) -> None:
    before = len(server.engine.prompts)
    for headers in (
        {"Authorization": ""},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": "", "Cookie": f"key={KEY}"},
        {"Authorization": "Bearer \xff"},
        {"Authorization": "", "Host": "evil.example"},
    ):
        raw = {name: value.encode("latin-1") for name, value in headers.items()}
        response = server.client.request(method, f"/{path}", json={}, headers=raw)  # type: ignore[arg-type]
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        if method != "HEAD":
            assert "authentication_error" in response.text
    assert len(server.engine.prompts) == before


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "[::2]",
        "[",
        "x]:y",
    ],
)
def test_other_host_names_are_rejected_without_a_key(keyless: ServeApp, host: str) -> None:
    for path, method in [*ENDS, ("", "GET"), ("nothing", "GET")]:
        response = keyless.client.request(method, f"/{path}", json={}, headers={"Host": host})
        assert response.status_code == 403, (path, method)
        assert "tiny" not in response.text


def test_other_host_names_are_accepted_with_the_key(server: ServeApp, beyond: ServeApp) -> None:
    for one in (server, beyond):
        found = one.client.post("/infill", json=BODY, headers={"Host": "gpu-box.example:18080"})
        assert found.status_code == 200


def test_public_server_reports_readiness_to_other_machines(server: ServeApp, beyond: ServeApp) -> None:
    headers = {"Authorization": "", "Host": "gpu-box.example"}
    assert beyond.client.get("/health", headers=headers).json() == {"status": "ok"}
    # On loopback, another name can only be DNS rebinding.
    assert server.client.get("/health", headers=headers).status_code == 401


@pytest.mark.parametrize("path", ["/health", "/v1/health"])
def test_health_is_open(server: ServeApp, keyless: ServeApp, path: str) -> None:
    for headers in ({"Authorization": ""}, {"Authorization": "Bearer wrong"}):
        assert server.client.get(path, headers=headers).json() == {"status": "ok"}
    assert server.client.get(path).json()["model"] == "scripted"
    assert keyless.client.get(path).json()["phase"] == "ready"
    assert server.client.get(path, headers={"Origin": "http://evil.example"}).status_code == 403


def test_health_returns_503_while_the_model_loads(start: Start) -> None:
    server = start(load=False)
    server.pilot.start()
    answer = server.client.get("/health", headers={"Authorization": ""})
    assert (answer.status_code, answer.json()) == (503, {"status": "loading model"})
    assert server.client.get("/health").json()["phase"] == "loading"
    server.load()
    assert server.client.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("path", "method"),
    [("models", "GET"), ("nothing", "POST"), ("v1/completions", "POST"), ("models", "PUT")],
)
def test_responses_to_copilot_have_a_request_id(server: ServeApp, path: str, method: str) -> None:
    numbers = set()
    for headers in ({}, {"Authorization": ""}, {"Origin": "http://evil.example"}):
        response = server.client.request(method, f"/{path}", content=b"[", headers=headers)
        numbers.add(response.headers["X-GitHub-Request-Id"])
    assert len(numbers) == 3


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "OPTIONS"])
def test_rejected_caller_gets_the_reason_for_any_method(server: ServeApp, method: str) -> None:
    page = server.client.request(method, "/infill", content=b"[", headers={"Origin": "http://evil.example"})
    assert (page.status_code, page.json()["error"]["code"]) == (403, "forbidden")
    stranger = server.client.request(method, "/infill", content=b"[", headers={"Authorization": ""})
    if method != "OPTIONS":  # the CORS preflight
        assert (stranger.status_code, stranger.json()["error"]["code"]) == (401, "unauthenticated")
        assert stranger.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("path", sorted({path for path, method in ENDS if method == "GET"} | {""}))
def test_head_responds_like_get_without_the_body(server: ServeApp, path: str) -> None:
    whole, head = server.client.get(f"/{path}"), server.client.head(f"/{path}")
    assert head.status_code == whole.status_code
    assert head.headers["Content-Type"] == whole.headers["Content-Type"]
    assert head.content == b""


@pytest.mark.parametrize(
    "path", ["nothing", "v1/nothing", "v1/chat/completions", "complete/more", "..%2fmodels"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT"])
def test_unknown_path_returns_a_json_error(server: ServeApp, path: str, method: str) -> None:
    response = server.client.request(method, f"/{path}", content=b"x")
    assert response.status_code == 404
    assert response.json()["error"]["type"] == "not_found_error"


def test_unsupported_method_returns_a_json_error_and_allow(server: ServeApp) -> None:
    response = server.client.get("/infill")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST, OPTIONS")
    assert response.json()["error"]["code"] == "method_not_allowed"
    assert server.client.put("/models", json={}).headers["Allow"] == "GET, HEAD, POST, DELETE, OPTIONS"
    assert server.raw("BREW /infill HTTP/1.1")[0] == 405


@pytest.mark.parametrize("path", ["/infill/", "//infill", "//infill//"])
def test_extra_slashes_are_ignored(server: ServeApp, path: str) -> None:
    status, _, content = server.raw(
        f"POST {path} HTTP/1.1\r\nContent-Type: application/json", json.dumps(BODY).encode()
    )
    assert (status, b"content" in content) == (200, True)
    assert server.raw("GET /v1//models/ HTTP/1.1")[0] == 200
    assert server.raw("GET /v1/models/scripted/ HTTP/1.1")[0] == 200
    assert server.raw("GET // HTTP/1.1")[0] == 200


def test_models_lists_all_models_only_for_managers(server: ServeApp, keyless: ServeApp) -> None:
    data = [{"id": "scripted", "object": "model", "created": 0, "owned_by": "jupyter-turbopilot"}]
    assert keyless.client.get("/models").json() == {"object": "list", "data": data}
    found = server.client.get("/models").json()
    assert found["data"] == data
    assert len(found["models"]) > 5


@pytest.mark.parametrize(
    ("path", "method"),
    [(path, method) for path in ("models", "models/pull", "index") for method in ("POST", "DELETE")],
)
def test_managing_requires_a_key(keyless: ServeApp, path: str, method: str) -> None:
    refused = keyless.client.request(method, f"/{path}", json={"model": "x"})
    assert (refused.status_code, refused.json()["error"]["type"]) == (403, "permission_error")


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("path", COMPLETIONS)
@pytest.mark.parametrize("declared", [FORM, "text/plain", None])
def test_programs_may_omit_the_json_content_type(
    server: ServeApp, keyless: ServeApp, path: str, declared: str | None
) -> None:
    headers = {} if declared is None else {"Content-Type": declared}
    for one in (server, keyless):
        found = one.client.post(f"/{path}", content=json.dumps(COMPLETIONS[path]), headers=headers)
        assert found.status_code == 200, found.text
        assert one.client.post(f"/{path}", content="a=1&b=2", headers=headers).status_code == 400


PAGE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Origin": "http://127.0.0.1"}


@pytest.mark.parametrize("path", COMPLETIONS)
@pytest.mark.parametrize("page", PAGE)
def test_forms_from_pages_are_rejected(server: ServeApp, path: str, page: str) -> None:
    content = json.dumps(COMPLETIONS[path])
    for declared in (FORM, "text/plain", None, "multipart/form-data; boundary=x", "Multipart/Mixed"):
        headers = {page: PAGE[page], "Host": "127.0.0.1"} | ({"Content-Type": declared} if declared else {})
        assert server.client.post(f"/{path}", content=content, headers=headers).status_code == 415
        foreign = headers | {"Origin": "http://evil.example"}
        assert server.client.post(f"/{path}", content=content, headers=foreign).status_code == 403


def test_multipart_is_rejected_from_programs_too(server: ServeApp) -> None:
    for path, body in COMPLETIONS.items():
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        assert server.client.post(f"/{path}", content=json.dumps(body), headers=headers).status_code == 415


@pytest.mark.parametrize("path", ["models", "models/pull", "feedback"])
def test_state_changing_methods_require_a_json_content_type(server: ServeApp, path: str) -> None:
    for declared in (FORM, "text/plain", ""):
        response = server.client.post(
            f"/{path}", content='{"model": "x"}', headers={"Content-Type": declared}
        )
        assert response.status_code == 415


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://[", "http://127.0.0.1", "http://127.0.0.1:1", "file://", ""],
)
def test_other_origins_are_rejected_on_all_routes(server: ServeApp, keyless: ServeApp, origin: str) -> None:
    for one in (server, keyless):
        for path, method in [*ENDS, ("", "GET"), ("nothing", "GET")]:
            response = one.client.request(method, f"/{path}", json={}, headers={"Origin": origin})
            assert response.status_code == 403, (path, method)
            assert not [name for name in response.headers if name.lower().startswith("access-control")]
    assert server.client.get("/", headers={"Origin": f"http://127.0.0.1:{server.port}"}).status_code == 200


def test_curl_requires_only_the_key_header(server: ServeApp) -> None:
    url = f"http://LOCALHOST:{server.port}/v1/completions"
    asked = ["curl", "-sS", "-4", url, "-H", f"Authorization: Bearer {KEY}", "-d", '{"prompt": "x = "}']
    message = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert json.loads(message)["choices"]
