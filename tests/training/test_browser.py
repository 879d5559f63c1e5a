from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.training.browser import write_for_browsers
from jupyter_turbopilot.training.scratch import Shape, write_blank


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_blank(tmp_path / "my model.gguf", Shape(width=64, layers=2, heads=2, length=256))


def listed(path: Path) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = json.loads(path.read_text())["models"]
    return models


def test_a_model_is_quantised_and_listed_as_a_page_wants_it(model: Path) -> None:
    (entry,) = listed(write_for_browsers(model))
    small = model.with_name("my model-q8.gguf")
    assert {part.kind for part in read_header(small).parts if len(part.shape) > 1} == {8}
    assert entry == {
        "name": "my model",
        "url": "my%20model-q8.gguf",
        "sha256": hashlib.sha256(small.read_bytes()).hexdigest(),
        "size": small.stat().st_size,
    }


def test_what_else_is_listed_stays(model: Path) -> None:
    path = write_for_browsers(model)
    (entry,) = listed(path)
    other = {"name": "theirs", "url": "https://example.org/theirs.gguf"}
    kept = {"models": [{**entry, "sha256": "old", "use": "our course"}, other], "note": "ours"}
    path.write_text(json.dumps(kept))
    assert listed(write_for_browsers(model)) == [{**entry, "use": "our course"}, other]
    tune = model.rename(model.with_name("tune.gguf"))
    names = [(one["name"], one.get("language")) for one in listed(write_for_browsers(tune, "go"))]
    assert names == [("my model", None), ("theirs", None), ("tune", "go")]
    assert json.loads(path.read_text())["note"] == "ours"


@pytest.mark.parametrize("content", ["{}", '{"models": []}', '{"models": [3, null]}'])
def test_entries_that_are_none_stay_too(content: str, model: Path) -> None:
    model.with_name("models.json").write_text(content)
    *others, mine = listed(write_for_browsers(model))
    assert others == json.loads(content).get("models", [])
    assert mine["name"] == "my model"


@pytest.mark.parametrize("content", ["", "[]", '{"models": 3}', "[" * 100_000])
def test_a_list_that_is_damaged_is_left_to_whoever_wrote_it(content: str, model: Path) -> None:
    path = model.with_name("models.json")
    path.write_text(content, "latin-1")
    with pytest.raises(TurbopilotError, match=r"models\.json .*\. Correct it, or move it elsewhere\."):
        write_for_browsers(model)
    assert path.read_text("latin-1") == content
    assert not model.with_name("my model-q8.gguf").exists()
