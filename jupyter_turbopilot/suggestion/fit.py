"""Coefficients and thresholds of the gate for each model. Pure.

`coefficients.json` contains them by model, written by `scripts/fit_gate.py`; missing parts default to those
of the default model. The front end uses the same numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

FITS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("coefficients.json").read_text("utf-8"))
DEFAULT = "qwen2.5-coder-0.5b"  # its fit also applies to models without their own
EAGERNESS = ("quiet", "balanced", "eager", "always")
BLANK = ("empty line", "empty cell")  # positions with their own thresholds
AIMS = {"balanced": 0.65, "quiet": 0.78}  # precision that a setting promises for any model


@dataclass(frozen=True)
class Fit:
    """Coefficients by feature, thresholds by eagerness, and the promised precision by eagerness.

    The precision of *eager* depends on the model: it was measured at the chosen threshold.
    """

    coefficients: dict[str, float]
    thresholds: dict[str, float]
    promised: dict[str, float]
    blank: dict[str, dict[str, float]] = field(default_factory=dict)  # thresholds by position of `BLANK`

    def threshold(self, eagerness: str, position: str) -> float:
        """Return the threshold of a setting at a position."""
        return self.blank.get(position, self.thresholds)[eagerness]


def blank_position(prefix: str, suffix: str) -> str:
    """Return the position of `BLANK` where the cursor is in its cell, or an empty string."""
    if not (prefix.strip() or suffix.strip()):
        return "empty cell"
    line = prefix.rpartition("\n")[2] + suffix.partition("\n")[0]
    return "" if line.strip() else "empty line"


def is_fitted_to(model: str) -> bool:
    """Return whether the gate was fitted to a model's probabilities."""
    return model in FITS


@cache
def fit_for(model: str) -> Fit:
    """Return the fit for a model, or the default model's."""
    own = FITS.get(model, FITS[DEFAULT])
    parts = FITS[DEFAULT] | own
    # A model's scores on blank lines may differ from the default model's more than elsewhere.
    return Fit(parts["coefficients"], parts["thresholds"], AIMS | parts["promised"], own.get("blank", {}))


@cache
def subject_of(model: str, eagerness: str, position: str = "") -> str:
    """Return a digest that identifies a model's scores at a setting: each is calibrated separately.

    So are those at each position of `BLANK`.

    A digest, because a model's name may be a private path or address.
    """
    fit = fit_for(model)
    threshold, promised = fit.threshold(eagerness, position), fit.promised.get(eagerness)
    about = (model, eagerness, fit.coefficients, threshold, promised, *filter(None, (position,)))
    return blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=8).hexdigest()
