"""How good models' suggestions are, as far as that was measured by `benchmarks/quality.py`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec


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
