"""The kind of place that a cursor stands at. Pure."""

from __future__ import annotations

import re

LOOKED_AT = 400  # characters before the cursor
_KINDS = (
    ("an empty line", re.compile(r"(^|\n)[ \t]*$")),
    ("after a dot", re.compile(r"\.\w*$")),
    (
        "in a string",
        re.compile(r"(?m)^[^'\"\n]*(?:'[^'\n]*'[^'\"\n]*|\"[^\"\n]*\"[^'\"\n]*)*['\"][^'\"\n]*$"),
    ),
    ("in a word", re.compile(r"\w$")),
    ("in brackets", re.compile(r"[(\[{,][ \t]*$")),
    ("after =", re.compile(r"=[ \t]*$")),
)
ELSEWHERE = "elsewhere"
KINDS = (*(name for name, _ in _KINDS), ELSEWHERE)


def kind_of_position(before: str) -> str:
    """Name the place a cursor stands at."""
    near = before[-LOOKED_AT:]
    return next((name for name, pattern in _KINDS if pattern.search(near)), ELSEWHERE)
