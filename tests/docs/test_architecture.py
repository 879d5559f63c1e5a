"""docs/architecture.md names modules, threads and calls that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
FOLDERS = ("", "jupyter_turbopilot/", "jupyter_turbopilot/completer/", "jupyter_turbopilot/engine/stepping/")
FOLDERS += ("jupyter_turbopilot/suggestion/", "jupyter_turbopilot/index/", "labextension/src/")
PYTHON = "\n".join(path.read_text("utf-8") for path in (ROOT / "jupyter_turbopilot").rglob("*.py"))


@pytest.mark.parametrize("name", sorted({*re.findall(r"`([\w/]+\.(?:py|ts|json))`", PAGE)}))
def test_architecture_names_files_that_exist(name: str) -> None:
    assert any((ROOT / folder / name).is_file() for folder in FOLDERS)


@pytest.mark.parametrize("name", sorted({*re.findall(r"`(turbopilot(?:-\w+)?)`", PAGE)}))
def test_architecture_names_threads_that_are_started(name: str) -> None:
    assert f'"{name}"' in PYTHON


@pytest.mark.parametrize("call", sorted({*re.findall(r"`[A-Z]\w+\.(\w+)`", PAGE)}))
def test_architecture_names_methods_that_exist(call: str) -> None:
    assert re.search(rf"def {call}\(", PYTHON)


def test_architecture_has_a_walk_through_of_every_step() -> None:
    table = PAGE.partition("<!-- walk-through")[2]
    for step in (
        "plan_suggestion",
        "Editors.enter",
        "CompletionJob.offer",
        "Worker.submit",
        "CompletionJob.begin",
    ):
        assert f"| `{step}` |" in table
