"""From a row of logits to one token and its probability: the likeliest, or one that is drawn. Pure."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from jupyter_turbopilot.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    from jupyter_turbopilot.generation import Sampling

Logits = npt.NDArray[np.float32]
UNDRAWN = -1
Ids = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
BIAS = 1e9  # means never or always
COLDEST = 1e-5  # lower temperatures overflow


def choose(
    logits: Logits,
    controls: Ids,
    ends: AbstractSet[int],
    allowed: Ids | None = None,
    drawn: int = UNDRAWN,
) -> tuple[int, float]:
    """Return the token and how probable it was: among all, or among those that are allowed.

    It is the likeliest, unless one was drawn.
    """
    top = int(logits.argmax())
    peak = float(logits[top])
    mass = float(np.exp(logits - peak).sum())

    def probability(token: int) -> float:
        return float(np.exp(float(logits[token]) - peak)) / mass

    if allowed is not None and len(allowed):
        # The probability among the allowed tokens: the others are out of the question.
        weights = logits[allowed]
        index = int(weights.argmax())
        return int(allowed[index]), float(1.0 / np.exp(weights - weights[index]).sum())
    if drawn != UNDRAWN:
        return drawn, probability(drawn)
    if top in ends or not _in(controls, top):
        return top, probability(top)
    # A control token that does not end the answer would be invisible: take the next best token.
    row = logits.copy()
    row[hidden_tokens(controls, ends)] = -np.inf
    top = int(row.argmax())
    return top, probability(top)


def hidden_tokens(controls: Ids, ends: AbstractSet[int]) -> Ids:
    """Return the control tokens that do not end an answer: nobody would see them in it."""
    return np.array([token for token in controls.tolist() if token not in ends], dtype=np.int64)


def likeliest(logits: Logits, count: int) -> tuple[tuple[int, float], ...]:
    """Return the likeliest tokens and the logarithms of their probabilities."""
    if not count:
        return ()
    count = min(count, len(logits))
    best = np.argpartition(logits, -count)[-count:]
    best = best[np.argsort(logits[best])[::-1]]
    peak = float(logits[best[0]])
    mass = float(np.log(np.exp(logits - peak).sum()))
    return tuple((int(token), float(logits[token]) - peak - mass) for token in best)


def bias_by_id(sampling: Sampling, tokenize: Callable[[str], Sequence[int]]) -> Sampling:
    """Return the options with every bias by its token's id: a text stands for each of its tokens."""
    each = [
        (tokenize(token) if isinstance(token, str) else (token,), bias) for token, bias in sampling.logit_bias
    ]
    return replace(sampling, logit_bias=tuple((token, bias) for tokens, bias in each for token in tokens))


def _in(ids: Ids, token: int) -> bool:
    index = int(np.searchsorted(ids, token))
    return index < len(ids) and int(ids[index]) == token


class Drawing:
    """Draws the tokens of one text; each text has its own, because earlier tokens affect the next."""

    def __init__(self, sampling: Sampling, hidden: Ids, size: int, prompt: Sequence[int]) -> None:
        """Prepare for `size` tokens, of which the `hidden` ones are never drawn."""
        if "infill" in sampling.samplers:
            raise BadRequestError("This engine has no sampler `infill`. Leave it out.", field="samplers")
        self._sampling = sampling
        self._bias = np.zeros(size)
        self._bias[hidden] = -np.inf
        for token, bias in sampling.logit_bias:
            if isinstance(token, int) and 0 <= token < size:
                self._bias[token] += min(max(bias, -BIAS), BIAS)
        self._cuts = [CUTS[name] for name in dict.fromkeys(sampling.samplers) if name in CUTS]
        self._random = np.random.default_rng(sampling.seed)
        window = (
            sampling.penalty_last_n if sampling.penalty_last_n >= 0 else len(prompt) + sampling.max_tokens
        )
        self._window: deque[int] = deque(maxlen=min(window, len(prompt) + sampling.max_tokens))
        self._counts: Counter[int] = Counter()
        if sampling.repeat_penalty != 1:
            for token in prompt:
                self.accept(token)
        self._left: tuple[Ids, Numbers] | None = None  # what the last token was drawn from

    def pick(self, logits: Logits) -> int | None:
        """Return the next token; None where there is none."""
        with np.errstate(all="ignore"):  # extreme settings overflow, and that is what they mean
            weighed = self._penalized(logits.astype(np.float64) + self._bias)
            if self._sampling.temperature <= 0:
                token = int(weighed.argmax())
                return token if weighed[token] > -np.inf else None
            ids = np.flatnonzero(weighed > -np.inf).astype(np.int64)
            if not len(ids):
                return None
            values = weighed[ids]
            for cut in self._cuts:
                kept, values = cut(values, self._sampling)
                ids = ids[kept]
            chances = softmax(values)
        self._left = ids, chances
        sums = chances.cumsum()
        at = int(np.searchsorted(sums, self._random.random() * sums[-1], side="right"))
        return int(ids[min(at, len(ids) - 1)])

    def _penalized(self, logits: Numbers) -> Numbers:
        """Make what was written lately less likely."""
        sampling = self._sampling
        if sampling.penalised and self._counts:
            ids = np.fromiter(self._counts, dtype=np.int64)
            counts = np.fromiter(self._counts.values(), dtype=np.float64)
            ids, counts = ids[ids < len(logits)], counts[ids < len(logits)]
            values = logits[ids]
            repeat = sampling.repeat_penalty
            values = np.where(values <= 0, values * repeat, values / repeat)
            logits[ids] = values - counts * sampling.frequency_penalty - sampling.presence_penalty
            np.nan_to_num(logits, copy=False, nan=-BIAS, posinf=BIAS, neginf=-np.inf)
        return logits

    def chances(self, token: int, count: int) -> tuple[float, tuple[tuple[int, float], ...]]:
        """Return how probable the last token was when it was drawn, and the likeliest with it."""
        if self._left is None:
            return 1.0, ((token, 0.0),)
        ids, chances = self._left
        best = np.argsort(-chances, kind="stable")[:count]
        return float(chances[ids == token].sum()), tuple(
            (int(ids[at]), float(np.log(chances[at]))) for at in best if chances[at] > 0
        )

    def accept(self, token: int) -> None:
        """Take note of a token that was written."""
        if not self._window.maxlen:
            return
        if len(self._window) == self._window.maxlen:
            oldest = self._window[0]
            self._counts[oldest] -= 1
            if not self._counts[oldest]:
                del self._counts[oldest]
        self._window.append(token)
        self._counts[token] += 1

    def close(self) -> None:
        """Forget what was drawn from."""
        self._left = None


def softmax(values: Numbers) -> Numbers:
    """Return the probabilities that logits stand for."""
    weights = np.exp(values - values.max())
    chances: Numbers = weights / weights.sum()
    return chances


def _top_k(values: Numbers, sampling: Sampling) -> tuple[Places, Numbers]:
    """Keep the likeliest `top_k`."""
    count = sampling.top_k
    if not 0 < count < len(values):
        return _all(values)
    return _some(values, np.argpartition(values, -count)[-count:])


def _top_p(values: Numbers, sampling: Sampling) -> tuple[Places, Numbers]:
    """Keep the likeliest that together reach a probability of `top_p`."""
    if sampling.top_p >= 1:
        return _all(values)
    order = np.argsort(-values, kind="stable")
    reached = np.searchsorted(softmax(values)[order].cumsum(), sampling.top_p, side="left")
    return _some(values, order[: int(reached) + 1])


def _min_p(values: Numbers, sampling: Sampling) -> tuple[Places, Numbers]:
    """Keep what is at least `min_p` times as probable as the likeliest."""
    if sampling.min_p <= 0:
        return _all(values)
    least = min(values.max(), values.max() + np.log(sampling.min_p))
    return _some(values, np.flatnonzero(values >= least))


def _typical(values: Numbers, sampling: Sampling) -> tuple[Places, Numbers]:
    """Keep the most typical, those about as surprising as is to be expected, up to a sum of `typical_p`."""
    if sampling.typical_p >= 1:
        return _all(values)
    chances = softmax(values)
    surprise = -np.log(np.maximum(chances, np.finfo(np.float64).tiny))
    order = np.argsort(np.abs(surprise - (chances * surprise).sum()), kind="stable")
    reached = np.searchsorted(chances[order].cumsum(), sampling.typical_p, side="right")
    return _some(values, order[: int(reached) + 1])


def _temperature(values: Numbers, sampling: Sampling) -> tuple[Places, Numbers]:
    """Bring what is likely and what is not closer together, or further apart."""
    return np.arange(len(values)), values / max(sampling.temperature, COLDEST)


def _all(values: Numbers) -> tuple[Places, Numbers]:
    return np.arange(len(values)), values


def _some(values: Numbers, kept: Places) -> tuple[Places, Numbers]:
    return kept, values[kept]


CUTS: dict[str, Callable[[Numbers, Sampling], tuple[Places, Numbers]]] = {
    "top_k": _top_k,
    "typ_p": _typical,
    "top_p": _top_p,
    "min_p": _min_p,
    "temperature": _temperature,
}
