"""Gradient-boosted decision trees: the score of a suggestion prefix from its features. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from jupyter_turbopilot.suggestion.features import sigmoid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
