"""Kinds of cursor positions, for tables of results."""

from __future__ import annotations

from jupyter_turbopilot.suggestion.scores import CursorFeatures

LOOKED_AT = 400  # characters before the cursor that determine the kind of its position
_KINDS = {
    "empty line": "an empty line",
    "after dot": "after a dot",
    "in string": "in a string",
    "in word": "in a word",
    "in brackets": "in brackets",
    "after =": "after =",
}
ELSEWHERE = "elsewhere"
KINDS = (*_KINDS.values(), ELSEWHERE)


def kind_of_position(before: str) -> str:
    """Return the kind of a cursor position: the first of `KINDS` that applies."""
    found = CursorFeatures(before[-LOOKED_AT:].rpartition("\n")[2]).line_features
    return next((kind for feature, kind in _KINDS.items() if found[feature]), ELSEWHERE)
