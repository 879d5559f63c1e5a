"""The gate's fit to a model: coefficients and thresholds. Pure.

`coefficients.json` has them by model, written by `scripts/fit_gate.py`; what an entry lacks is the default
model's. The front end judges by the same numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

FITS: dict[str, dict[str, dict[str, float]]] = json.loads(
    Path(__file__).with_name("coefficients.json").read_text("utf-8")
)
DEFAULT = "qwen2.5-coder-0.5b"  # whose fit serves models that have none of their own
EAGERNESS = ("quiet", "balanced", "eager", "always")
AIMS = {"balanced": 0.65, "quiet": 0.78}  # which share of what they show is to be right, for any model


@dataclass(frozen=True)
class Fit:
    """Coefficients by feature, thresholds by eagerness, which share of what these show is to be right.

    What *eager* promises differs by model: as many right ones as there were where its threshold was chosen.
    """

    coefficients: dict[str, float]
    thresholds: dict[str, float]
    promised: dict[str, float]


def is_fitted_to(model: str) -> bool:
    """Tell whether the gate knows what a model's probabilities are worth."""
    return model in FITS


@cache
def fit_for(model: str) -> Fit:
    """Return the fit to a model, or the default model's."""
    parts = FITS[DEFAULT] | FITS.get(model, {})
    return Fit(parts["coefficients"], parts["thresholds"], AIMS | parts["promised"])


@cache
def subject_of(model: str, eagerness: str) -> str:
    """Return a digest that names the scores of a model at a setting: each is learned about by itself.

    A model's name may be a path or an address, which nobody is to read where the digest is kept.
    """
    fit = fit_for(model)
    about = (model, eagerness, fit.coefficients, fit.thresholds.get(eagerness), fit.promised.get(eagerness))
    return blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=8).hexdigest()
