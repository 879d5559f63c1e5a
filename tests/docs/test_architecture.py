"""docs/developers/architecture.md names threads that exist, and walks through every step."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "developers" / "architecture.md").read_text("utf-8")
PYTHON = "\n".join(path.read_text("utf-8") for path in (ROOT / "jupyter_turbopilot").rglob("*.py"))


@pytest.mark.parametrize("name", sorted({*re.findall(r"`(turbopilot(?:-\w+)?)`", PAGE)}))
def test_architecture_names_threads_that_are_started(name: str) -> None:
    assert f'"{name}"' in PYTHON


def test_architecture_has_a_walk_through_of_every_step() -> None:
    table = PAGE.partition("<!-- walk-through")[2]
    for step in (
        "plan_suggestion",
        "Generation.seat",
        "CompletionJob.take_matches",
        "Worker.submit",
        "TextGeneration.generate",
    ):
        assert f"| `{step}` |" in table
