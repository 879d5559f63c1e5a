import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.plugins.transformers.checkpoint import (
    COMPUTE_BYTES,
    TOKEN_BYTES,
    TransformersOptions,
    check,
)
from jupyter_turbopilot.protocol.errors import ModelRefusedError, NotReadyError
from tests.plugins.convert import families

from . import checkpoints

LAYERS, KV_HEADS, HEAD = 3, 2, 16  # of the tiny Qwen2


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint that a test may change."""
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def test_check_estimates_the_memory(checkpoint: Path) -> None:
    loading = check(checkpoint, TransformersOptions(threads=3))
    parameters = families.FAMILIES["qwen2"][1]
    numbers = (checkpoint / "model.safetensors").stat().st_size // 4
    cache = 2 * LAYERS * KV_HEADS * HEAD * 4 * loading.cells
    assert (loading.context_size, loading.threads) == (parameters["max_position_embeddings"], 3)
    assert (loading.device, loading.dtype, loading.bits) == ("cpu", "float32", 0)
    about = numbers * 4 + cache + COMPUTE_BYTES + TOKEN_BYTES * families.ROWS
    assert loading.needs == pytest.approx(about, abs=5_000)


@pytest.mark.parametrize(("free", "message"), [(1000, "Close other programs"), (0, "choose a smaller model")])
def test_check_rejects_insufficient_memory_before_loading(
    free: int, message: str, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "free_memory", lambda: free)
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(ModelRefusedError, match=message) as refused:
        check(checkpoint)
    assert refused.value.code == "memory"


def test_check_enforces_max_memory(checkpoint: Path) -> None:
    with pytest.raises(ModelRefusedError, match=r"c\.Turbopilot\.max_memory"):
        check(checkpoint, TransformersOptions(max_bytes=1_000_000))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "own_model", "auto_map": {"AutoModelForCausalLM": "own.Model"}}, "never runs"),
        ({"model_type": "t5"}, "cannot generate text"),
        ({"model_type": ["nonsense"]}, "cannot generate text"),
        ({"model_type": None}, "cannot generate text"),
        ({"quantization_config": {"quant_method": "awq"}}, "quantized with 'awq'"),
        ({"num_attention_heads": "many"}, "config.json cannot be used"),
        ({"max_position_embeddings": -1}, "max_position_embeddings"),
    ],
)
def test_check_rejects_unsupported_checkpoints(config: dict[str, Any], message: str, copy: Path) -> None:
    checkpoints.change(copy, "config.json", **config)
    with pytest.raises(ModelRefusedError, match=message):
        check(copy)


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("config.json", "There is no config.json"),
        ("tokenizer.json", "There is no tokenizer"),
        ("model.safetensors", "There are no weights"),
    ],
)
def test_check_names_a_missing_file(gone: str, message: str, copy: Path) -> None:
    (copy / gone).unlink()
    with pytest.raises(ModelRefusedError, match=message):
        check(copy)


def test_check_rejects_damaged_weights(copy: Path) -> None:
    os.truncate(copy / "model.safetensors", 10_000)
    with pytest.raises(ModelRefusedError, match="damaged or incomplete"):
        check(copy)


def test_check_never_runs_code_in_a_pickle(copy: Path) -> None:
    class Code:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (copy / "was-run",))

    (copy / "model.safetensors").unlink()
    torch.save({"weight": Code()}, copy / "pytorch_model.bin")
    with pytest.raises(ModelRefusedError, match="more than weights"):
        check(copy)
    assert not (copy / "was-run").exists()


@pytest.mark.parametrize("device", ["cuda:99", "mps:3", "tpu", ""])
def test_check_lists_the_devices_if_the_chosen_one_is_missing(device: str, checkpoint: Path) -> None:
    with pytest.raises(NotReadyError, match=r"cpu.*c\.TurbopilotTransformers\.device"):
        check(checkpoint, TransformersOptions(device=device))


def test_check_names_the_package_for_gptq(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from .test_packages import without

    checkpoints.change(copy, "config.json", quantization_config={"quant_method": "gptq", "bits": 4})
    without(monkeypatch, "gptqmodel")
    with pytest.raises(NotReadyError, match=r"gptqmodel is missing.*\[gptq\]"):
        check(copy)


def test_identity_changes_with_files_and_settings(copy: Path) -> None:
    seen = {check(copy, TransformersOptions(context_size=size)).identity for size in (0, 64)}
    assert check(copy).identity in seen
    stat = (copy / "model.safetensors").stat()
    os.utime(copy / "model.safetensors", ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    seen.add(check(copy).identity)
    checkpoints.change(copy, "tokenizer_config.json", add_bos_token=True)
    seen.add(check(copy).identity)
    assert len(seen) == 4


def test_checkpoint_import_loads_no_heavy_packages() -> None:
    code = (
        "import sys; from jupyter_turbopilot.plugins.transformers import checkpoint, vocabulary; "
        "print({'torch', 'transformers', 'tokenizers', 'llama_cpp'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
