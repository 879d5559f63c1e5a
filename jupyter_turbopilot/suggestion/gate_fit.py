"""Decision trees and thresholds of the gate for each model. Pure.

`fits.json` contains them by model, written by `scripts/fit_gate.py`; missing parts default to those
of the default model. The front end uses the same numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from jupyter_turbopilot.suggestion.trees import Trees

FITS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("fits.json").read_text("utf-8"))
DEFAULT = "qwen2.5-coder-0.5b"  # its fit also applies to models without their own
EAGERNESS = ("quiet", "balanced", "eager", "always")
AIMS = {"balanced": 0.70, "quiet": 0.82}  # precision that a setting promises for any model


@dataclass(frozen=True)
class Fit:
    """Decision trees, thresholds by eagerness, and the promised precision by eagerness.

    The precision of *eager* depends on the model: it was measured at the chosen threshold.
    """

    trees: Trees
    thresholds: dict[str, float]
    promised: dict[str, float]


def is_fitted_to(model: str) -> bool:
    """Return whether the gate was fitted to a model's probabilities."""
    return model in FITS


@cache
def fit_for(model: str) -> Fit:
    """Return the fit for a model, or the default model's."""
    parts = FITS[DEFAULT] | FITS.get(model, {})
    return Fit(Trees(**parts["trees"]), parts["thresholds"], AIMS | parts["promised"])


@cache
def subject_of(model: str, eagerness: str) -> str:
    """Return a digest that identifies a model's scores at a setting: each is calibrated separately.

    A digest, because a model's name may be a private path or address.
    """
    fit = fit_for(model)
    about = (model, eagerness, fit.trees, fit.thresholds.get(eagerness), fit.promised.get(eagerness))
    return blake2b(repr(about).encode(), digest_size=8).hexdigest()
