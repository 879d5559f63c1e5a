"""The trained network computes the same as llama.cpp, with and without adapters."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from jupyter_turbopilot.models.ggml import interleave_halves
from jupyter_turbopilot.plugins.convert.conversion import convert
from jupyter_turbopilot.protocol.errors import TurbopilotError
from tests.plugins.convert import families, native
from turbopilot_research.train.network import Network, adapt, load, separate_halves, write_adapter

CPU = torch.device("cpu")
FAMILIES = ["qwen2", "llama", "llama-linear"]


def tuned(path: Path, first: int = 0) -> Network:
    """Load a model and set its LoRA matrices to random values."""
    made = load(path, CPU, torch.float32)
    adapt(made, 4, 8.0, first)
    torch.manual_seed(3)
    with torch.no_grad():
        for part in made.learnt().values():
            part.copy_(torch.randn_like(part) * 0.1)
    return made


def logits(made: Network, tokens: list[int]) -> np.ndarray:
    with torch.no_grad():
        found: np.ndarray = made.model(input_ids=torch.tensor([tokens])).logits[0].float().numpy()
    return found


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    families.make(request.param, folder / "hf")
    return convert(folder / "hf", folder / "model.gguf", outtype="f32")


TOKENS = np.random.default_rng(3).integers(0, families.ROWS, 200).tolist()


def test_network_has_the_logits_of_llama_cpp(model: Path) -> None:
    wanted, got = native.logits(model, TOKENS), logits(load(model, CPU, torch.float32), TOKENS)
    assert (wanted.argmax(1) == got.argmax(1)).mean() >= 0.995
    assert np.abs(wanted - got).max() < 0.02


def test_write_adapter_adds_the_same_in_llama_cpp(model: Path, tmp_path: Path) -> None:
    made = tuned(model, first=1)
    adapter = write_adapter(made, tmp_path / "a.gguf", "test")
    wanted, got = logits(made, TOKENS), native.logits(model, TOKENS, adapter)
    assert (wanted.argmax(1) == got.argmax(1)).mean() >= 0.99
    assert np.abs(wanted - got).max() < 0.1
    plain = native.logits(model, TOKENS)
    assert (plain.argmax(1) == got.argmax(1)).mean() < 0.9  # the adapter has an effect


@pytest.fixture(scope="module")
def unpacked(default_model: Path) -> Network:
    return load(default_model, CPU, torch.float32)


def test_load_dequantises_a_model(unpacked: Network, default_model: Path) -> None:
    tokens = [151659, 1040, 11458, 3932, 982, 262, 470, 151661, 151660]
    wanted, got = native.logits(default_model, tokens), logits(unpacked, tokens)
    assert (wanted.argmax(1) == got.argmax(1)).mean() > 0.7  # llama.cpp also quantises activations
    assert np.corrcoef(wanted.ravel(), got.ravel())[0, 1] > 0.99


def test_load_reports_missing_and_unexpected_tensors(tmp_path: Path) -> None:
    families.make("qwen2", tmp_path / "hf")
    path = convert(tmp_path / "hf", tmp_path / "model.gguf", outtype="f32")
    damaged = tmp_path / "damaged.gguf"
    shutil.copy(path, damaged)
    data = damaged.read_bytes().replace(b"blk.0.ffn_norm.weight", b"blk.0.ffn_gorm.weight")
    damaged.write_bytes(data)
    with pytest.raises(TurbopilotError, match="unexpected tensor"):
        load(damaged, CPU, torch.float32)


def test_separate_halves_undoes_interleave_halves() -> None:
    matrix = np.arange(24).reshape(12, 2)
    assert (separate_halves(interleave_halves(matrix, heads=2), heads=2) == matrix).all()
