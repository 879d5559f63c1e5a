"""The transformers engine: each sequence has its own cache, and sequences are evaluated one by one."""

from __future__ import annotations

import copy
import gc
import inspect
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from jupyter_turbopilot.engine.base import CHUNK, Capabilities
from jupyter_turbopilot.engine.llama.bindings import bindings
from jupyter_turbopilot.engine.llama.sampler_chain import SamplerChain
from jupyter_turbopilot.engine.stepping.engine import Stepping
from jupyter_turbopilot.engine.stepping.kv_cache import KVCache
from jupyter_turbopilot.engine.stepping.sampling import bias_by_id, hidden_tokens
from jupyter_turbopilot.engine.stepping.sequences import Sequences
from jupyter_turbopilot.protocol.errors import BadRequestError, EngineError, ModelRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.stepping.run import BatchToken
    from jupyter_turbopilot.engine.stepping.sampling import Logits
    from jupyter_turbopilot.plugins.transformers.checkpoint import Loading
    from jupyter_turbopilot.plugins.transformers.vocabulary import TransformersVocabulary
    from jupyter_turbopilot.protocol.engine_request import Sampling


@dataclass
class SequenceCache:
    """The KV cache for the first `size` tokens of a sequence."""

    cache: Any
    size: int = 0

    def copied(self, count: int, *, divisible: bool) -> SequenceCache:
        """Return a copy of the first `count` tokens."""
        if not divisible:  # the model changes its state in place
            return SequenceCache(copy.deepcopy(self.cache), self.size)
        other = copy.copy(self.cache)
        # Appending tokens creates new tensors, so both can share the current ones.
        other.layers = [copy.copy(layer) for layer in self.cache.layers]
        copied = SequenceCache(other, self.size)
        copied.truncate(count)
        return copied

    def truncate(self, size: int) -> None:
        """Remove all tokens from `size` on. After an interrupt, only some layers may have more."""
        for layer in self.cache.layers:
            if (more := layer.get_seq_length() - size) > 0:
                layer.crop(-more)
        self.size = min(self.size, size)

    def compact(self) -> SequenceCache:
        """Replace views of larger tensors by copies, to free the memory."""
        for layer in self.cache.layers:
            for name, value in vars(layer).items():
                if isinstance(value, torch.Tensor):
                    setattr(layer, name, value.clone())
        return self


def new_cache(config: Any) -> Any:
    """Return an empty cache that keeps all tokens, even for layers with sliding-window attention.

    Such layers need older tokens after the cache is truncated.
    """
    cache = DynamicCache(config=config)
    cache.layers = [
        DynamicLayer() if type(layer) is DynamicSlidingWindowLayer else layer for layer in cache.layers
    ]
    return cache


def is_divisible(cache: Any) -> bool:
    """Return whether sequences can be truncated, which the state of recurrent layers does not allow."""
    return all(type(layer) is DynamicLayer for layer in cache.layers)


class TransformersCache(KVCache):
    """A cache for each sequence. `divisible`: whether they can be truncated."""

    def __init__(self, *, divisible: bool) -> None:
        self.by_sequence: dict[int, SequenceCache] = {}
        self._divisible = divisible

    def length(self, sequence: int) -> int:
        cached = self.by_sequence.get(sequence)
        return cached.size if cached else 0

    def copy(self, source: int, target: int, start: int, stop: int) -> None:  # noqa: ARG002 - always 0
        self.by_sequence[target] = self.by_sequence[source].copied(stop, divisible=self._divisible)

    def truncate(self, sequence: int, start: int) -> None:
        if not start:
            self.by_sequence.pop(sequence, None)
        elif start < self.length(sequence):
            self.by_sequence[sequence].truncate(start)

    def save(self, sequence: int) -> SequenceCache:
        return self.by_sequence[sequence].compact()

    def load(self, sequence: int, state: SequenceCache) -> None:
        self.by_sequence[sequence] = state


MAX_SEQUENCES = 3  # sequences share no memory, so the others are parked
_CACHES = ("past_key_values", "cache_params")  # names of the argument in different models


class _Aborted(Exception):  # noqa: N818 - it is not an error
    """An interrupt has stopped the evaluation."""


class TransformersEngine(Stepping):
    """One model. It generates one text at a time, because caches of different lengths cannot be batched."""

    capabilities = Capabilities(slots=1)

    def __init__(
        self, model: Any, vocabulary: TransformersVocabulary, loading: Loading, *, name: str, fim: str
    ) -> None:
        super().__init__(CHUNK)
        self._lib = bindings()  # samples
        self.name, self.fim = name, fim
        self.identity = loading.identity
        self.context_size = loading.context_size
        self.vocabulary = vocabulary
        self.table, self.ends, self.controls = vocabulary.table, vocabulary.ends, vocabulary.controls
        self._threads = loading.threads
        self._model = model
        takes = inspect.signature(model.forward).parameters
        cache = next((argument for argument in _CACHES if argument in takes), None)
        if cache is None:
            raise ModelRefusedError(f"{name} does not support a KV cache. Choose another checkpoint.")
        self._cache_argument = cache
        self._chooses_rows = "logits_to_keep" in takes
        # Recurrent layers cannot be truncated, and some reset their state if they get several tokens at once.
        # So such a model evaluates a new prompt as a whole, and all later tokens one by one.
        self._divisible = self.drafts = is_divisible(new_cache(model.config))
        if not self._divisible:
            self.chunk = loading.context_size
        self._cache = TransformersCache(divisible=self._divisible)
        self.sequences = Sequences(
            self._cache,
            MAX_SEQUENCES,
            loading.cells,
            parked=loading.parked,
            divisible=self._divisible,
            shares=False,
        )
        self._rows: dict[int, Logits] = {}
        self._interrupt: Cancel | None = None
        for modules in [part for part in model.modules() if isinstance(part, torch.nn.ModuleList)]:
            for layer in modules:
                layer.register_forward_pre_hook(self._stop_if_interrupted)

    def _stop_if_interrupted(self, _module: Any, _inputs: Any) -> None:
        if self._interrupt is not None and self._interrupt.is_set():
            raise _Aborted

    def evaluate(self, rows: Sequence[BatchToken], interrupt: Cancel | None) -> bool:
        self._rows.clear()
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        numbered = groupby(enumerate(rows), key=lambda each: each[1].sequence)
        with torch.inference_mode():
            return all(self._evaluate(sequence, list(part), interrupt) for sequence, part in numbered)

    def _evaluate(self, sequence: int, rows: list[tuple[int, BatchToken]], interrupt: Cancel | None) -> bool:
        """Evaluate the new tokens of a sequence; return False if `interrupt` aborted it."""
        cached = self._cache.by_sequence.setdefault(sequence, SequenceCache(new_cache(self._model.config)))
        whole = self._divisible or not cached.size
        for piece in [rows] if whole else [[row] for row in rows]:
            if interrupt and interrupt.is_set():
                return False
            self._interrupt = interrupt if whole else None
            try:
                self._forward(cached, piece)
            except _Aborted:
                if self._divisible:
                    cached.truncate(cached.size)
                else:
                    del self._cache.by_sequence[sequence]
                return False
            except torch.OutOfMemoryError:
                raise EngineError(
                    "The GPU is out of memory. Lower c.Turbopilot.context_size, or choose a smaller model."
                ) from None
            finally:
                self._interrupt = None
        return True

    def _forward(self, cached: SequenceCache, rows: list[tuple[int, BatchToken]]) -> None:
        """Evaluate the next tokens of a sequence, and keep the requested rows of logits."""
        wanted = [index for index, row in rows if row.output]  # always the last rows
        ids = torch.tensor([[row.token for _, row in rows]], device=self._model.device)
        more = {"logits_to_keep": max(1, len(wanted))} if self._chooses_rows else {}
        output = self._model(input_ids=ids, use_cache=True, **{self._cache_argument: cached.cache}, **more)
        cached.size += len(rows)
        if not wanted:
            return
        logits = output.logits[0, -len(wanted) :].float().cpu().numpy()
        if np.isnan(logits).any():
            raise EngineError(
                'The model computed invalid numbers (NaN). Set c.TurbopilotTransformers.device = "cpu" to '
                "compute in float32, or choose another checkpoint."
            )
        self._rows.update(zip(wanted, logits, strict=True))

    def logits(self, index: int) -> Logits:
        return self._rows[index]

    def sampler(self, sampling: Sampling, prompt: Sequence[int]) -> SamplerChain:
        """Return llama.cpp's samplers for one text. They need no model, except for `infill`."""
        if "infill" in sampling.samplers:
            raise BadRequestError("This engine has no sampler `infill`. Remove it.", field="samplers")
        ends = frozenset[int]() if sampling.ignore_end else self.ends
        sampling = bias_by_id(sampling, self.vocabulary.tokenize)
        hidden = hidden_tokens(self.controls, ends)
        return SamplerChain(self._lib, None, self.vocabulary.size, sampling, hidden, prompt)

    def use_threads(self, count: int) -> None:
        self._threads = count

    def close(self, *, keep: bool = True) -> None:  # noqa: ARG002 - part of the protocol
        """Free the memory."""
        self._model = None
        self._rows.clear()
        self._cache.by_sequence.clear()
        self.sequences = Sequences(self._cache, 0, 0)
        gc.collect()  # modules form reference cycles
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
