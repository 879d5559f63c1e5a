"""Recommend a model for this machine by memory, speed and measured quality.

`research/benchmarks/quality.py` measures the quality.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jupyter_turbopilot.models.model import Model

MIN_TOKENS_PER_SECOND = 12.0  # below this, ghost text is slower than typing
# Below this, suggestions often arrive after the next keystroke: typed in real time at 17.6 tokens per second,
# the 1.5 B model saves 0.79 of what it saves a user who waits, compared with the default model.
FULL_TOKENS_PER_SECOND = 22.0
MEMORY_SHARE = 0.6  # of the free memory; the rest is left to notebooks
OVERHEAD_BYTES = 250 * 1024**2  # bytes for the KV cache and compute buffers
CORE_BYTES_PER_SECOND = 5e9  # bytes of weights that a core reads per second, until a model has run
MAX_CORES = 4  # more cores do not increase memory bandwidth
# The time of a token is the size of the served file / memory bandwidth + this constant. The speed of either
# model with a bundled adapter then predicts the speed of the other within 3 %, with 8-bit and 4-bit layers.
TOKEN_OVERHEAD_SECONDS = 0.0025
# On a CPU, llama.cpp keeps a second copy of Q4_K weights, in the order in which it computes: about this share
# of a Q4_K_M file. For a merged copy, it unmaps the original weights.
REPACKED_SHARE = {"Q4_K_M": 0.6}


class Quality(msgspec.Struct, frozen=True):
    """Results of replaying held-out notebooks with a model at one eagerness."""

    precision: float  # share of shown suggestions that were correct
    saved: float  # share of keystrokes saved
    ms: float  # median latency per keystroke on the measuring machine


class Measured(msgspec.Struct, frozen=True, omit_defaults=True):
    """The measurements of one model."""

    model: str
    eagerness: dict[str, Quality]
    without_adapter: bool = False  # without the bundled adapter


@cache
def measured() -> list[Measured]:
    """Return the measurements of all models."""
    return msgspec.json.decode(Path(__file__).with_name("quality.json").read_bytes(), type=list[Measured])


def share_saved(model: str) -> float | None:
    """Return the share of keystrokes that a model saves at *balanced*, or None if it was not measured."""
    found = (one for one in measured() if one.model == model and not one.without_adapter)
    return next((one.eagerness["balanced"].saved for one in found), None)


@dataclass(frozen=True)
class Advice:
    """The verdict about one model on this machine."""

    model: Model
    memory: int
    tokens_per_second: float
    verdict: str  # "recommended", "runs", "slow", "too large"


def guessed_rate(cores: int) -> float:
    """Estimate the number of weight bytes read per second."""
    return CORE_BYTES_PER_SECOND * min(cores, MAX_CORES)


def rate_of(size: int, tokens_per_second: float) -> float:
    """Return the number of weight bytes read per second, from the speed of a served file of this size."""
    seconds = 1 / tokens_per_second
    return size / max(seconds - TOKEN_OVERHEAD_SECONDS, seconds / 2)


def speed_of(size: int, rate: float) -> float:
    """Estimate the generated tokens per second of a served file."""
    return 1 / (TOKEN_OVERHEAD_SECONDS + size / rate)


def memory_of(model: Model) -> int:
    """Estimate the memory with a context of 4096 tokens, the pages of the model's file included."""
    repacked = 0.0 if model.copy_size else REPACKED_SHARE.get(model.kind, 0.0)
    return int(model.served_bytes * (1 + repacked)) + OVERHEAD_BYTES


def advise(
    models: Iterable[Model], free: int, rate: float, saved: Callable[[str], float | None] = share_saved
) -> list[Advice]:
    """Judge each model; recommend the measured one that saves most keystrokes in real time here."""
    advice = [_judge(model, free, rate) for model in models if model.engine == "llama"]
    measured = [one for one in advice if saved(one.model.name) and one.verdict != "too large"]
    best = max(
        measured,
        key=lambda one: (
            one.verdict == "runs",
            (saved(one.model.name) or 0) * min(1.0, one.tokens_per_second / FULL_TOKENS_PER_SECOND),
        ),
        default=None,
    )
    return [replace(one, verdict="recommended") if one is best else one for one in advice]


def _judge(model: Model, free: int, rate: float) -> Advice:
    memory, speed = memory_of(model), speed_of(model.served_bytes, rate)
    verdict = (
        "too large" if memory > free * MEMORY_SHARE else "slow" if speed < MIN_TOKENS_PER_SECOND else "runs"
    )
    return Advice(model, memory, speed, verdict)
