"""Write the tiny character-level model of the browser engine's tests.

python research/scripts/character_model.py FILE

The tests have it in tests/golden/engine/. `python -m tests.character_model` writes llama.cpp's logits for it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import gguf
import numpy as np

from turbopilot_research.train.scratch import Shape, write_blank

SHAPE = Shape(width=32, layers=3, heads=2, length=512)
KEY_HEADS = 1  # both heads share their keys


def write_model(path: Path) -> Path:
    """Write a Q8_0 model like `scratch`, with grouped-query attention and random norms."""
    rng = np.random.default_rng(5)
    with TemporaryDirectory() as folder:
        reader = gguf.GGUFReader(write_blank(Path(folder) / "blank.gguf", SHAPE))
        writer = gguf.GGUFWriter(path, "llama")
        for field in reader.fields.values():
            if field.name.startswith("GGUF.") or field.name == "general.architecture":
                continue
            shared = field.name == "llama.attention.head_count_kv"
            value = KEY_HEADS if shared else field.contents()
            inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, value, field.types[0], sub_type=inner)
        for tensor in reader.tensors:
            values = tensor.data.astype(np.float32)
            if values.ndim == 1:
                writer.add_tensor(tensor.name, values * rng.uniform(0.5, 2, values.shape).astype(np.float32))
                continue
            if ".attn_k." in tensor.name or ".attn_v." in tensor.name:
                values = values[: SHAPE.width // SHAPE.heads * KEY_HEADS]
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(tensor.name, gguf.quants.quantize(values, kind), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return path


if __name__ == "__main__":
    write_model(Path(sys.argv[1]))
