"""Gradient-boosted decision trees and thresholds of the gate for each model. Pure.

`fits.json` contains them by model, written by `research/scripts/fit_gate.py`; missing parts default to those
of the default model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from jupyter_turbopilot.suggestion.features import sigmoid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FITS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("fits.json").read_text("utf-8"))
DEFAULT = "qwen2.5-coder-0.5b"  # its fit also applies to models without their own
EAGERNESS = ("quiet", "balanced", "eager", "always")
# A leaf's log-odds, or [feature, limit, the tree for values up to the limit, the tree for greater values].
Tree: TypeAlias = "float | tuple[int, float, Tree, Tree]"


@dataclass(frozen=True)
class Trees:
    """Decision trees. The sum of their values is the log-odds that a prefix is correct."""

    features: Sequence[str]  # names; the trees contain their indexes
    trees: Sequence[Tree]

    def score(self, values: Mapping[str, float]) -> float:
        """Return the probability that a prefix with these features is correct."""
        row = [values[name] for name in self.features]
        total = 0.0
        for tree in self.trees:
            node = tree
            while not isinstance(node, float):
                feature, limit, low, high = node
                node = low if row[feature] <= limit else high
            total += node
        return sigmoid(total)


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
