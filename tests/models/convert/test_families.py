"""Every family, on tiny random models: llama.cpp computes what transformers computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from jupyter_turbopilot.models.convert import bigcode, convert, gptj, llama
from jupyter_turbopilot.models.gguf import read_header
from tests.models.convert import families, native

if TYPE_CHECKING:
    from pathlib import Path

SAMPLES = 4
LENGTH = 200


def agreement(model: object, path: Path) -> tuple[float, float]:
    """Return how often the likeliest token is the same, and the largest difference of all logits."""
    random = np.random.default_rng(3)
    same, worst = [], 0.0
    for _ in range(SAMPLES):
        tokens = random.integers(0, families.ROWS, LENGTH).tolist()
        wanted, got = families.true_logits(model, tokens), native.logits(path, tokens)
        same.append(wanted.argmax(1) == got.argmax(1))
        worst = max(worst, float(np.abs(wanted - got).max()))
    return float(np.mean(same)), worst


@pytest.mark.parametrize("family", families.FAMILIES)
def test_llama_cpp_computes_what_transformers_computes(family: str, tmp_path: Path) -> None:
    model = families.make(family, tmp_path / "hf")
    path = convert(tmp_path / "hf", tmp_path / "model.gguf", outtype="f32")
    same, worst = agreement(model, path)
    assert same >= 0.995
    assert worst < 0.02


def test_rows_that_are_not_reordered_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = families.make("codegen", tmp_path / "hf")
    monkeypatch.setattr(gptj, "halves", lambda matrix, **_: matrix)
    assert agreement(model, convert(tmp_path / "hf", tmp_path / "model.gguf", outtype="f32"))[0] < 0.5


def test_a_wrong_number_of_shards_is_noticed(tmp_path: Path) -> None:
    model = families.make("codegen", tmp_path / "hf")
    path = convert(tmp_path / "hf", tmp_path / "model.gguf", outtype="f32", shards=2)
    assert agreement(model, path)[0] < 0.5


def test_a_wrong_order_of_queries_keys_and_values_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = families.make("bigcode-heads", tmp_path / "hf")
    monkeypatch.setattr(bigcode, "unmixed", lambda matrix, **_: matrix)
    assert agreement(model, convert(tmp_path / "hf", tmp_path / "model.gguf", outtype="f32"))[0] < 0.5


def test_neighbours_instead_of_halves_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = families.make("llama", tmp_path / "hf")
    monkeypatch.setattr(llama, "neighbours", lambda matrix, **_: matrix)
    assert agreement(model, convert(tmp_path / "hf", tmp_path / "model.gguf", outtype="f32"))[0] < 0.5


@pytest.mark.parametrize(("outtype", "most"), [("f16", 0.1), ("bf16", 2.0), ("q8_0", 2.0)])
def test_shorter_numbers_cost_a_little(outtype: str, most: float, tmp_path: Path) -> None:
    model = families.make("qwen2", tmp_path / "hf")
    path = convert(tmp_path / "hf", tmp_path / "model.gguf", outtype=outtype)
    same, worst = agreement(model, path)
    assert same >= 0.9
    assert worst < most
    assert (
        path.stat().st_size < convert(tmp_path / "hf", tmp_path / "whole.gguf", outtype="f32").stat().st_size
    )


@pytest.mark.parametrize("kept", ["sharded", "binary"])
def test_weights_in_parts_or_in_torchs_own_files_are_the_same(kept: str, tmp_path: Path) -> None:
    model = families.make("gpt2", tmp_path / "hf", **{kept: True})
    assert len(list((tmp_path / "hf").glob("*.safetensors"))) > 1 or kept == "binary"
    assert agreement(model, convert(tmp_path / "hf", tmp_path / "model.gguf", outtype="f32"))[0] >= 0.995


def test_the_context_is_no_longer_than_a_sliding_window(tmp_path: Path) -> None:
    families.make("starcoder2", tmp_path / "hf", sliding_window=64)
    header = read_header(convert(tmp_path / "hf", tmp_path / "model.gguf"))
    assert header.number("context_length") == 64
