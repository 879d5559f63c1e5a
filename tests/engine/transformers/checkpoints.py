"""Tiny random checkpoints that transformers loads and that write only tokens of their vocabulary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.models.convert import families

MARKERS = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")


def write(folder: Path, family: str = "qwen2", **changed: Any) -> Path:
    """Write a checkpoint; those with fill-in-the-middle markers list them as ordinary tokens, as Qwen does."""
    model = families.make(family, folder, **changed)
    path = folder / "tokenizer.json"
    tokenizer = families.Tokenizer.from_file(str(path))
    tokenizer.add_tokens(list(MARKERS))
    path.write_text(tokenizer.to_str())
    # Rows that no token has would be written by a random model, and by no trained one.
    head = model.get_output_embeddings()
    head.weight.data[tokenizer.get_vocab_size() :] = 0
    model.save_pretrained(folder)
    return folder


def change(folder: Path, name: str, **values: Any) -> None:
    """Change settings in one of a checkpoint's files."""
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def quantize(folder: Path, target: Path, *, group: int = 32) -> Path:
    """Write a checkpoint as GPTQ stores it, rounding to the nearest, and round the original's weights alike."""
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
    said = {"quant_method": "gptq", "bits": 4, "group_size": group, "desc_act": False, "sym": False}
    change(target, "config.json", quantization_config=said, dtype="float16")
    return target


def _packed(numbers: torch.Tensor) -> torch.Tensor:
    """Put eight numbers of four bits of each row into one of 32 bits."""
    whole = sum(numbers[:, place::8].long() << 4 * place for place in range(8))
    assert isinstance(whole, torch.Tensor)
    return torch.where(whole < 1 << 31, whole, whole - (1 << 32)).to(torch.int32)
