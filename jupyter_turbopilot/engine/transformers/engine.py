"""A checkpoint computed by PyTorch: one cache for each sequence, one sequence after the other."""

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
from jupyter_turbopilot.engine.stepping.engine import Stepping
from jupyter_turbopilot.engine.stepping.moves import Clear, Copy, Discard, Park, Restore, Truncate
from jupyter_turbopilot.engine.stepping.sampling import Drawing, bias_by_id, hidden_tokens
from jupyter_turbopilot.engine.stepping.sequences import Sequences
from jupyter_turbopilot.errors import EngineError, ModelRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.stepping.moves import Move
    from jupyter_turbopilot.engine.stepping.run import BatchToken
    from jupyter_turbopilot.engine.stepping.sampling import Logits
    from jupyter_turbopilot.engine.transformers.checkpoint import Loading
    from jupyter_turbopilot.engine.transformers.vocabulary import TransformersVocabulary
    from jupyter_turbopilot.generation import Sampling


@dataclass
class Held:
    """What was computed for the first `size` tokens of a sequence."""

    cache: Any
    size: int = 0

    def copied(self, count: int, *, divisible: bool) -> Held:
        """Return the first `count` tokens, to be continued in another way."""
        if not divisible:  # its states are changed in place
            return Held(copy.deepcopy(self.cache), self.size)
        other = copy.copy(self.cache)
        # Growing makes new tensors, so until then both may have the same.
        other.layers = [copy.copy(layer) for layer in self.cache.layers]
        held = Held(other, self.size)
        held.cut(count)
        return held

    def cut(self, size: int) -> None:
        """Forget what was computed from `size` on, also where only some layers have got further."""
        for layer in self.cache.layers:
            if (more := layer.get_seq_length() - size) > 0:
                layer.crop(-more)
        self.size = min(self.size, size)

    def compact(self) -> Held:
        """Let go of the larger tensors that cut ones are a part of."""
        for layer in self.cache.layers:
            for name, value in vars(layer).items():
                if isinstance(value, torch.Tensor):
                    setattr(layer, name, value.clone())
        return self


def new_cache(config: Any) -> Any:
    """Return an empty cache, which keeps all tokens even of layers that look at the nearest ones only.

    What such layers need after a cut would otherwise be gone.
    """
    cache = DynamicCache(config=config)
    cache.layers = [
        DynamicLayer() if type(layer) is DynamicSlidingWindowLayer else layer for layer in cache.layers
    ]
    return cache


def is_divisible(cache: Any) -> bool:
    """Return whether the end of a sequence can be forgotten; the state of recurrent layers cannot go back."""
    return all(type(layer) is DynamicLayer for layer in cache.layers)


MAX_SEQUENCES = 3  # each has a copy of what it shares with others, so the rest is parked
_CACHES = ("past_key_values", "cache_params")  # what models call the argument


class _Aborted(Exception):  # noqa: N818 - nothing went wrong
    """The computation was wanted no longer."""


class TransformersEngine(Stepping):
    """One model, which writes one text at a time: caches of different lengths do not go into one batch."""

    capabilities = Capabilities(slots=1)

    def __init__(
        self, model: Any, vocabulary: TransformersVocabulary, loading: Loading, *, name: str, fim: str
    ) -> None:
        super().__init__(CHUNK)
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
            raise ModelRefusedError(f"{name} cannot continue what it has read. Choose another checkpoint.")
        self._cache_argument = cache
        self._chooses_rows = "logits_to_keep" in takes
        # Recurrent layers cannot forget a part of what they read. Given several tokens, some even begin anew:
        # such a model reads a new prompt whole, and goes on token by token.
        self._divisible = self.drafts = is_divisible(new_cache(model.config))
        if not self._divisible:
            self.chunk = loading.context_size
        self.sequences = Sequences(
            MAX_SEQUENCES, loading.cells, parked=loading.parked, divisible=self._divisible, shares=False
        )
        self._held: dict[int, Held] = {}
        self._parked: dict[int, Held] = {}
        self._rows: dict[int, Logits] = {}
        self._interrupt: Cancel | None = None
        for modules in [part for part in model.modules() if isinstance(part, torch.nn.ModuleList)]:
            for layer in modules:
                layer.register_forward_pre_hook(self._look_up)

    def _look_up(self, _module: Any, _inputs: Any) -> None:
        """Stop between two layers if the step is interrupted."""
        if self._interrupt is not None and self._interrupt.is_set():
            raise _Aborted

    def apply(self, moves: Iterable[Move]) -> None:
        """Carry out what the bookkeeping decided."""
        for move in moves:
            match move:
                case Copy(source, target, count):
                    self._held[target] = self._held[source].copied(count, divisible=self._divisible)
                case Truncate(sequence, 0):
                    self._held.pop(sequence, None)
                case Truncate(sequence, start):
                    if start < self.length(sequence):
                        self._held[sequence].cut(start)
                case Park(sequence, number):
                    self._parked[number] = self._held.pop(sequence).compact()
                case Restore(number, sequence):
                    self._held[sequence] = self._parked.pop(number)
                case Discard(number):
                    self._parked.pop(number, None)
                case Clear():
                    self._held.clear()
                case _:
                    raise EngineError("This engine moves no suffix.")

    def length(self, sequence: int) -> int:
        """Return how many tokens the memory holds of a sequence."""
        held = self._held.get(sequence)
        return held.size if held else 0

    def evaluate(self, rows: Sequence[BatchToken], interrupt: Cancel | None) -> bool:
        """Evaluate a batch; return False if `interrupt` aborted it."""
        self._rows.clear()
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        numbered = groupby(enumerate(rows), key=lambda each: each[1].sequence)
        with torch.inference_mode():
            return all(self._read(sequence, list(part), interrupt) for sequence, part in numbered)

    def _read(self, sequence: int, rows: list[tuple[int, BatchToken]], interrupt: Cancel | None) -> bool:
        """Read what is new of a sequence; False where that was aborted."""
        held = self._held.setdefault(sequence, Held(new_cache(self._model.config)))
        whole = self._divisible or not held.size
        for piece in [rows] if whole else [[row] for row in rows]:
            if interrupt and interrupt.is_set():
                return False
            self._interrupt = interrupt if whole else None
            try:
                self._forward(held, piece)
            except _Aborted:
                if self._divisible:
                    held.cut(held.size)
                else:
                    del self._held[sequence]
                return False
            except torch.OutOfMemoryError:
                raise EngineError(
                    "The graphics card's memory is full. Lower c.Turbopilot.context_size, or choose a "
                    "smaller model."
                ) from None
            finally:
                self._interrupt = None
        return True

    def _forward(self, held: Held, rows: list[tuple[int, BatchToken]]) -> None:
        """Compute the next tokens of a sequence, and keep the rows of logits that are asked for."""
        wanted = [index for index, row in rows if row.output]  # the last ones
        ids = torch.tensor([[row.token for _, row in rows]], device=self._model.device)
        more = {"logits_to_keep": max(1, len(wanted))} if self._chooses_rows else {}
        output = self._model(input_ids=ids, use_cache=True, **{self._cache_argument: held.cache}, **more)
        held.size += len(rows)
        if not wanted:
            return
        logits = output.logits[0, -len(wanted) :].float().cpu().numpy()
        if np.isnan(logits).any():
            raise EngineError(
                "The model computed something that is no number. Set c.TurbopilotTransformers.dtype to "
                "bfloat16 or float32."
            )
        self._rows.update(zip(wanted, logits, strict=True))

    def logits(self, index: int) -> Logits:
        """Return the logits of a row of the last batch that asked for them."""
        return self._rows[index]

    def sampler(self, sampling: Sampling, prompt: Sequence[int]) -> Drawing:
        """Return what draws the tokens of one text."""
        ends = frozenset[int]() if sampling.ignore_end else self.ends
        sampling = bias_by_id(sampling, self.vocabulary.tokenize)
        return Drawing(sampling, hidden_tokens(self.controls, ends), self.vocabulary.size, prompt)

    def use_threads(self, count: int) -> None:
        """Set the number of threads that compute."""
        self._threads = count

    def close(self, *, keep: bool = True) -> None:  # noqa: ARG002 - nothing is kept for the next start
        """Free the memory."""
        self._model = None
        for memory in (self._held, self._parked, self._rows):
            memory.clear()
        gc.collect()  # modules refer to each other
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
