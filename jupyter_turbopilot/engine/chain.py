"""llama.cpp's chain of samplers for one text: biases, grammar, penalties, the cuts, the draw."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

from jupyter_turbopilot.engine.gbnf import trouble
from jupyter_turbopilot.errors import BadRequestError, EngineError

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.engine.generation import Sampling
    from jupyter_turbopilot.engine.sampling import Ids, Row

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Chain:
    """What has been sampled so far matters to the next token: each text has a chain of its own."""

    def __init__(
        self,
        lib: types.ModuleType,
        vocab: Any,
        size: int,
        sampling: Sampling,
        hidden: Ids,
        prompt: Sequence[int],
    ) -> None:
        self._lib = lib
        self._candidates = np.empty(size, dtype=_CANDIDATE)
        self._left = 0  # how many of them the last token was drawn from
        self._draws = sampling.temperature > 0
        self._ids = np.arange(size, dtype=np.int32)
        self._bias = np.zeros(size, dtype=np.float32)
        self._bias[hidden] = -np.inf
        for token, bias in sampling.logit_bias:
            if isinstance(token, int) and 0 <= token < size:
                self._bias[token] += bias
        self._chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        if not self._chain:
            raise EngineError("llama.cpp could not make a chain of samplers.")
        try:
            for sampler in self._samplers(vocab, sampling, prompt):
                lib.llama_sampler_chain_add(self._chain, sampler)
        except BaseException:
            self.close()
            raise

    def _samplers(self, vocab: Any, sampling: Sampling, prompt: Sequence[int]) -> list[Any]:
        lib, found = self._lib, []
        if sampling.grammar:
            if why := trouble(sampling.grammar):
                raise BadRequestError(why, field="grammar")
            grammar = lib.llama_sampler_init_grammar(vocab, sampling.grammar.encode(), b"root")
            if not grammar:
                raise BadRequestError("The grammar is not valid GBNF with a rule `root`.", field="grammar")
            found.append(grammar)
        if sampling.penalised:
            window = sampling.penalty_last_n
            window = len(prompt) + sampling.max_tokens if window < 0 else window
            penalties = lib.llama_sampler_init_penalties(
                len(self._bias),
                window,
                sampling.repeat_penalty,
                sampling.frequency_penalty,
                sampling.presence_penalty,
            )
            for token in prompt[-window:] if sampling.repeat_penalty != 1 and window else ():
                lib.llama_sampler_accept(penalties, token)
            found.append(penalties)
        if sampling.temperature <= 0:
            return [*found, lib.llama_sampler_init_greedy()]
        makers: dict[str, Callable[[], Any]] = {
            "top_k": lambda: lib.llama_sampler_init_top_k(sampling.top_k),
            "typ_p": lambda: lib.llama_sampler_init_typical(sampling.typical_p, 1),
            "top_p": lambda: lib.llama_sampler_init_top_p(sampling.top_p, 1),
            "min_p": lambda: lib.llama_sampler_init_min_p(sampling.min_p, 1),
            "temperature": lambda: lib.llama_sampler_init_temp(sampling.temperature),
            "infill": lambda: lib.llama_sampler_init_infill(vocab),
        }
        found += [makers[name]() for name in dict.fromkeys(sampling.samplers) if name in makers]
        return [*found, lib.llama_sampler_init_dist(sampling.seed)]

    def pick(self, logits: Row) -> int | None:
        """Return the next token; None where the grammar leaves none."""
        candidates = self._candidates
        candidates["id"] = self._ids  # the chain sorts them
        candidates["logit"] = logits + self._bias
        candidates["p"] = 0
        data = candidates.ctypes.data_as(ctypes.POINTER(self._lib.llama_token_data))
        array = self._lib.llama_token_data_array(data, len(candidates), selected=-1)
        self._lib.llama_sampler_apply(self._chain, ctypes.byref(array))
        self._left = int(array.size)
        if not 0 <= array.selected < array.size:
            return None
        chosen = array.data[array.selected]
        # A grammar that is told of a token it forbids ends the process.
        return int(chosen.id) if chosen.logit > -np.inf else None

    def chances(self, token: int, count: int) -> tuple[float, tuple[tuple[int, float], ...]]:
        """Return how probable the last token was when it was drawn, and the likeliest with it."""
        left = self._candidates[: self._left]
        if not self._draws or not self._left:
            return 1.0, ((token, 0.0),)
        weights = np.exp(left["logit"] - left["logit"].max())
        chances = weights / weights.sum()
        best = np.argsort(chances)[::-1][:count]
        found = float(chances[left["id"] == token].sum())
        return found, tuple(
            (int(left["id"][at]), float(np.log(chances[at]))) for at in best if chances[at] > 0
        )

    def accept(self, token: int) -> None:
        """Take note of a token that was written."""
        self._lib.llama_sampler_accept(self._chain, token)

    def close(self) -> None:
        """Give the memory back."""
        if self._chain:
            self._lib.llama_sampler_free(self._chain)
            self._chain = None
