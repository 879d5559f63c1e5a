"""Decode for eight sequences in one batch: one cache or one for each, with and without flash attention.

    python benchmarks/attention.py MODEL.gguf [--rounds 5] [--tokens 300 1000 2000]

All variants alternate. Run it on a machine without other load. The settings of the contexts are those of
`LlamaEngine`.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import statistics
import time
from typing import Any

import llama_cpp

SEQUENCES, STEPS, BATCH, PROMPT = 8, 24, 256, 64
COLUMNS = ("tokens each", "caches", "attention", "8 texts", "1 text", "prompt of 64", "prompt and 7 texts")


def context(model: Any, tokens: int, *, unified: bool, fused: bool) -> Any:
    """Return a context for eight sequences of `tokens` tokens."""
    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx = SEQUENCES * (tokens + 256)
    parameters.n_batch = parameters.n_ubatch = BATCH
    parameters.n_seq_max = SEQUENCES
    parameters.kv_unified = unified
    parameters.n_threads = parameters.n_threads_batch = 2
    names = {True: "LLAMA_FLASH_ATTN_TYPE_ENABLED", False: "LLAMA_FLASH_ATTN_TYPE_DISABLED"}
    parameters.flash_attn_type = getattr(llama_cpp, names[fused])
    return llama_cpp.llama_init_from_model(model, parameters)


def decode(context: Any, batch: Any, rows: list[tuple[int, int, int]]) -> None:
    """Evaluate rows of token, position and sequence."""
    batch.n_tokens = len(rows)
    for index, (token, position, sequence) in enumerate(rows):
        batch.token[index], batch.pos[index] = token, position
        batch.n_seq_id[index], batch.seq_id[index][0] = 1, sequence
        batch.logits[index] = index >= len(rows) - SEQUENCES
    if llama_cpp.llama_decode(context, batch):
        raise RuntimeError("llama.cpp could not decode the batch.")


def fill(context: Any, batch: Any, tokens: int) -> None:
    """Evaluate a prompt once, and copy its state into the cells of each other sequence."""
    for start in range(0, tokens, BATCH):
        decode(context, batch, [(100 + at % 999, at, 0) for at in range(start, min(start + BATCH, tokens))])
    size = llama_cpp.llama_state_seq_get_size(context, 0)
    state = (ctypes.c_uint8 * size)()
    llama_cpp.llama_state_seq_get_data(context, state, size, 0)
    for sequence in range(1, SEQUENCES):
        llama_cpp.llama_state_seq_set_data(context, state, size, sequence)


def main() -> None:
    """Print a table of milliseconds per step."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, nargs="+", default=[300, 1000, 2000])
    options = parser.parse_args()
    silent = llama_cpp.llama_log_callback(lambda *_: None)  # a reference, as llama.cpp keeps only the pointer
    llama_cpp.llama_log_set(silent, None)
    model = llama_cpp.llama_model_load_from_file(
        options.model.encode(), llama_cpp.llama_model_default_params()
    )
    batch = llama_cpp.llama_batch_init(BATCH, 0, 1)
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
    for tokens in options.tokens:
        kinds = list(itertools.product((True, False), (False, True)))
        contexts = {kind: context(model, tokens, unified=kind[0], fused=kind[1]) for kind in kinds}
        times: dict[tuple[bool, bool], list[list[float]]] = {kind: [] for kind in kinds}
        for each in contexts.values():
            fill(each, batch, tokens)
        for _ in range(options.rounds):
            for kind, each in contexts.items():
                times[kind].append(measure(each, batch, tokens))
        for (unified, fused), found in times.items():
            medians = (f"{statistics.median(column):.1f}" for column in zip(*found, strict=True))
            names = (str(tokens), "one" if unified else "eight", "flash" if fused else "plain")
            print(f"| {' | '.join((*names, *medians))} |", flush=True)
        for each in contexts.values():
            llama_cpp.llama_free(each)


def measure(context: Any, batch: Any, tokens: int) -> list[float]:
    """Return the milliseconds of each kind of batch."""
    memory = llama_cpp.llama_get_memory(context)
    prompt = [(100 + at, tokens + at, 0) for at in range(PROMPT)]
    kinds = (
        [[(100, tokens + step, sequence) for sequence in range(SEQUENCES)] for step in range(STEPS)],
        [[(100, tokens + step, SEQUENCES - 1)] for step in range(STEPS)],
        [prompt],
        [prompt + [(100, tokens, sequence) for sequence in range(1, SEQUENCES)]],
    )
    found = []
    for batches in kinds:
        begun = time.perf_counter()
        for rows in batches:
            decode(context, batch, rows)
        found.append((time.perf_counter() - begun) * 1000 / len(batches))
        for sequence in range(SEQUENCES):
            llama_cpp.llama_memory_seq_rm(memory, sequence, tokens, -1)
    return found


if __name__ == "__main__":
    main()
