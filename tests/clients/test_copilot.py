"""GitHub Copilot's language server: its requests, and the program itself if it is installed."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ..serve_app import KEY, ServeApp

PROGRAM, NODE = os.environ.get("TURBOPILOT_COPILOT", ""), os.environ.get("TURBOPILOT_NODE", "node")
# Only the server under test may be reached, so DNS is disabled.
NO_NAMES = (
    "import dns from 'node:dns';"
    "dns.lookup = (name, options, done) => (done ?? options)(new Error(`${name} is not asked from this test`));"
)
# A request of version 1.539.0.
ASKED: dict[str, Any] = {
    "prompt": "# Path: shapes.py\nimport math\n\ndef area(r):\n    return ",
    "suffix": "",
    "max_tokens": 500,
    "temperature": 0.2,
    "top_p": 1,
    "n": 3,
    "stop": ["\n"],
    "stream": True,
    "extra": {
        "language": "python",
        "next_indent": 0,
        "trim_by_indentation": True,
        "prompt_tokens": 16,
        "suffix_tokens": 0,
    },
    "code_annotations": False,
}


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[ServeApp]:
    started = ServeApp(tiny_model)
    yield started
    started.stop()


def test_copilot_requests_get_numbered_responses_in_order(server: ServeApp) -> None:
    numbered = "X-GitHub-Request-Id"
    for path, status in (
        ("embeddings/models", 404),
        ("copilot_internal/v2/token", 200),
        ("copilot_internal/user", 404),
        ("models", 200),
    ):
        answer = server.client.get(f"/{path}")
        assert (answer.status_code, bool(answer.headers[numbered])) == (status, True)
    probe = server.client.get("/telemetry", headers={"Authorization": ""})
    assert (probe.status_code, bool(probe.headers[numbered])) == (401, True)
    with server.client.stream("POST", "/v1/engines/gpt-41-copilot/completions", json=ASKED) as response:
        assert response.headers[numbered]
        lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert lines[-1] == "[DONE]"
    choices = [choice for line in lines[:-1] for choice in json.loads(line)["choices"]]
    assert {choice["index"] for choice in choices} == {0, 1, 2}


def test_copilot_token_is_the_key_and_its_endpoints_this_server(server: ServeApp) -> None:
    found = server.client.get("/copilot_internal/v2/token").json()
    assert found["token"] == KEY
    assert 0 < found["refresh_in"] < 1800
    assert set(found["endpoints"].values()) == {f"http://127.0.0.1:{server.port}"}


@pytest.mark.skipif(
    not PROGRAM,
    reason="Set TURBOPILOT_COPILOT to the dist/language-server.js of the npm package "
    "@github/copilot-language-server (tested: 1.539.0), or to its program for this platform. "
    "It needs Node 22.13, which TURBOPILOT_NODE may name.",
)
def test_copilot_language_server_returns_the_models_completion(server: ServeApp, tmp_path: Path) -> None:
    driver = str(Path(__file__).with_name("copilot.mjs"))
    program = [NODE, PROGRAM] if PROGRAM.endswith(".js") else [PROGRAM]
    message = subprocess.run(
        [str(shutil.which(NODE)), driver, *program],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            **dict.fromkeys(
                ("GH_COPILOT_SERVER_URL", "GH_COPILOT_API_URL"), f"http://127.0.0.1:{server.port}"
            ),
            "GH_COPILOT_TOKEN": KEY,
            "NODE_OPTIONS": f"--import=data:text/javascript,{quote(NO_NAMES)}",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert message.returncode == 0, message.stderr
    found = json.loads(message.stdout)
    assert found["status"] == "OK"
    assert found["texts"], message.stderr
    assert set(found["texts"]) == {"    return a + b + c"}
