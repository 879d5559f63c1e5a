"""Chooses a token from a row of logits: the most likely one, or a sampled one. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    from jupyter_turbopilot.protocol.engine_request import Sampling

Logits = npt.NDArray[np.float32]
UNDRAWN = -1
Ids = npt.NDArray[np.int64]


def choose(
    logits: Logits,
    controls: Ids,
    ends: AbstractSet[int],
    allowed: Ids | None = None,
    drawn: int = UNDRAWN,
) -> tuple[int, float]:
    """Return the drawn token, or the most likely one, and its probability.

    With `allowed`, only these tokens count for the choice and for the probability.
    """
    top = int(logits.argmax())
    peak = float(logits[top])
    mass = float(np.exp(logits - peak).sum())

    def probability(token: int) -> float:
        return float(np.exp(float(logits[token]) - peak)) / mass

    if allowed is not None and len(allowed):
        weights = logits[allowed]
        index = int(weights.argmax())
        return int(allowed[index]), float(1.0 / np.exp(weights - weights[index]).sum())
    if drawn != UNDRAWN:
        return drawn, probability(drawn)
    if top in ends or top not in controls:
        return top, probability(top)
    # A control token that does not end the text would be invisible, so choose the next best token.
    row = logits.copy()
    row[hidden_tokens(controls, ends)] = -np.inf
    top = int(row.argmax())
    return top, probability(top)


def share(logits: Logits, tokens: Ids) -> float:
    """Return the probability of some tokens together."""
    weights = np.exp(logits - logits.max())
    return float(weights[tokens].sum() / weights.sum())


def hidden_tokens(controls: Ids, ends: AbstractSet[int]) -> Ids:
    """Return the control tokens that do not end a text. They are invisible, so they are never generated."""
    return np.array([token for token in controls.tolist() if token not in ends], dtype=np.int64)


def likeliest(logits: Logits, count: int) -> tuple[tuple[int, float], ...]:
    """Return the most likely tokens and their logprobs."""
    if not count:
        return ()
    count = min(count, len(logits))
    best = np.argpartition(logits, -count)[-count:]
    best = best[np.argsort(logits[best])[::-1]]
    peak = float(logits[best[0]])
    mass = float(np.log(np.exp(logits - peak).sum()))
    return tuple((int(token), float(logits[token]) - peak - mass) for token in best)


def bias_by_id(sampling: Sampling, tokenize: Callable[[str], Sequence[int]]) -> Sampling:
    """Return the options with biases by token id. The bias of a text applies to each of its tokens."""
    each = [
        (tokenize(token) if isinstance(token, str) else (token,), bias) for token, bias in sampling.logit_bias
    ]
    return replace(sampling, logit_bias=tuple((token, bias) for tokens, bias in each for token in tokens))
