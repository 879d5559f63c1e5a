from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from jupyter_turbopilot.files import partial_path
from jupyter_turbopilot.models.catalog import catalog

from ..running import run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_list_names_every_model_of_the_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "models", "list")
    assert status == 0
    assert all(name in out for name in catalog())
    assert json.loads(run(capsys, "models", "list", "--json")[1])[0]["name"] == "qwen2.5-coder-0.5b"


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


def test_list_shows_damaged_files_and_unfinished_downloads(
    capsys: pytest.CaptureFixture[str], models_folder: Path
) -> None:
    small, other = catalog()["smollm2-135m"], catalog()["smollm2-360m"]
    (models_folder / small.file).write_bytes(b"GGUF")
    partial_path(models_folder / other.file).write_bytes(bytes(1000))
    lines = run(capsys, "models", "list")[1].splitlines()
    states = {line[2:].split()[0]: line for line in lines if line}
    assert "  damaged  " in states[small.name]
    assert "  0% downloaded  " in states[other.name]
    (advice,) = [line for line in lines if "is damaged" in line]
    assert advice.endswith("run: jupyter turbopilot models pull --mirrors smollm2-135m")
    models = {model["name"]: model for model in json.loads(run(capsys, "models", "list", "--json")[1])}
    assert (models[small.name]["damaged"], models[small.name]["stored"]) == (True, False)
    assert models[small.name]["size"] == small.size
    assert models[other.name]["received"] == 1000
