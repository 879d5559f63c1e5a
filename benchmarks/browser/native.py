"""llama.cpp on one core, beside the engine of the browser. Each JSON line on stdin is answered by another."""

from __future__ import annotations

import ctypes
import json
import sys
import time

import numpy as np

from jupyter_turbopilot.engine.llama.bindings import bindings

CONTEXT = 2048


class Native:
    """A model, one context, one thread."""

    def __init__(self, path: str) -> None:
        self.lib = lib = bindings()
        self.model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
        options = lib.llama_context_default_params()
        options.n_ctx = options.n_batch = options.n_ubatch = CONTEXT
        options.n_threads = options.n_threads_batch = 1
        self.context = lib.llama_init_from_model(self.model, options)
        self.size = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(self.model))

    def clear(self) -> None:
        """Forget what was read."""
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self.context), True)  # noqa: FBT003

    def read(self, ids: list[int]) -> int:
        """Read tokens behind those that were read; return the likeliest to follow."""
        array = (ctypes.c_int32 * len(ids))(*ids)
        if self.lib.llama_decode(self.context, self.lib.llama_batch_get_one(array, len(ids))):
            raise RuntimeError("llama.cpp failed.")
        row = np.ctypeslib.as_array(self.lib.llama_get_logits_ith(self.context, -1), shape=(self.size,))
        return int(row.argmax())

    def times(self, ids: list[int], count: int = 64) -> dict[str, float]:
        """Return milliseconds for each token read at once, and for each written behind them."""
        self.clear()
        start = time.perf_counter()
        token = self.read(ids)
        read = time.perf_counter()
        for _ in range(count):
            token = self.read([token])
        written = time.perf_counter()
        return {"read": (read - start) * 1e3 / len(ids), "written": (written - read) * 1e3 / count}

    def follow(self, ids: list[int], count: int) -> list[int]:
        """Return what is likeliest behind each of the last `count` tokens."""
        self.clear()
        first = len(ids) - count
        return [self.read(ids[: first + 1]), *(self.read([token]) for token in ids[first + 1 :])]

    def logits(self, ids: list[int]) -> list[float]:
        """Return the logits of what follows."""
        self.clear()
        self.read(ids)
        row = self.lib.llama_get_logits_ith(self.context, -1)
        return [float(value) for value in np.ctypeslib.as_array(row, shape=(self.size,))]


def main() -> None:
    """Answer until the input ends."""
    native = Native(sys.argv[1])
    for line in sys.stdin:
        asked = json.loads(line)
        method = getattr(native, asked.pop("do"))
        print(json.dumps(method(**asked)), flush=True)


if __name__ == "__main__":
    main()
