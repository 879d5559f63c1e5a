"""The KV cache of a llama.cpp context."""

from __future__ import annotations

import ctypes
import mmap
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.stepping.kv_cache import KVCache
from jupyter_turbopilot.protocol.errors import EngineError

if TYPE_CHECKING:
    import types


def new_buffer(size: int) -> memoryview:
    """Return memory that returns to the system once it is freed; large blocks of the heap may not."""
    return memoryview(mmap.mmap(-1, max(1, size)))[:size]


class LlamaCache(KVCache):
    """One cache for all sequences, or one for each if it is not `shared`."""

    def __init__(self, lib: types.ModuleType, context: Any, *, shared: bool) -> None:
        self._lib = lib
        self._context = context
        self._memory = lib.llama_get_memory(context)
        self._shared = shared
        self.can_shift = shared and bool(lib.llama_memory_can_shift(self._memory))

    def length(self, sequence: int) -> int:
        return int(self._lib.llama_memory_seq_pos_max(self._memory, sequence)) + 1

    def copy(self, source: int, target: int, start: int, stop: int) -> None:
        if self._shared:
            self._lib.llama_memory_seq_cp(self._memory, source, target, start, stop)
        else:  # between caches, llama.cpp only copies whole ones
            self.load(target, self.save(source))
            self.truncate(target, stop)

    def truncate(self, sequence: int, start: int) -> None:
        self._lib.llama_memory_seq_rm(self._memory, sequence, start, -1)

    def shift(self, sequence: int, start: int, stop: int, by: int) -> None:
        self._lib.llama_memory_seq_add(self._memory, sequence, start, stop, by)
        self.shifting = True

    def save(self, sequence: int) -> memoryview:
        size = int(self._lib.llama_state_seq_get_size(self._context, sequence))
        buffer = new_buffer(size)
        view = (ctypes.c_uint8 * size).from_buffer(buffer)
        self._lib.llama_state_seq_get_data(self._context, view, size, sequence)
        return buffer

    def load(self, sequence: int, state: memoryview) -> None:
        view = (ctypes.c_uint8 * len(state)).from_buffer(state)
        if self._lib.llama_state_seq_set_data(self._context, view, len(state), sequence) != len(state):
            raise EngineError("llama.cpp could not restore a sequence. Try again.")

    def reset(self) -> None:
        self._lib.llama_memory_clear(self._memory, False)  # noqa: FBT003
