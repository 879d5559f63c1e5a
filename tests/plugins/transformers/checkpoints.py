"""Tiny random checkpoints, which generate only tokens of their vocabulary."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from jupyter_turbopilot.plugins.transformers.checkpoint import TransformersOptions
from jupyter_turbopilot.plugins.transformers.engine import TransformersEngine
from jupyter_turbopilot.plugins.transformers.kind import load_engine
from tests.plugins.convert import families

MARKERS = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")


def write(folder: Path, family: str = "qwen2", **changed: Any) -> Path:
    """Write a checkpoint. Like Qwen's, it lists its fill-in-the-middle markers as ordinary tokens."""
    model = families.make(family, folder, **changed)
    path = folder / "tokenizer.json"
    tokenizer = families.Tokenizer.from_file(str(path))
    tokenizer.add_tokens(list(MARKERS))
    path.write_text(tokenizer.to_str())
    # Zero the padding rows: a random model, unlike a trained one, would generate them.
    head = model.get_output_embeddings()
    head.weight.data[tokenizer.get_vocab_size() :] = 0
    model.save_pretrained(folder)
    return folder


def load(folder: Path, options: TransformersOptions, *, name: str) -> TransformersEngine:
    """Load a checkpoint in this process."""
    return load_engine(folder, options, name=name)


def change(folder: Path, name: str, **values: Any) -> None:
    """Change settings in a file of a checkpoint."""
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def quantize(folder: Path, target: Path, *, group: int = 32) -> Path:
    """Write a checkpoint in GPTQ's format, rounded to nearest, and round the original's weights equally."""
    target.mkdir()
    for path in folder.glob("*.json"):
        (target / path.name).write_bytes(path.read_bytes())
    plain = load_file(folder / "model.safetensors")
    stored = {}
    for name, weight in list(plain.items()):
        if not name.endswith("_proj.weight"):
            stored[name] = weight.half()
            continue
        rows, columns = weight.shape
        groups = weight.float().reshape(rows, columns // group, group)
        low, high = groups.amin(2), groups.amax(2)
        scale = ((high - low) / 15).half().float()
        zero = (-low / scale).round().clamp(1, 15)
        numbers = (groups / scale[..., None] + zero[..., None]).round().clamp(0, 15)
        plain[name] = ((numbers - zero[..., None]) * scale[..., None]).reshape(rows, columns)
        layer = name.removesuffix(".weight")
        stored[f"{layer}.qweight"] = _packed(numbers.reshape(rows, columns)).T.contiguous()
        stored[f"{layer}.qzeros"] = _packed(zero.T - 1).contiguous()
        stored[f"{layer}.scales"] = scale.T.contiguous().half()
        stored[f"{layer}.g_idx"] = torch.arange(columns, dtype=torch.int32) // group
    save_file(plain, folder / "model.safetensors", {"format": "pt"})
    save_file(stored, target / "model.safetensors", {"format": "pt"})
    quantization = {"quant_method": "gptq", "bits": 4, "group_size": group, "desc_act": False, "sym": False}
    change(target, "config.json", quantization_config=quantization, dtype="float16")
    return target


def _packed(numbers: torch.Tensor) -> torch.Tensor:
    """Pack eight 4-bit numbers of each row into one 32-bit number."""
    whole = sum(numbers[:, place::8].long() << 4 * place for place in range(8))
    assert isinstance(whole, torch.Tensor)
    return torch.where(whole < 1 << 31, whole, whole - (1 << 32)).to(torch.int32)
