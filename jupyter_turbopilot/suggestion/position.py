"""The kind of place that a cursor stands at. Pure."""

from __future__ import annotations

import re

LOOKED_AT = 400  # characters before the cursor
# Of the cursor's line, up to the cursor.
_KINDS = (
    ("an empty line", re.compile(r"^[ \t]*$")),
    ("after a dot", re.compile(r"\.\w*$")),
    ("in a string", re.compile(r"^[^'\"]*+(?:'[^']*+'[^'\"]*+|\"[^\"]*+\"[^'\"]*+)*+['\"]")),
    ("in a word", re.compile(r"\w$")),
    ("in brackets", re.compile(r"[(\[{,][ \t]*$")),
    ("after =", re.compile(r"=[ \t]*$")),
)
ELSEWHERE = "elsewhere"
KINDS = (*(name for name, _ in _KINDS), ELSEWHERE)


def kind_of_position(before: str) -> str:
    """Name the place a cursor stands at."""
    line = before[-LOOKED_AT:].rpartition("\n")[2]
    return next((name for name, pattern in _KINDS if pattern.search(line)), ELSEWHERE)
