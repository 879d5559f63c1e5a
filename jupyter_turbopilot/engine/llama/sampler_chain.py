"""llama.cpp's sampler chain for one text: biases, penalties, truncation samplers and the random choice."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

from jupyter_turbopilot.protocol.errors import BadRequestError, EngineError
from jupyter_turbopilot.util.failures import on_failure

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.engine.stepping.sampling import Ids, Logits
    from jupyter_turbopilot.protocol.engine_request import Sampling

INFILL_MOST = 128  # candidates for `infill`, which compares all pairs: a whole vocabulary would take hours
BIAS = 1e9  # bans or forces a token; larger values overflow
COLDEST = 1e-5  # the lowest temperature; lower ones overflow
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class SamplerChain:
    """Samples the tokens of one text. Each text has its own chain, because earlier tokens affect the next."""

    def __init__(
        self,
        lib: types.ModuleType,
        vocab: Any,
        size: int,
        sampling: Sampling,
        hidden: Ids,
        prompt: Sequence[int],
    ) -> None:
        """Create the chain; `hidden` tokens are never sampled."""
        self._lib = lib
        self._candidates = np.empty(size, dtype=_CANDIDATE)
        self._left = 0  # how many candidates remained when the last token was sampled
        self._draws = sampling.temperature > 0
        self._ids = np.arange(size, dtype=np.int32)
        self._bias = np.zeros(size, dtype=np.float32)
        self._bias[hidden] = -np.inf
        known = [
            (token, bias)
            for token, bias in sampling.logit_bias
            if isinstance(token, int) and 0 <= token < size
        ]
        if known:
            tokens, biases = zip(*known, strict=True)
            np.add.at(self._bias, np.array(tokens), np.clip(np.array(biases), -BIAS, BIAS))
        self._chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        if not self._chain:
            raise EngineError("llama.cpp could not create a chain of samplers. Try again.")
        with on_failure(self.close):
            for sampler in self._samplers(vocab, sampling, prompt):
                lib.llama_sampler_chain_add(self._chain, sampler)

    def _samplers(self, vocab: Any, sampling: Sampling, prompt: Sequence[int]) -> Iterator[Any]:
        lib = self._lib
        if sampling.penalised:
            # llama.cpp allocates the whole window at once, however large it is.
            window, longest = sampling.penalty_last_n, len(prompt) + sampling.max_tokens
            window = min(window, longest) if window >= 0 else longest
            penalties = lib.llama_sampler_init_penalties(
                len(self._bias),
                window,
                sampling.repeat_penalty,
                sampling.frequency_penalty,
                sampling.presence_penalty,
            )
            for token in prompt[-window:] if sampling.repeat_penalty != 1 and window else ():
                lib.llama_sampler_accept(penalties, token)
            yield penalties
        if sampling.temperature <= 0:
            yield lib.llama_sampler_init_greedy()
            return
        makers: dict[str, Callable[[], Any]] = {
            "top_k": lambda: lib.llama_sampler_init_top_k(sampling.top_k),
            "typ_p": lambda: lib.llama_sampler_init_typical(sampling.typical_p, 1),
            "top_p": lambda: lib.llama_sampler_init_top_p(sampling.top_p, 1),
            "min_p": lambda: lib.llama_sampler_init_min_p(sampling.min_p, 1),
            "temperature": lambda: lib.llama_sampler_init_temp(max(sampling.temperature, COLDEST)),
            "infill": lambda: lib.llama_sampler_init_infill(vocab),
        }
        names = [name for name in dict.fromkeys(sampling.samplers) if name in makers]
        if "infill" in names and not (
            "top_k" in names[: names.index("infill")] and 0 < sampling.top_k <= INFILL_MOST
        ):
            raise BadRequestError(
                f"`infill` needs `top_k` before it, with a value from 1 to {INFILL_MOST}.", field="samplers"
            )
        for name in names:
            yield makers[name]()
        yield lib.llama_sampler_init_dist(sampling.seed)

    def pick(self, logits: Logits) -> int | None:
        candidates = self._candidates
        candidates["id"] = self._ids
        candidates["logit"] = logits + self._bias
        candidates["p"] = 0
        data = candidates.ctypes.data_as(ctypes.POINTER(self._lib.llama_token_data))
        array = self._lib.llama_token_data_array(data, len(candidates), selected=-1)
        self._lib.llama_sampler_apply(self._chain, ctypes.byref(array))
        self._left = int(array.size)
        if not 0 <= array.selected < array.size:
            return None
        chosen = array.data[array.selected]
        return int(chosen.id) if chosen.logit > -np.inf else None

    def chances(self, token: int, count: int) -> tuple[float, tuple[tuple[int, float], ...]]:
        left = self._candidates[: self._left]
        if not self._draws or not self._left:
            return 1.0, ((token, 0.0),)
        weights = np.exp(left["logit"] - left["logit"].max())
        chances = weights / weights.sum()
        best = np.argsort(chances)[::-1][:count]
        return float(chances[left["id"] == token].sum()), tuple(
            (int(left["id"][at]), float(np.log(chances[at]))) for at in best if chances[at] > 0
        )

    def accept(self, token: int) -> None:
        """Update the penalties with a generated token."""
        self._lib.llama_sampler_accept(self._chain, token)

    def close(self) -> None:
        if self._chain:
            self._lib.llama_sampler_free(self._chain)
            self._chain = None
