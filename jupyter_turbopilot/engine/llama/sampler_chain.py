"""llama.cpp's chain of samplers for one text: biases, grammar, penalties, cuts and the draw."""

from __future__ import annotations

import ctypes
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from jupyter_turbopilot.engine.llama.grammar_check import refusal
from jupyter_turbopilot.engine.llama.quiet import hushed
from jupyter_turbopilot.errors import BadRequestError, EngineError

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.engine.sampling import Ids, Logits
    from jupyter_turbopilot.generation import Sampling

INFILL_MOST = 128  # candidates that `infill` compares with each other; a whole vocabulary would take hours
# A grammar is asked about so many of the likeliest tokens, one such piece after the other: none takes longer
# than about a step of the model. It goes on until what is left could not change what is drawn.
LIKELIEST = (64, 1024, 2048, 3072, 4096)
NEGLIGIBLE = 1e-3  # of the probability of the allowed tokens
BIAS = 1e9  # means never or always; larger values overflow
COLDEST = 1e-5  # lower temperatures overflow
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class SamplerChain:
    """Draws the tokens of one text; each text has its own, because earlier tokens affect the next."""

    def __init__(
        self,
        lib: types.ModuleType,
        vocab: Any,
        size: int,
        sampling: Sampling,
        hidden: Ids,
        short: Ids,
        prompt: Sequence[int],
    ) -> None:
        """Make the chain; `hidden` tokens are never drawn, with `short` ones any text can be written."""
        self._lib = lib
        self._candidates = np.empty(size, dtype=_CANDIDATE)
        self._left = 0  # how many of them the last token was drawn from
        self._draws = sampling.temperature > 0
        self._heat = max(1.0, sampling.temperature)  # at least: the tail weighs more than where it is colder
        self._enough = self._counts(sampling)
        self._penalties: Any = None
        self._ids = np.arange(size, dtype=np.int32)
        self._short = short.astype(np.int32)
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
        self._grammar = None
        self._chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        if not self._chain:
            raise EngineError("llama.cpp could not create a chain of samplers. Try again.")
        try:
            if sampling.grammar:
                self._grammar = self._read_grammar(vocab, sampling.grammar)
            for sampler in self._samplers(vocab, sampling, prompt):
                lib.llama_sampler_chain_add(self._chain, sampler)
        except BaseException:
            self.close()
            raise

    def _read_grammar(self, vocab: Any, grammar: str) -> Any:
        if why := refusal(grammar):
            raise BadRequestError(why, field="grammar")
        with hushed():
            made = self._lib.llama_sampler_init_grammar(vocab, grammar.encode(), b"root")
        if made:
            return made
        raise BadRequestError("The grammar is not valid GBNF with a rule `root`.", field="grammar")

    @staticmethod
    def _counts(sampling: Sampling) -> float:
        """Return how many of the tokens that a grammar allows, the likeliest first, can be drawn."""
        if sampling.temperature <= 0:
            return 1
        return sampling.top_k if sampling.samplers[:1] == ("top_k",) and sampling.top_k > 0 else math.inf

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
            self._penalties = penalties
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
        """Return the next token; None where the grammar leaves none."""
        weighed = logits + self._bias
        token = self._draw(self._ids, weighed)
        if not self._grammar or token is None:
            return token
        # A grammar may take seconds over a whole vocabulary, and mostly agrees with what is drawn without it.
        if len(self._allowed(np.array([token], dtype=np.int32), weighed)):
            return token
        allowed = self._likeliest_allowed(weighed)
        return self._draw(allowed, weighed) if len(allowed) else None

    def _likeliest_allowed(self, weighed: Logits) -> npt.NDArray[np.int32]:
        """Return the likeliest tokens that the grammar goes on with, as many as matter to what is drawn."""
        logits = self._penalised(weighed)
        most = min(LIKELIEST[-1], len(logits))
        likeliest = np.argpartition(-logits, most - 1)[:most]
        order = self._ids[likeliest[np.argsort(-logits[likeliest])]]
        weights = np.exp((logits - logits.max()) / self._heat)
        left, weight = float(weights.sum()), 0.0
        likely = self._ids[:0]
        for start, stop in pairwise((0, *LIKELIEST)):
            some = order[start:stop]
            allowed = self._allowed(some, weighed)
            likely = np.concatenate([likely, allowed])
            weight += float(weights[allowed].sum())
            left -= float(weights[some].sum())
            if len(likely) >= self._enough or left < NEGLIGIBLE * weight:
                break
        return likely if len(likely) else self._allowed(self._short, weighed)

    def _penalised(self, weighed: Logits) -> npt.NDArray[np.float64]:
        """Return logits as they are behind the penalties."""
        logits = weighed.astype(np.float64)
        if self._penalties:
            array = self._array(self._candidates, self._ids, weighed)
            self._lib.llama_sampler_apply(self._penalties, ctypes.byref(array))
            logits[self._candidates["id"]] = self._candidates["logit"]
        return np.nan_to_num(logits, nan=-BIAS, posinf=BIAS, neginf=-BIAS)

    def _allowed(self, ids: npt.NDArray[np.int32], weighed: Logits) -> npt.NDArray[np.int32]:
        """Return those of some tokens that the grammar goes on with."""
        candidates = np.empty(len(ids), dtype=_CANDIDATE)
        array = self._array(candidates, ids, weighed)
        self._lib.llama_sampler_apply(self._grammar, ctypes.byref(array))
        left = candidates[: array.size]
        return left["id"][left["logit"] > -np.inf]

    def _draw(self, ids: npt.NDArray[np.int32], weighed: Logits) -> int | None:
        array = self._array(self._candidates[: len(ids)], ids, weighed)
        self._lib.llama_sampler_apply(self._chain, ctypes.byref(array))
        self._left = int(array.size)
        if not 0 <= array.selected < array.size:
            return None
        chosen = array.data[array.selected]
        # llama.cpp ends the process when a grammar accepts a token that it forbids.
        return int(chosen.id) if chosen.logit > -np.inf else None

    def chances(self, token: int, count: int) -> tuple[float, tuple[tuple[int, float], ...]]:
        """Return how probable the last token was when it was drawn, and the likeliest with it."""
        left = self._candidates[: self._left]
        if not self._draws or not self._left:
            return 1.0, ((token, 0.0),)
        weights = np.exp(left["logit"] - left["logit"].max())
        chances = weights / weights.sum()
        best = np.argsort(chances)[::-1][:count]
        return float(chances[left["id"] == token].sum()), tuple(
            (int(left["id"][at]), float(np.log(chances[at]))) for at in best if chances[at] > 0
        )

    def _array(self, candidates: npt.NDArray[np.void], ids: npt.NDArray[np.int32], weighed: Logits) -> Any:
        """Lay out candidates as llama.cpp wants them; it sorts them in place."""
        candidates["id"] = ids
        candidates["logit"] = weighed[ids]
        candidates["p"] = 0
        data = candidates.ctypes.data_as(ctypes.POINTER(self._lib.llama_token_data))
        return self._lib.llama_token_data_array(data, len(ids), selected=-1)

    def accept(self, token: int) -> None:
        """Take note of a token that was written."""
        if self._grammar:
            self._lib.llama_sampler_accept(self._grammar, token)
        self._lib.llama_sampler_accept(self._chain, token)

    def close(self) -> None:
        """Free the samplers."""
        for sampler in (self._grammar, self._chain):
            if sampler:
                self._lib.llama_sampler_free(sampler)
        self._grammar = self._chain = None
