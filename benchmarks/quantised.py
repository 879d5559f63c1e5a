"""What each way of quantising costs: size, bits a weight, perplexity on held-out notebooks, speed.

python benchmarks/quantised.py NOTEBOOKS FOLDER

The publisher's F16 file of the default model is not to be had everywhere, so the released Q4_K_M is turned
back into F16 first: what is measured is what a type adds to that.
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gguf
import llama_cpp
import numpy as np

from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.engine.llama.bindings import bindings
from jupyter_turbopilot.engine.llama.quantize import kinds, quantize
from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.ggml import NEEDS_MATRIX
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.models.quantization import order
from jupyter_turbopilot.pilot.pilot import Pilot

if TYPE_CHECKING:
    import ctypes

WINDOW, WINDOWS = 512, 4
WRITTEN = 16
# Whole files, and types for models that were trained to three values a weight.
MEANT_FOR_OTHERS = {"F16", "F32", "TQ1_0", "TQ2_0", "Q1_0", "Q2_0"}


def main() -> None:
    """Make each file, measure it, delete it."""
    if len(sys.argv) != 3:  # noqa: PLR2004
        sys.exit(__doc__)
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    settings = Turbopilot()
    released = Pilot(settings).store.path(find(settings.model))
    whole = folder / "whole.gguf"
    if not whole.exists():
        unpack(released, whole)
    text = "\n\n".join(
        cell.source for notebook in read(Path(sys.argv[1]))[1::2] for cell in notebook.cells[:6]
    )
    known = kinds()
    print("| type | MB | bits a weight | perplexity | written, tokens/s |\n| --- | --- | --- | --- | --- |")
    for name in ["F16", *sorted(set(known) - set(NEEDS_MATRIX) - MEANT_FOR_OTHERS)]:
        target = whole if name == "F16" else folder / f"{name}.gguf"
        if name != "F16":
            quantize(order(whole, target, name, known, force=True), 2)
        header = read_header(target)
        bits = 8 * sum(part.size for part in header.parts) / header.parameters
        value, speed = measure(target, text)
        print(
            f"| {name} | {header.file_size / 1e6:.0f} | {bits:.2f} | {value:.3f} | {speed:.1f} |", flush=True
        )
        if name != "F16":
            target.unlink()


def unpack(source: Path, target: Path) -> None:
    """Write a quantised file again with numbers of 16 bits."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, str(reader.fields["general.architecture"].contents()))
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in {"general.architecture", "general.file_type"}:
            continue
        kind = field.types[0]
        part = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, part)
    writer.add_file_type(1)
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, values if values.ndim == 1 else values.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def measure(path: Path, text: str) -> tuple[float, float]:
    """Return the perplexity of windows of a text, their first quarter only read, and the speed."""
    lib: Any = bindings()
    model = lib.llama_model_load_from_file(str(path).encode(), lib.llama_model_default_params())
    vocab = lib.llama_model_get_vocab(model)
    rows = lib.llama_vocab_n_tokens(vocab)
    data = text.encode()
    room = (llama_cpp.llama_token * len(data))()
    count = lib.llama_tokenize(vocab, data, len(data), room, len(data), False, False)  # noqa: FBT003
    tokens = list(room[:count])[: WINDOW * WINDOWS]
    parameters = lib.llama_context_default_params()
    parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = WINDOW + WRITTEN
    parameters.n_threads = parameters.n_threads_batch = 2
    context = lib.llama_init_from_model(model, parameters)
    batch = lib.llama_batch_init(WINDOW, 0, 1)
    total = seen = 0.0
    for start in range(0, len(tokens) - WINDOW + 1, WINDOW):
        lib.llama_memory_clear(lib.llama_get_memory(context), True)  # noqa: FBT003
        window = tokens[start : start + WINDOW]
        fill(batch, window, 0, WINDOW // 4)
        assert lib.llama_decode(context, batch) == 0
        outputs = WINDOW - WINDOW // 4
        logits = np.ctypeslib.as_array(lib.llama_get_logits(context), (outputs, rows))[:-1]
        peak = logits.max(1)
        norm = peak + np.log(np.exp(logits - peak[:, None]).sum(1))
        wanted = np.array(window[WINDOW // 4 + 1 :])
        total -= float((logits[np.arange(len(wanted)), wanted] - norm).sum())
        seen += len(wanted)
    begun = time.perf_counter()
    for number in range(WRITTEN):
        fill(batch, [tokens[number]], WINDOW + number, 0)
        assert lib.llama_decode(context, batch) == 0
    speed = WRITTEN / (time.perf_counter() - begun)
    lib.llama_batch_free(batch)
    lib.llama_free(context)
    lib.llama_model_free(model)
    return math.exp(total / seen), speed


def fill(batch: ctypes.Structure, tokens: list[int], at: int, first: int) -> None:
    """Put tokens into a batch; those from `first` on get an output."""
    for number, token in enumerate(tokens):
        batch.token[number], batch.pos[number] = token, at + number
        batch.n_seq_id[number], batch.seq_id[number][0] = 1, 0
        batch.logits[number] = number >= first
    batch.n_tokens = len(tokens)


if __name__ == "__main__":
    main()
