"""From a row of logits to one token and its probability. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from jupyter_turbopilot.engine.generation import Sampling

Row = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


def choose(
    logits: Row,
    sampling: Sampling,
    rng: np.random.Generator | None,
    controls: Ids,
    ends: AbstractSet[int],
    allowed: Ids | None = None,
) -> tuple[int, float]:
    """Return the token and how probable it was: among all, or among those that are allowed."""
    top = int(logits.argmax())
    peak = float(logits[top])
    mass = float(np.exp(logits - peak).sum())

    def probability(token: int) -> float:
        return float(np.exp(float(logits[token]) - peak)) / mass

    if allowed is not None and len(allowed):
        # How sure the model is given that it has to begin so: the other tokens are not in question.
        held = logits[allowed]
        index = int(held.argmax())
        return int(allowed[index]), float(1.0 / np.exp(held - held[index]).sum())
    if rng is None or sampling.temperature <= 0:
        if top in ends or not _in(controls, top):
            return top, probability(top)
        # A control token that does not end the answer would be invisible: the next best stands in.
        row = logits.copy()
        row[[token for token in controls.tolist() if token not in ends]] = -np.inf
        top = int(row.argmax())
        return top, probability(top)
    token = _draw(logits, sampling, rng, controls, ends)
    return token, probability(token)


def _draw(
    logits: Row, sampling: Sampling, rng: np.random.Generator, controls: Ids, ends: AbstractSet[int]
) -> int:
    count = min(sampling.top_k or len(logits), len(logits))
    best = np.argpartition(logits, -count)[-count:]
    best = best[np.argsort(logits[best])[::-1]]
    kept: list[Any] = [t for t in best.tolist() if t in ends or not _in(controls, t)] or best[:1].tolist()
    scaled = logits[kept].astype(np.float64) / sampling.temperature
    weights = np.exp(scaled - scaled.max())
    weights /= weights.sum()
    cut = int(np.searchsorted(weights.cumsum(), sampling.top_p)) + 1
    weights = weights[:cut] / weights[:cut].sum()
    return int(kept[int(rng.choice(len(weights), p=weights))])


def _in(ids: Ids, token: int) -> bool:
    index = int(np.searchsorted(ids, token))
    return index < len(ids) and int(ids[index]) == token
