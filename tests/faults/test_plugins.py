"""An installed distribution whose plugins fail."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..serving import Server, install

BAD = Path(__file__).parents[1] / "data" / "bad-plugins"
FAILING = {
    "bad_import:declare",
    "bad_import:Route",
    "bad_plugins:MISSING",
    "bad_plugins:NoRoute",
    "bad_plugins:ODD",
    "bad_plugins:listener_of",
    "bad_plugins:UNREADABLE",
    "bad_plugins:WRONG",
    "bad_plugins:UNIMPORTED",
    "bad_plugins:EXITING",
    "bad_plugins:STUCK",
    "bad_plugins:NO_FIX",
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment variables with which the distribution is installed."""
    return install(BAD, tmp_path_factory.mktemp("bad"))


@pytest.fixture(scope="module")
def server(tiny_model: Path, environment: dict[str, str]) -> Iterator[Server]:
    server = Server(tiny_model, environment=environment)
    yield server
    server.stop()


def test_server_answers_beside_failing_plugins(server: Server) -> None:
    source = "pritn(1)"
    error = {
        "name": "NameError",
        "message": "name 'pritn' is not defined",
        "traceback": ["Cell In[1], line 1"],
    }
    body = {"cells": [{"source": source, "execution_count": 1}], "failed": 0, "error": error}
    fixes = server.client.post("/fix", json=body).json()["fixes"]
    assert {fix["edits"][0]["text"] for fix in fixes} == {"print", "pass"}
    assert server.client.get("/bad").status_code == server.client.get("/exiting").status_code == 404
    assert "/complete" in server.client.get("/openapi.json").json()["paths"]
    assert server.client.post("/complete", json={"cells": [{"source": "x"}], "offset": 1}).status_code == 200


def test_doctor_and_help_work_and_name_failing_plugins(tiny_model: Path, environment: dict[str, str]) -> None:
    def output(*arguments: str) -> str:
        command = [sys.executable, "-m", "jupyter_turbopilot.cli", *arguments]
        done = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, timeout=60
        )
        assert "Traceback" not in done.stderr
        return done.stdout

    assert "check the installation" in output("--help")
    lines = [line for line in output("doctor", "-m", str(tiny_model)).splitlines() if " plugins " in line]
    assert "good (fixes)" in lines[1]
    assert "bad_plugins.FailingCheck failed: SystemExit: 3" in lines[0]
    named = {line.split()[2] for line in lines if " does not work: " in line}
    assert named == FAILING
