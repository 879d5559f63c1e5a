"""Make the importance matrix of a bundled adapter from notebooks of its training corpus.

python research/scripts/importance.py MODEL ADAPTER CORPUS

The matrix is written beside the adapter. As llama-imatrix does, the script adds up the squares of each
matrix's inputs, here for prompts as the server sends them and the text that follows.
"""

from __future__ import annotations

import ctypes
import random
import shutil
import sys
import tempfile
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jupyter_turbopilot.engine.llama.bindings import NO_DEVICES, bindings, quantise
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.load.machine import threads
from jupyter_turbopilot.engine.load.plan import LoadPlan
from jupyter_turbopilot.models.tuning.merge import merge
from jupyter_turbopilot.models.tuning.recipe import group_of, matrix_path
from jupyter_turbopilot.settings.config import Turbopilot
from turbopilot_research.train.corpus import read
from turbopilot_research.train.samples import samples_of, typed_cells
from turbopilot_research.train.trainer import layout_of

if TYPE_CHECKING:
    from collections.abc import Iterator

llama_cpp = bindings()
SAMPLES, CONTEXT = 66, 700  # about 90,000 characters
SIZE = 2048  # of a batch
SMALLEST = 2.0**-14  # of a float16 with full precision: without importance, a column would be lost


class Tensor(ctypes.Structure):
    """ggml's `ggml_tensor`."""


Tensor._fields_ = [
    ("type", ctypes.c_int),
    ("buffer", ctypes.c_void_p),
    ("ne", ctypes.c_int64 * 4),
    ("nb", ctypes.c_size_t * 4),
    ("op", ctypes.c_int),
    ("op_params", ctypes.c_int32 * 16),
    ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(Tensor) * 10),
    ("view_src", ctypes.c_void_p),
    ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p),
    ("name", ctypes.c_char * 64),
]


def prompts(model: Path, corpus: Path) -> Iterator[list[int]]:
    """Iterate over one prompt and its answer for each of some notebooks, as tokens."""
    rng = random.Random(81)  # noqa: S311
    notebooks = [document for document in read([corpus]) if len(typed_cells(document)) > 1]
    rng.shuffle(notebooks)
    with closing(LlamaEngine(model, LoadPlan(4096, threads()), name=model.stem)) as engine:
        layout, end = layout_of(engine, Turbopilot(), CONTEXT)
        for document in notebooks:
            cell = rng.choice(typed_cells(document)[1:])
            yield from ([*s.prompt, *s.answer] for s in samples_of(rng, document, cell, layout, end))


def measure(model: Path, texts: list[list[int]]) -> dict[str, Any]:
    """Return the sums of squares of the inputs by group."""
    sums: dict[str, Any] = {}

    def evaluated(address: int, ask: bool, _: int) -> bool:
        tensor = ctypes.cast(address, ctypes.POINTER(Tensor)).contents
        weights = tensor.src[0]
        name = weights.contents.name.decode() if weights else ""
        wanted = name.endswith(".weight") and not name.startswith("token_embd.")
        if wanted and not ask:
            inputs = tensor.src[1].contents
            values = ctypes.cast(inputs.data, ctypes.POINTER(ctypes.c_float))
            rows = np.ctypeslib.as_array(values, (inputs.ne[1], inputs.ne[0]))
            group = group_of(name)
            sums[group] = sums.get(group, 0.0) + np.square(rows, dtype=np.float64).sum(0)
        return wanted or not ask

    options = llama_cpp.llama_model_default_params()
    options.devices = NO_DEVICES  # the callback reads the inputs from the processor's memory
    handle = llama_cpp.llama_model_load_from_file(str(model).encode(), options)
    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = SIZE
    parameters.n_threads = parameters.n_threads_batch = threads()
    parameters.cb_eval = llama_cpp.ggml_backend_sched_eval_callback(evaluated)
    context = llama_cpp.llama_init_from_model(handle, parameters)
    for text in (text[:SIZE] for text in texts):
        batch = llama_cpp.llama_batch_init(len(text), 0, 1)
        batch.n_tokens = len(text)
        for position, token in enumerate(text):
            batch.token[position], batch.pos[position] = token, position
            batch.n_seq_id[position], batch.seq_id[position][0], batch.logits[position] = 1, 0, 1
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), 1)
        if llama_cpp.llama_decode(context, batch):
            raise SystemExit("llama.cpp could not evaluate a prompt.")
        llama_cpp.llama_batch_free(batch)
    return sums


def main() -> None:
    model, adapter, corpus = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        adapter_copy = Path(shutil.copy(adapter, folder))  # without a matrix, the copy has 8 bits
        copy = merge(model, [(adapter_copy, 1.0)], Path(folder, "copy.gguf"), quantise, threads())
        texts = [*islice(prompts(copy, corpus), SAMPLES)]
        sums = measure(copy, texts)
    rows = {name: np.maximum(row / row.mean(), SMALLEST).astype(np.float16) for name, row in sums.items()}
    np.savez_compressed(matrix_path(adapter), **rows)
    print(f"{len(rows)} groups, {len(texts)} prompts of {sum(map(len, texts))} tokens")


if __name__ == "__main__":
    main()
