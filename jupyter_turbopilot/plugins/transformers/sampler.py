"""Samples the tokens of a text with NumPy: biases, penalties, truncation and the random choice. Pure."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from jupyter_turbopilot.protocol.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.engine.stepping.sampling import Ids, Logits
    from jupyter_turbopilot.protocol.engine_request import Sampling

Numbers = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
BIAS = 1e9  # bans or forces a token
COLDEST = 1e-5  # the lowest temperature; lower ones overflow


class NumpySampler:
    """Samples the tokens of one text. Each text has its own, because earlier tokens affect the next."""

    def __init__(self, sampling: Sampling, hidden: Ids, size: int, prompt: Sequence[int]) -> None:
        """`size`: the size of the vocabulary, whose `hidden` tokens are never drawn."""
        if "infill" in sampling.samplers:
            raise BadRequestError("This engine has no sampler `infill`. Remove it.", field="samplers")
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
        self._left: tuple[Ids, Numbers] | None = None  # the candidates of the last token

    def pick(self, logits: Logits) -> int | None:
        with np.errstate(all="ignore"):  # the overflow of extreme settings has the intended effect
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
        """Apply the penalties to recent tokens."""
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
        if self._left is None:
            return 1.0, ((token, 0.0),)
        ids, chances = self._left
        best = np.argsort(-chances, kind="stable")[:count]
        return float(chances[ids == token].sum()), tuple(
            (int(ids[at]), float(np.log(chances[at]))) for at in best if chances[at] > 0
        )

    def accept(self, token: int) -> None:
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
        """Free the candidates of the last token."""
        self._left = None


def softmax(values: Numbers) -> Numbers:
    """Return the probabilities for logits."""
    weights = np.exp(values - values.max())
    chances: Numbers = weights / weights.sum()
    return chances


def _top_k(values: Numbers, sampling: Sampling) -> tuple[Indices, Numbers]:
    """Keep the `top_k` most likely tokens."""
    count = sampling.top_k
    if not 0 < count < len(values):
        return _all(values)
    return _some(values, np.argpartition(values, -count)[-count:])


def _top_p(values: Numbers, sampling: Sampling) -> tuple[Indices, Numbers]:
    """Keep the most likely tokens whose total probability reaches `top_p`."""
    if sampling.top_p >= 1:
        return _all(values)
    order = np.argsort(-values, kind="stable")
    reached = np.searchsorted(softmax(values)[order].cumsum(), sampling.top_p, side="left")
    return _some(values, order[: int(reached) + 1])


def _min_p(values: Numbers, sampling: Sampling) -> tuple[Indices, Numbers]:
    """Keep the tokens that are at least `min_p` times as probable as the most likely one."""
    if sampling.min_p <= 0:
        return _all(values)
    least = min(values.max(), values.max() + np.log(sampling.min_p))
    return _some(values, np.flatnonzero(values >= least))


def _typical(values: Numbers, sampling: Sampling) -> tuple[Indices, Numbers]:
    """Keep the tokens whose information is closest to the entropy, up to a probability of `typical_p`."""
    if sampling.typical_p >= 1:
        return _all(values)
    chances = softmax(values)
    surprise = -np.log(np.maximum(chances, np.finfo(np.float64).tiny))
    order = np.argsort(np.abs(surprise - (chances * surprise).sum()), kind="stable")
    reached = np.searchsorted(chances[order].cumsum(), sampling.typical_p, side="right")
    return _some(values, order[: int(reached) + 1])


def _temperature(values: Numbers, sampling: Sampling) -> tuple[Indices, Numbers]:
    """Scale the logits."""
    return np.arange(len(values)), values / max(sampling.temperature, COLDEST)


def _all(values: Numbers) -> tuple[Indices, Numbers]:
    return np.arange(len(values)), values


def _some(values: Numbers, kept: Indices) -> tuple[Indices, Numbers]:
    return kept, values[kept]


CUTS: dict[str, Callable[[Numbers, Sampling], tuple[Indices, Numbers]]] = {
    "top_k": _top_k,
    "typ_p": _typical,
    "top_p": _top_p,
    "min_p": _min_p,
    "temperature": _temperature,
}
