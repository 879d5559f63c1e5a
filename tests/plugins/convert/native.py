"""llama.cpp's results for a file: logits at every position, tokens of a text."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

from jupyter_turbopilot.engine.llama.bindings import bindings
from jupyter_turbopilot.engine.llama.engine import apply_adapters
from jupyter_turbopilot.models.tuning.adapters import AdapterSpec


@contextmanager
def loaded(path: Path) -> Iterator[Any]:
    bindings()
    parameters = llama_cpp.llama_model_default_params()
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), parameters)
    assert model, f"llama.cpp does not load {path.name}"
    try:
        yield model
    finally:
        llama_cpp.llama_model_free(model)


def logits(path: Path, tokens: list[int], adapter: Path | None = None) -> np.ndarray[Any, Any]:
    with loaded(path) as model:
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = 512
        parameters.n_threads = parameters.n_threads_batch = 1
        parameters.type_k = parameters.type_v = 0  # F32: no rounding
        parameters.flash_attn_type = 0
        context = llama_cpp.llama_init_from_model(model, parameters)
        if adapter:
            apply_adapters(llama_cpp, model, context, [AdapterSpec(str(adapter))], path)
        batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
        try:
            for at, token in enumerate(tokens):
                batch.token[at], batch.pos[at] = token, at
                batch.n_seq_id[at], batch.seq_id[at][0], batch.logits[at] = 1, 0, 1
            batch.n_tokens = len(tokens)
            assert llama_cpp.llama_decode(context, batch) == 0
            rows = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
            found = llama_cpp.llama_get_logits(context)
            return np.ctypeslib.as_array(found, (len(tokens), rows)).copy()
        finally:
            llama_cpp.llama_batch_free(batch)
            llama_cpp.llama_free(context)


def tokenize(model: Any, text: str) -> list[int]:
    data = text.encode()
    room = (llama_cpp.llama_token * (len(data) + 8))()
    vocab = llama_cpp.llama_model_get_vocab(model)
    count = llama_cpp.llama_tokenize(vocab, data, len(data), room, len(room), False, False)
    assert count >= 0
    return list(room[:count])


def detokenize(model: Any, tokens: list[int]) -> bytes:
    vocab = llama_cpp.llama_model_get_vocab(model)
    room = ctypes.create_string_buffer(512)
    sizes = [(llama_cpp.llama_token_to_piece(vocab, t, room, 512, 0, True), room.raw) for t in tokens]
    return b"".join(raw[:size] for size, raw in sizes)
