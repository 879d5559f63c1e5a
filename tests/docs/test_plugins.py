"""The example of a distribution with plugins, installed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ..serving import Server, install
from .pages import ROOT, blocks

EXAMPLE = ROOT / "examples" / "turbopilot-example"
SOURCE = "model.fit(frame['hours'], frame['score'])"
MESSAGES = [
    "Expected 2D array, got 1D array instead:\narray=[1. 2.].\nReshape your data …",
    "Expected a 2-dimensional container but got <class 'pandas.Series'> instead. Pass a DataFrame …",
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment variables with which the example is installed."""
    return install(EXAMPLE, tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="module")
def server(tiny_model: Path, environment: dict[str, str]) -> Iterator[Server]:
    server = Server(tiny_model, environment=environment)
    yield server
    server.stop()


def test_page_shows_the_code_of_the_example() -> None:
    files = [path.read_text("utf-8") for path in EXAMPLE.rglob("*.*") if path.suffix in {".py", ".toml"}]
    shown = [block.text for block in blocks() if block.page.name == "plugins.md" and block.language != "bash"]
    assert len(shown) == 2
    assert all(any(text in file for file in files) for text in shown)


def jupyter_turbopilot(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", "jupyter_turbopilot.cli", *arguments]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


@pytest.mark.parametrize("message", MESSAGES)
def test_fix_of_the_example_is_offered(server: Server, message: str) -> None:
    error = {"name": "ValueError", "message": message, "traceback": ["Cell In[1], line 1"]}
    body = {"cells": [{"source": SOURCE, "execution_count": 1}], "failed": 0, "error": error}
    (fix,) = server.client.post("/fix", json=body).json()["fixes"]
    assert fix["title"] == "Select a table with one column, [['hours']]?"
    (edit,) = fix["edits"]
    assert SOURCE[: edit["start"]] + edit["text"] + SOURCE[edit["end"] :] == SOURCE.replace(
        "['hours']", "[['hours']]"
    )


def test_listener_of_the_example_counts_and_its_command_prints(
    tiny_model: Path, environment: dict[str, str]
) -> None:
    server = Server(tiny_model, environment=environment)
    for name in ("a", "a", "b"):
        server.client.post("/feedback", json={"id": name, "event": "accepted"})
    server.client.post("/feedback", json={"id": "c", "event": "dismissed"})
    server.stop()
    assert jupyter_turbopilot(environment, "accepted") == f"{datetime.now(UTC):%Y-%m-%d} 2\n"


def test_command_of_the_example_is_in_the_help(environment: dict[str, str]) -> None:
    assert "print how many suggestions were accepted" in jupyter_turbopilot(environment, "--help")
