"""`jupyter turbopilot serve`, as a process of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from jupyter_turbopilot.standalone import is_loopback

from .serving import Server

Serve = Callable[..., httpx.Client]
BODY = {"input_prefix": "x = ", "input_suffix": "", "n_predict": 2}


@pytest.fixture
def serve(tiny_model: Path, tmp_path: Path) -> Iterator[Serve]:
    started: list[Server] = []
    (tmp_path / "models").mkdir()
    own = tmp_path / "models" / "tiny.gguf"
    shutil.copy(tiny_model, own)

    def start(*arguments: str) -> httpx.Client:
        started.append(Server(own, *arguments))
        return started[-1].client

    yield start
    for server in started:
        server.stop()


def test_with_the_key_that_was_printed_it_completes_and_manages(serve: Serve) -> None:
    client = serve()
    assert client.post("/infill", json=BODY).json()["tokens_predicted"] == 2
    asked = {"cells": [{"source": "x = "}], "offset": 4, "max_tokens": 2}
    assert client.post("/complete", json=asked).status_code == 200
    assert client.get("/models").status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Cookie": "key=1"}])
def test_without_the_key_nothing_is_answered(serve: Serve, headers: dict[str, str]) -> None:
    client = serve("--api-key", "s3cret-key")
    client.headers.pop("Authorization", None)
    for path in ("/infill", "/complete"):
        assert client.post(path, json=BODY, headers=headers).status_code == 403
    assert client.get("/models", headers=headers).status_code == 403


def test_a_key_of_ones_own_works_in_either_header(serve: Serve) -> None:
    client = serve("--api-key", "s3cret-key")
    client.headers.pop("Authorization")
    for headers in ({"Authorization": "Bearer s3cret-key"}, {"X-Api-Key": "s3cret-key"}):
        assert client.post("/infill", json=BODY, headers=headers).status_code == 200


def test_without_a_key_it_completes_and_does_not_manage(serve: Serve) -> None:
    client = serve("--no-api-key")
    assert client.post("/infill", json=BODY).status_code == 200
    assert client.get("/models").status_code == 403
    assert client.post("/models", json={"model": "x"}).status_code == 403
    assert client.post("/models/pull", json={"model": "x"}).status_code == 403


def test_a_page_of_another_site_is_refused_and_told_nothing(serve: Serve) -> None:
    client = serve("--no-api-key")
    refused = client.post("/infill", json=BODY, headers={"Origin": "http://evil.example"})
    assert refused.status_code in {403, 404}
    assert not [name for name in refused.headers if name.lower().startswith("access-control")]
    assert client.post("/infill", json=BODY, headers={"Host": "evil.example"}).status_code == 403
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/infill", content=b"{}", headers=form).status_code == 415
    preflight = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in client.options("/infill", headers=preflight).headers


def test_without_a_key_other_machines_are_not_served() -> None:
    command = [str(Path(sys.executable).parent / "jupyter-turbopilot"), "serve", "--no-api-key"]
    done = subprocess.run([*command, "--host", "10.0.0.1"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--host 127.0.0.1" in done.stderr


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("x", False)],
)
def test_a_loopback_address_is_known(host: str, own: bool) -> None:
    assert is_loopback(host) == own


def test_a_person_who_looks_sees_whether_it_is_ready_and_nothing_else(serve: Serve) -> None:
    client = serve("--api-key", "s3cret-key")
    client.headers.pop("Authorization")
    page = client.get("/")
    assert page.status_code == 200
    assert "tiny.gguf: ready." in page.text
    assert "s3cret-key" not in page.text
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 403
