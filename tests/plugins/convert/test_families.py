"""Converted tiny random models of every family have the logits of transformers."""

import json
from pathlib import Path

import numpy as np
import pytest

from jupyter_turbopilot.models.checkpoint import Checkpoint
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.plugins.convert.conversion import convert, recipe_for
from jupyter_turbopilot.protocol.errors import ConversionError
from tests.plugins.convert import families, native

SAMPLES = 4
LENGTH = 200


def agreement(model: object, path: Path) -> tuple[float, float]:
    """Return the share of equal most likely tokens, and the largest difference of all logits."""
    random = np.random.default_rng(3)
    same, worst = [], 0.0
    for _ in range(SAMPLES):
        tokens = random.integers(0, families.ROWS, LENGTH).tolist()
        wanted, got = families.true_logits(model, tokens), native.logits(path, tokens)
        same.append(wanted.argmax(1) == got.argmax(1))
        worst = max(worst, float(np.abs(wanted - got).max()))
    return float(np.mean(same)), worst


@pytest.mark.parametrize("family", families.FAMILIES)
def test_converted_models_have_the_logits_of_transformers(family: str, tmp_path: Path) -> None:
    model = families.make(family, tmp_path / "hf")
    path = convert(tmp_path / "hf", tmp_path / "model.gguf", outtype="f32")
    same, worst = agreement(model, path)
    assert same >= 0.995
    assert worst < 0.02


@pytest.mark.parametrize("kept", ["sharded", "binary"])
def test_convert_reads_sharded_and_torch_weights(kept: str, tmp_path: Path) -> None:
    model = families.make("gpt2", tmp_path / "hf", **{kept: True})
    assert len(list((tmp_path / "hf").glob("*.safetensors"))) > 1 or kept == "binary"
    assert agreement(model, convert(tmp_path / "hf", tmp_path / "model.gguf", outtype="f32"))[0] >= 0.995


def test_convert_limits_the_context_to_the_sliding_window(tmp_path: Path) -> None:
    families.make("starcoder2", tmp_path / "hf", sliding_window=64)
    header = read_header(convert(tmp_path / "hf", tmp_path / "model.gguf"))
    assert header.number("context_length") == 64


@pytest.mark.parametrize(
    ("family", "older"),
    [
        ("llama-linear", {"rope_theta": 1e5, "rope_scaling": {"type": "linear", "factor": 4.0}}),
        ("gpt-neox", {"rotary_pct": 0.5, "rotary_emb_base": 10000}),
        ("phi", {"partial_rotary_factor": 0.5, "rope_theta": 10000.0, "rope_scaling": None}),
    ],
)
def test_convert_reads_settings_of_older_files(family: str, older: dict[str, object], tmp_path: Path) -> None:
    families.make(family, tmp_path / "hf")
    now = recipe_for(Checkpoint(tmp_path / "hf"))
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    for name in ("rope_parameters", "rotary_pct", "partial_rotary_factor"):
        config.pop(name, None)
    (tmp_path / "hf" / "config.json").write_text(json.dumps({**config, **older}))
    assert recipe_for(Checkpoint(tmp_path / "hf")).values == now.values


def test_convert_refuses_other_rope_scaling(tmp_path: Path) -> None:
    families.make("llama", tmp_path / "hf")
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    for kind in ("yarn", "llama3", "dynamic"):
        config["rope_parameters"] = {"rope_type": kind, "factor": 8.0, "rope_theta": 1e4}
        (tmp_path / "hf" / "config.json").write_text(json.dumps(config))
        with pytest.raises(ConversionError, match=f"{kind} rope scaling is not supported"):
            convert(tmp_path / "hf", tmp_path / "model.gguf")
