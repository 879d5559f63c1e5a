"""Write llama.cpp's logits for a tiny character-level model, as golden values for the browser engine.

`python -m tests.character_model` writes them to `tests/golden/engine/`. `research/scripts/character_model.py`
wrote the model there.
"""

import ctypes
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np

from jupyter_turbopilot.engine.llama.bindings import bindings
from jupyter_turbopilot.plugins.convert.quantize import kinds, quantize

GOLDEN = Path(__file__).parent / "golden" / "engine"
MODEL, LOGITS = GOLDEN / "tiny.gguf", GOLDEN / "logits.json"
CHARACTERS, CONTEXT = 98, 512  # of the model
LENGTHS = (1, 2, 3, 16, 17, 31, 32, 33, 64, 150, 300)
DIGITS = 5


def unquantised(path: Path, target: Path) -> Path:
    """Write the same weights as F32, which llama.cpp computes without rounding."""
    order: Any = SimpleNamespace(source=path, target=target, kind="F32", number=kinds()["F32"], again=True)
    return quantize(order, 1)


def texts(seed: int = 1) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, CHARACTERS, length).tolist() for length in LENGTHS]


def logits(path: Path, prompts: list[list[int]]) -> list[list[float]]:
    """Return llama.cpp's logits after each prompt, with keys and values in F32."""
    lib = bindings()
    model = lib.llama_model_load_from_file(str(path).encode(), lib.llama_model_default_params())
    options = lib.llama_context_default_params()
    options.n_ctx = options.n_batch = options.n_ubatch = CONTEXT
    options.n_threads = options.n_threads_batch = 1
    options.type_k = options.type_v = lib.GGML_TYPE_F32
    options.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = lib.llama_init_from_model(model, options)
    rows = []
    for ids in prompts:
        lib.llama_memory_clear(lib.llama_get_memory(context), True)
        array = (ctypes.c_int32 * len(ids))(*ids)
        assert lib.llama_decode(context, lib.llama_batch_get_one(array, len(ids))) == 0
        row = np.ctypeslib.as_array(lib.llama_get_logits_ith(context, -1), shape=(128,))
        rows.append(row.astype(float).tolist())
    lib.llama_free(context)
    lib.llama_model_free(model)
    return rows


def golden() -> list[dict[str, list[Any]]]:
    """Return texts and their logits, with the weights of the checked-in model."""
    with TemporaryDirectory() as folder:
        path = unquantised(MODEL, Path(folder) / "exact.gguf")
        rows = logits(path, texts())
    return [
        {"ids": ids, "logits": [round(value, DIGITS) for value in row]}
        for ids, row in zip(texts(), rows, strict=True)
    ]


if __name__ == "__main__":
    LOGITS.write_text("[\n" + ",\n".join(map(json.dumps, golden())) + "\n]\n")
