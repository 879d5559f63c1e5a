"""Which model for this machine: what its memory holds, what its cores write fast enough. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.models.quality import share_saved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jupyter_turbopilot.models.model import Model

FLUENT = 12.0  # tokens a second below which grey text comes after the person
SHARE = 0.6  # of the free memory: the rest is the notebooks'
BESIDE = 250 * 1024**2  # attention cache and computing
GUESSED_CORE = 3.5e9  # bytes of weights a core reads a second, where nobody measured
MOST_CORES = 4  # more do not read faster


@dataclass(frozen=True)
class Advice:
    """One model here."""

    model: Model
    memory: int
    tokens_a_second: float
    verdict: str  # "recommended", "runs", "slow", "too large"


def guessed_rate(cores: int) -> float:
    """Guess how many bytes of weights are read a second."""
    return GUESSED_CORE * min(cores, MOST_CORES)


def advise(
    models: Iterable[Model], free: int, rate: float, saved: Callable[[str], float | None] = share_saved
) -> list[Advice]:
    """Judge each; of those that fit, are fast enough and fill in the middle, the best is recommended.

    That is the one that was measured to save most; where none was measured, the largest.
    """
    advice = [_judge(model, free, rate) for model in models if model.engine == "llama"]
    good = [one for one in advice if one.verdict == "runs" and one.model.fim != "none"]
    best = max(
        good,
        key=lambda one: (saved(one.model.name) or 0, one.model.sha256 is not None, one.model.parameters),
        default=None,
    )
    if best is None:  # nothing is fluent: the smallest that fits
        fits = [one for one in advice if one.verdict != "too large"]
        best = min(fits, key=lambda one: one.model.bytes, default=None)
    return [
        Advice(one.model, one.memory, one.tokens_a_second, "recommended") if one is best else one
        for one in advice
    ]


def _judge(model: Model, free: int, rate: float) -> Advice:
    memory = model.bytes + BESIDE
    speed = rate / model.bytes
    verdict = "too large" if memory > free * SHARE else "slow" if speed < FLUENT else "runs"
    return Advice(model, memory, speed, verdict)
