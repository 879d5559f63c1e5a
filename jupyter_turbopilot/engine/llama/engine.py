"""The llama.cpp engine, based on its low-level API."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jupyter_turbopilot.engine.base import CHUNK, SLOTS
from jupyter_turbopilot.engine.llama import snapshot
from jupyter_turbopilot.engine.llama.bindings import (
    NO_DEVICES,
    bindings,
    version,
)
from jupyter_turbopilot.engine.llama.kv_cache import LlamaCache
from jupyter_turbopilot.engine.llama.sampler_chain import SamplerChain
from jupyter_turbopilot.engine.llama.vocabulary import LlamaVocabulary
from jupyter_turbopilot.engine.stepping.engine import MAX_OUTPUTS, MAX_SEQUENCES, Stepping
from jupyter_turbopilot.engine.stepping.sampling import bias_by_id, hidden_tokens
from jupyter_turbopilot.engine.stepping.sequences import KVSequence, Sequences
from jupyter_turbopilot.models.gguf import read_header, stamp
from jupyter_turbopilot.models.tuning.adapters import check
from jupyter_turbopilot.protocol.errors import EngineError
from jupyter_turbopilot.util.failures import DAMAGED, on_failure

if TYPE_CHECKING:
    import types
    from collections.abc import Sequence

    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.load.plan import LoadPlan
    from jupyter_turbopilot.engine.stepping.run import BatchToken
    from jupyter_turbopilot.engine.stepping.sampling import Logits
    from jupyter_turbopilot.models.tuning.adapters import AdapterSpec
    from jupyter_turbopilot.protocol.engine_request import Sampling

STATE_BYTES = 64 * 1024 * 1024  # saved for the next start, all notebooks together
_ABORTED = 2
EVERY_LAYER = 1 << 20


class _AbortFlag:
    """A flag that llama.cpp polls without the GIL: the callback is libc's strlen of a buffer.

    The buffer contains an empty string until the flag is raised.
    """

    def __init__(self, lib: types.ModuleType) -> None:
        self.buffer = ctypes.create_string_buffer(2)
        libc = ctypes.CDLL("msvcrt" if sys.platform == "win32" else ctypes.util.find_library("c"))
        kind = lib.ggml_abort_callback
        self.callback = ctypes.cast(libc.strlen, kind)
        self.data = ctypes.cast(self.buffer, ctypes.c_void_p)

    def raise_(self) -> None:
        self.buffer[0] = b"\1"

    def lower(self) -> None:
        self.buffer[0] = b"\0"


def apply_adapters(
    lib: types.ModuleType, model: Any, context: Any, adapters: Sequence[AdapterSpec], path: Path
) -> None:
    """Load adapters and apply them at run time. The model frees them."""
    if not adapters:
        return
    architecture = read_header(path).architecture
    handles = [_load(lib, model, adapter, architecture) for adapter in adapters]
    pointers = (lib.llama_adapter_lora_p_ctypes * len(handles))(*handles)
    scales = (ctypes.c_float * len(handles))(*(adapter.scale for adapter in adapters))
    if lib.llama_set_adapters_lora(context, pointers, len(handles), scales):
        raise EngineError("llama.cpp could not apply the adapters. Check c.Turbopilot.adapters.")


def _load(lib: types.ModuleType, model: Any, adapter: AdapterSpec, architecture: str) -> Any:
    check(Path(adapter.path), architecture)
    handle = lib.llama_adapter_lora_init(model, adapter.path.encode())
    if not handle:
        name = Path(adapter.path).name
        raise EngineError(
            f"llama.cpp could not load the adapter {name}: it is for another model. "
            "Remove it from c.Turbopilot.adapters."
        )
    return handle


class LlamaEngine(Stepping):
    """One model and one context, whose sequences share a KV cache unless `Hardware` separates them."""

    def __init__(
        self,
        path: Path,
        plan: LoadPlan,
        *,
        name: str,
        fim: str = "auto",
        state: Path | None = None,
        chunk: int = CHUNK,
    ) -> None:
        """`state`: the file of saved sequences."""
        super().__init__(chunk)
        self._lib = lib = bindings()
        self._hardware = hardware = plan.hardware
        self._shares = not hardware.separate_caches
        self._model = self._context = None
        self._state: Path | None = None
        self.name = name
        self.fim = fim
        parameters = lib.llama_model_default_params()
        parameters.n_gpu_layers = hardware.gpu_layers if hardware.gpu_layers >= 0 else EVERY_LAYER
        if not hardware.gpu_layers:
            parameters.devices = NO_DEVICES  # otherwise llama.cpp computes long prompts on a GPU
        if not plan.is_mapped:
            parameters.load_mode = lib.LLAMA_LOAD_MODE_NONE
        self._model = lib.llama_model_load_from_file(str(path).encode(), parameters)
        if not self._model:
            raise EngineError(
                f"llama.cpp could not load {path.name}: it does not support this kind of model."
            )
        self._abort = _AbortFlag(lib)
        self._threads = plan.threads
        self.context_size = context_size = plan.context_size
        sequences = MAX_SEQUENCES if self._shares else SLOTS
        cells = max(plan.cells, context_size * (1 if self._shares else SLOTS))
        self._context = self._new_context(cells, sequences)
        if not self._context:
            self.close()
            raise EngineError(
                f"llama.cpp could not allocate {context_size} tokens of context for {path.name}. Lower "
                f"c.Turbopilot.context_size or choose a smaller model."
            )
        # The caller has no reference with which to free the memory.
        with on_failure(partial(self.close, keep=False)):
            apply_adapters(lib, self._model, self._context, hardware.adapters, path)
            lib.llama_set_abort_callback(self._context, self._abort.callback, self._abort.data)
            self.vocabulary = vocabulary = LlamaVocabulary(lib, self._model)
            # Copied into attributes, because every token needs them.
            self._vocab_size = vocabulary.size
            self.table, self.ends, self.controls = vocabulary.table, vocabulary.ends, vocabulary.controls
            self._batch = lib.llama_batch_init(self.batch_size, 0, 1)
            # The state of a recurrent model cannot be truncated.
            divisible = not (
                lib.llama_model_is_recurrent(self._model) or lib.llama_model_is_hybrid(self._model)
            )
            self.drafts = divisible
            cache = LlamaCache(lib, self._context, shared=self._shares)
            self.sequences = Sequences(
                cache,
                sequences,
                cells,
                parked=plan.parked,
                divisible=divisible,
                shares=self._shares,
            )
            self._state = state
            self.identity = f"{stamp(path)}|{version()}|{hardware.stamp}"
            for saved in snapshot.load(state, self.identity)[::-1] if state else []:
                self.sequences.adopt(saved)

    def _new_context(self, cells: int, sequences: int) -> Any:
        lib = self._lib
        parameters = lib.llama_context_default_params()
        parameters.n_ctx = cells
        parameters.n_batch = parameters.n_ubatch = self.batch_size
        parameters.n_seq_max = sequences
        parameters.kv_unified = self._shares  # sequences share the cells of a common prefix
        parameters.n_outputs_max = MAX_OUTPUTS  # rows of logits; one for each token would need 300 MB
        parameters.n_threads = parameters.n_threads_batch = self._threads
        parameters.flash_attn_type = (
            lib.LLAMA_FLASH_ATTN_TYPE_AUTO
            if self._hardware.fused_attention
            else lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        )
        return lib.llama_init_from_model(self._model, parameters)

    def use_threads(self, count: int) -> None:
        if count != self._threads:
            self._threads = count
            self._lib.llama_set_n_threads(self._context, count, count)

    def evaluate(self, rows: Sequence[BatchToken], interrupt: Cancel | None) -> bool:
        batch = self._batch
        batch.n_tokens = len(rows)
        for index, row in enumerate(rows):
            batch.token[index] = row.token
            batch.pos[index] = row.position
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = row.sequence
            batch.logits[index] = row.output
        self._abort.lower()
        cache = self.sequences.cache
        # An aborted rotation would be repeated, and the keys of some layers would be rotated twice.
        interrupt, cache.shifting = None if cache.shifting else interrupt, False
        with interrupt.interrupting(self._abort.raise_) if interrupt else nullcontext():
            code = self._lib.llama_decode(self._context, batch)
        if code not in (0, _ABORTED):
            raise EngineError(f"llama.cpp failed with code {code}. Try again.")
        return bool(code == 0)

    def logits(self, index: int) -> Logits:
        row = self._lib.llama_get_logits_ith(self._context, index)
        return np.ctypeslib.as_array(row, shape=(self._vocab_size,))

    def sampler(self, sampling: Sampling, prompt: Sequence[int]) -> SamplerChain:
        """Return a chain of llama.cpp's own samplers."""
        ends = set() if sampling.ignore_end else self.ends
        sampling = bias_by_id(sampling, self.vocabulary.tokenize)
        hidden = hidden_tokens(self.controls, ends)
        return SamplerChain(self._lib, self.vocabulary.handle, self.vocabulary.size, sampling, hidden, prompt)

    def _keep(self) -> None:
        """Save the sequences of the most recently used notebooks."""
        saved: list[KVSequence] = []
        for copy in self.sequences.park_all():
            if sum(len(sequence.state) for sequence in saved) + len(copy.state) > STATE_BYTES:
                break
            saved.append(copy)
        if saved and self._state:
            snapshot.save(self._state, self.identity, saved)

    def close(self, *, keep: bool = True) -> None:
        lib = self._lib
        if keep and self._context and self._state:
            with suppress(*DAMAGED, EngineError):  # the memory must be freed even if saving fails
                self._keep()
        with suppress(AttributeError):
            lib.llama_batch_free(self._batch)
            del self._batch
        if self._context:
            lib.llama_free(self._context)
            self._context = None
        if vocabulary := getattr(self, "vocabulary", None):  # missing if the load failed
            vocabulary.close()  # waits for other threads that use the model
        if self._model:
            lib.llama_model_free(self._model)
            self._model = None
