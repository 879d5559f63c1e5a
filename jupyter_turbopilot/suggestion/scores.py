"""The score of a suggestion prefix: its features, and the decision trees of the gate for each model. Pure.

`fits.json` contains the gradient-boosted trees and the thresholds, written by `research/scripts/fit_gate.py`.
Missing parts default to those of the default model.
"""

from __future__ import annotations

import json
import keyword
import math
import re
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from jupyter_turbopilot.analysis.lexer import closers_after, open_quote
from jupyter_turbopilot.util.bounds import LINE, cached_function, count_operations, end_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_WORD = re.compile(r"[^\W\d]\w*+")
_AFTER_DOT, _IN_WORD = re.compile(r"\.\w*+$"), re.compile(r"\w$")
_IN_BRACKETS, _AFTER_EQUALS = re.compile(r"[(\[{,]\s*+$"), re.compile(r"=\s*+$")
_KEYWORDS = frozenset((*keyword.kwlist, "self"))
SMALLEST = 1e-4  # lower bound of probabilities
FITS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("fits.json").read_text("utf-8"))
DEFAULT = "qwen2.5-coder-0.5b"  # its fit also applies to models without their own
EAGERNESS = ("quiet", "balanced", "eager", "always")
# A leaf's log-odds, or [feature, limit, the tree for values up to the limit, the tree for greater values].
Tree: TypeAlias = "float | tuple[int, float, Tree, Tree]"


@dataclass(frozen=True)
class CursorFeatures:
    """Features of the text around the cursor."""

    line: str = ""  # the line up to the cursor
    rest: str = ""  # the line after the cursor
    words: frozenset[str] = frozenset()  # names in the notebook

    @cached_property
    def body(self) -> str:
        """The line up to the cursor without its indentation."""
        return self.line.lstrip()

    @cached_property
    def quote(self) -> str:
        """The quote open at the cursor."""
        return open_quote(self.line)

    @cached_property
    def closed(self) -> str:
        """The brackets directly after the cursor, if they match all that the line has opened."""
        return closers_after(self.line, self.rest)

    @cached_property
    def line_features(self) -> dict[str, float]:
        """The features of the line up to the cursor, the same for every token."""
        line = self.body
        return {
            "empty line": float(not line),
            "after dot": float(bool(_AFTER_DOT.search(line))),
            "in word": float(bool(_IN_WORD.search(line))),
            "in brackets": float(bool(_IN_BRACKETS.search(line))),
            "after =": float(bool(_AFTER_EQUALS.search(line))),
            "in string": float(bool(open_quote(line, "'\""))),
        }


def cursor_features(prefix: str, suffix: str, pieces: Iterable[str]) -> CursorFeatures:
    """Extract the features of the text around the cursor."""
    prefix = end_of(prefix, 2**17)
    count_operations(len(prefix) // 8)
    return CursorFeatures(
        prefix.rpartition("\n")[2][-LINE:],
        suffix.partition("\n")[0].strip(),
        _words(tuple(pieces)).union(_WORD.findall(prefix)),
    )


@cached_function(2**21)
def _words(pieces: tuple[str, ...]) -> frozenset[str]:
    """Return the words of the cells above, which do not change while the user types."""
    text = "".join(pieces)
    count_operations(len(text) // 8)
    return _KEYWORDS.union(_WORD.findall(text))


def features(
    text: str, sure: list[float], cursor: CursorFeatures, *, whole: bool, further: bool
) -> dict[str, float]:
    """Return the features of a suggestion prefix.

    `sure` contains its tokens' logprobs; `whole`: it reaches the end of its line; `further`: that line is not
    the first.
    """
    body = text.strip()
    return {
        "sum": sum(sure),
        "worst": min(sure),
        "last": sure[-1],
        "length": len(body),
        "whole": whole,
        "unknown": sum(word not in cursor.words for word in _WORD.findall(body)),
        "further": further,
        "column": 0 if further else len(cursor.body),
        "indentation": len(cursor.line) - len(cursor.body),
        "empty line": cursor.line_features["empty line"],
        "in brackets": cursor.line_features["in brackets"],
    }


def sigmoid(value: float) -> float:
    """Return the logistic function of a value."""
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, value))))


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
