"""The small character-level model in llama.cpp."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.load.plan import LoadPlan
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.prompt.formats import form_for
from jupyter_turbopilot.protocol.errors import TurbopilotError
from tests.plugins.convert import native
from turbopilot_research.train.network import free, load, write_model
from turbopilot_research.train.scratch import ROWS, TEXT, Shape, write_blank, write_for_browsers

SMALL = Shape(width=64, layers=2, heads=2, length=512)


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_blank(tmp_path_factory.mktemp("blank") / "blank.gguf", SMALL)


@pytest.fixture(scope="module")
def engine(blank: Path) -> LlamaEngine:
    return LlamaEngine(blank, LoadPlan(512, 1), name="blank")


@given(text=st.text(st.sampled_from([chr(byte) for byte in TEXT]), max_size=60))
def test_blank_model_has_one_token_per_character(text: str, engine: LlamaEngine) -> None:
    tokens = engine.vocabulary.tokenize(text)
    assert len(tokens) == len(text)
    assert b"".join(map(engine.vocabulary.piece, tokens)).decode() == text


@given(text=st.text(max_size=60))
def test_blank_model_replaces_other_characters(text: str, engine: LlamaEngine) -> None:
    known = {chr(byte) for byte in TEXT}
    tokens = engine.vocabulary.tokenize(text)
    assert b"".join(map(engine.vocabulary.piece, tokens)).decode() == "".join(
        c if c in known else "\x1a" for c in text
    )


def test_blank_model_supports_fill_in_the_middle(engine: LlamaEngine) -> None:
    form = form_for(engine.vocabulary.find_token, engine.vocabulary.markers)
    first = len(TEXT)
    assert form.markers == {"prefix": first + 1, "suffix": first + 2, "middle": first + 3}
    assert first in engine.vocabulary.ends
    assert engine.vocabulary.piece(first + 1) == b""


def test_trained_model_runs_in_llama_cpp(blank: Path, tmp_path: Path) -> None:
    made = load(blank, torch.device("cpu"), torch.float32)
    free(made)
    torch.manual_seed(2)
    with torch.no_grad():
        for part in made.learnt().values():
            part.add_(torch.randn_like(part) * 0.05)
    path = write_model(made, blank, tmp_path / "trained.gguf")
    tokens = np.random.default_rng(1).integers(0, ROWS, 200).tolist()
    with torch.no_grad():
        wanted = made.model(input_ids=torch.tensor([tokens])).logits[0].numpy()
    got = native.logits(path, tokens)
    assert (wanted.argmax(1) == got.argmax(1)).mean() >= 0.99
    assert np.abs(wanted - got).max() < 0.05
    assert (native.logits(blank, tokens).argmax(1) == got.argmax(1)).mean() < 0.9


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_blank(tmp_path / "my model.gguf", Shape(width=64, layers=2, heads=2, length=256))


def listed(path: Path) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = json.loads(path.read_text())["models"]
    return models


def test_write_for_browsers_quantises_and_lists_a_model(model: Path) -> None:
    (entry,) = listed(write_for_browsers(model))
    small = model.with_name("my model-q8.gguf")
    assert {part.kind for part in read_header(small).parts if len(part.shape) > 1} == {8}
    assert entry == {
        "name": "my model",
        "url": "my%20model-q8.gguf",
        "sha256": hashlib.sha256(small.read_bytes()).hexdigest(),
        "size": small.stat().st_size,
    }


def test_write_for_browsers_keeps_other_entries(model: Path) -> None:
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


@pytest.mark.parametrize("content", ["", "[]", '{"models": 3}', "[" * 100_000])
def test_write_for_browsers_refuses_a_damaged_list(content: str, model: Path) -> None:
    path = model.with_name("models.json")
    path.write_text(content, "latin-1")
    with pytest.raises(TurbopilotError, match=r"models\.json .*\. Correct it, or move it elsewhere\."):
        write_for_browsers(model)
    assert path.read_text("latin-1") == content
    assert not model.with_name("my model-q8.gguf").exists()
