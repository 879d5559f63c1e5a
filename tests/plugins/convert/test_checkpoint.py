"""Invalid, damaged or hostile folders are refused with a message, without leaving files."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from jupyter_turbopilot.plugins.convert.conversion import convert
from jupyter_turbopilot.protocol.errors import ConversionError
from jupyter_turbopilot.util import files
from tests.plugins.convert import families


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good") / "hf"
    families.make("gpt2", folder)
    return folder


def refuse(folder: Path, reason: str, **more: Any) -> None:
    target = folder.parent / "model.gguf"
    with pytest.raises(ConversionError, match=reason):
        convert(folder, target, **more)
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name]


def changed(folder: Path, good: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    shutil.copytree(good, folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def set_(folder: Path, good: Path, **values: Any) -> Path:
    shutil.copytree(good, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))
    return folder


ODD = {
    "missing": (lambda t: t.pop("transformer.h.1.mlp.c_fc.weight"), "h.1.mlp.c_fc.weight is missing"),
    "another shape": (
        lambda t: t.update({"transformer.ln_f.weight": torch.ones(63)}), r"has the shape \[63\], not \[64\]",
    ),
    "one too many": (lambda t: t.update({"transformer.h.0.extra": torch.ones(4)}), "such as transformer.h.0.extra"),
    "not a number": (
        lambda t: t.update({"transformer.ln_f.bias": torch.full((64,), float("nan"))}), "NaN or infinity",
    ),
    "infinite": (lambda t: t["transformer.wte.weight"].fill_(float("inf")), "NaN or infinity"),
    "a hostile name": (lambda t: t.update({"x\n\x1b[2J": torch.ones(4)}), "invalid name"),
    "a long name": (lambda t: t.update({"x" * 300: torch.ones(4)}), "invalid name"),
    "an empty tensor": (lambda t: t.update({"transformer.h.0.extra": torch.ones(0)}), "invalid shape"),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_convert_refuses_invalid_weights(case: str, good: Path, tmp_path: Path) -> None:
    change, reason = ODD[case]
    refuse(changed(tmp_path / "hf", good, change), reason)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"model_type": "bert"}, "'bert' is not supported. Supported: codegen"),
        ({"model_type": None}, "does not set model_type"),
        ({"model_type": 7}, "invalid model_type"),
        ({"activation_function": "relu"}, "activation_function = relu is not supported"),
        ({"n_embd": -4}, "invalid n_embd"),
        ({"n_embd": "64"}, "invalid n_embd"),
        ({"n_embd": 1 << 40}, "invalid n_embd"),
        ({"layer_norm_epsilon": float("inf")}, "invalid layer_norm_epsilon"),
        ({"add_cross_attention": True}, "add_cross_attention = True is not supported"),
        ({"n_layer": 4}, "is missing"),
    ],
)
def test_convert_refuses_unsupported_settings(
    values: dict[str, Any], reason: str, good: Path, tmp_path: Path
) -> None:
    refuse(set_(tmp_path / "hf", good, **values), reason)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999])
def test_convert_refuses_truncated_weights(share: float, good: Path, tmp_path: Path) -> None:
    shutil.copytree(good, tmp_path / "hf")
    path = tmp_path / "hf" / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    refuse(tmp_path / "hf", "damaged or incomplete")


def test_convert_refuses_overlapping_tensors(good: Path, tmp_path: Path) -> None:
    shutil.copytree(good, tmp_path / "hf")
    path = tmp_path / "hf" / "model.safetensors"
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    first, second = [name for name in header if name != "__metadata__"][:2]
    header[second]["data_offsets"] = header[first]["data_offsets"]
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
    refuse(tmp_path / "hf", "damaged or incomplete")


def test_convert_refuses_an_index_that_leaves_the_folder(good: Path, tmp_path: Path) -> None:
    shutil.copytree(good, tmp_path / "hf")
    (tmp_path / "hf" / "model.safetensors.index.json").write_text(
        '{"weight_map": {"x": "../../secret.safetensors"}}'
    )
    refuse(tmp_path / "hf", "refers to a file outside")


def test_convert_refuses_a_pickle_with_code(good: Path, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'pwned'}",)

    shutil.copytree(good, tmp_path / "hf")
    (tmp_path / "hf" / "model.safetensors").unlink()
    (tmp_path / "hf" / "pytorch_model.bin").write_bytes(pickle.dumps(Hostile()))
    refuse(tmp_path / "hf", "more than weights")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "7"])
def test_convert_refuses_invalid_json(text: str, good: Path, tmp_path: Path) -> None:
    shutil.copytree(good, tmp_path / "hf")
    (tmp_path / "hf" / "config.json").write_text(text)
    refuse(tmp_path / "hf", "config.json")


def test_convert_checks_disk_space_first(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(good, tmp_path / "hf")
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1000))
    refuse(tmp_path / "hf", "Delete files")


def test_convert_refuses_numbers_too_large_for_f16_with_advice(good: Path, tmp_path: Path) -> None:
    folder = changed(tmp_path / "hf", good, lambda t: t["transformer.wte.weight"].fill_(1e6))
    refuse(folder, "--outtype bf16")
    assert convert(folder, tmp_path / "model.gguf", outtype="bf16").is_file()
