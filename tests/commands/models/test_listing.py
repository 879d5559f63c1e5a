from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from jupyter_turbopilot.models.catalog import catalog

from ..running import run

if TYPE_CHECKING:
    import pytest


def test_the_list_names_every_model_of_the_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "models", "list")
    assert status == 0
    assert all(name in out for name in catalog())
    assert json.loads(run(capsys, "models", "list", "--json")[1])[0]["name"] == "qwen2.5-coder-0.5b"


def test_the_list_marks_what_also_runs_in_a_browser(capsys: pytest.CaptureFixture[str]) -> None:
    marked = {name for name, model in catalog().items() if model.browser}
    lines = run(capsys, "models", "list")[1].splitlines()[:-2]
    assert {line[2:].split()[0] for line in lines if "  browser  " in line} == marked
    models = json.loads(run(capsys, "models", "list", "--json")[1])
    assert {model["name"] for model in models if model["browser"]} == marked


def test_the_list_has_the_checkpoints_where_transformers_computes(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "models", "list", "--engine", "transformers")
    assert "incoder-1b" in out
    assert "qwen2.5-coder-0.5b" not in out


def test_the_list_of_models_stands_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "models", "list")[1].splitlines()[:-2]
    assert len(lines) > 40
    assert len({re.search(" [MG]B ", line).start() for line in lines}) == 1  # type: ignore[union-attr]
    entries = [catalog()[line[2:].split()[0]] for line in lines]
    for words in ([entry.licence for entry in entries], [entry.use for entry in entries]):
        assert len({line.rindex(f"  {word}") for line, word in zip(lines, words, strict=True)}) == 1
