"""Which model for this machine: what its memory holds, what its cores write fast enough, how good it is.

`benchmarks/quality.py` measures how good the suggestions of models are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jupyter_turbopilot.models.model import Model

FLUENT = 12.0  # tokens a second below which ghost text is slower than typing
SHARE = 0.6  # of the free memory: the rest is the notebooks'
BESIDE = 250 * 1024**2  # attention cache and computing
GUESSED_CORE = 3.5e9  # bytes of weights a core reads a second, if it was not measured
MOST_CORES = 4  # more do not read faster


class Quality(msgspec.Struct, frozen=True):
    """What came of typing held-out notebooks with a model, at one eagerness."""

    precision: float  # share of the suggestions shown that were right
    saved: float  # share of the keys that they saved
    ms: float  # median time of a key, on the machine that measured


class Measured(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was measured of a model."""

    model: str
    memory: int  # bytes: the most that the process had
    eagerness: dict[str, Quality]
    without_adapter: bool = False  # without the one that comes with the package


@cache
def measured() -> list[Measured]:
    """Return what was measured."""
    return msgspec.json.decode(Path(__file__).with_name("quality.json").read_bytes(), type=list[Measured])


def share_saved(model: str) -> float | None:
    """Return the share of what is typed that a model saves at *balanced*; None: not measured."""
    found = (one for one in measured() if one.model == model and not one.without_adapter)
    return next((one.eagerness["balanced"].saved for one in found), None)


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
