"""Decision trees and thresholds of the gate for each model. Pure.

`fits.json` contains them by model, written by `research/scripts/fit_gate.py`; missing parts default to those
of the default model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jupyter_turbopilot.suggestion.trees import Trees

FITS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("fits.json").read_text("utf-8"))
DEFAULT = "qwen2.5-coder-0.5b"  # its fit also applies to models without their own
EAGERNESS = ("quiet", "balanced", "eager", "always")


@dataclass(frozen=True)
class Fit:
    """Decision trees, and thresholds by eagerness."""

    trees: Trees
    thresholds: dict[str, float]


def is_fitted_to(model: str) -> bool:
    """Return whether the gate was fitted to a model's probabilities."""
    return model in FITS


@cache
def fit_for(model: str) -> Fit:
    """Return the fit for a model, or the default model's."""
    parts = FITS[DEFAULT] | FITS.get(model, {})
    return Fit(Trees(**parts["trees"]), parts["thresholds"])
