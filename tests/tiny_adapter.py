"""Write a tiny LoRA adapter for the tiny model."""

from pathlib import Path

import gguf
import numpy as np

from .tiny_model import EMBED

RANK = 4


def make(
    path: Path,
    *,
    architecture: str = "llama",
    kind: str = "adapter",
    width: int = EMBED,
    alpha: float = 64.0,
    other_rank: int = RANK,
    value: float = 0.0,
) -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type(kind)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    random = np.random.default_rng(2)
    for end, shape in (("a", (RANK, width)), ("b", (width, other_rank))):
        values = random.standard_normal(shape).astype(np.float32) + np.float32(value)
        writer.add_tensor(f"blk.0.attn_output.weight.lora_{end}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
