"""How good models' suggestions are, as far as that was measured by `benchmarks/quality.py`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec


class Quality(msgspec.Struct, frozen=True):
    """What came of typing held-out notebooks with a model."""

    precision: float  # share of the suggestions shown that were right
    saved: float  # share of the typed characters that they saved
    ms: float  # median time of a key, on the machine that measured


@cache
def measured() -> dict[str, dict[str, Quality]]:
    """Return what was measured, by model and eagerness."""
    data = Path(__file__).with_name("quality.json").read_bytes()
    return msgspec.json.decode(data, type=dict[str, dict[str, Quality]])


def share_saved(model: str) -> float | None:
    """Return the share of what is typed that a model saves at *balanced*; None: not measured."""
    by_eagerness = measured().get(model)
    return by_eagerness["balanced"].saved if by_eagerness else None
