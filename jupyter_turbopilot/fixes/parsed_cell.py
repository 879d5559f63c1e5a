"""A parsed cell whose nodes have positions in its source. Pure."""

from __future__ import annotations

import ast
import unicodedata
from bisect import bisect_right
from io import StringIO
from itertools import accumulate
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.languages import as_python
from jupyter_turbopilot.suggestion.scopes import Scopes

if TYPE_CHECKING:
    from jupyter_turbopilot.suggestion.scopes import Located


class ParsedCell:
    """A cell with magics, parsed as Python."""

    def __init__(self, source: str) -> None:
        """Raise SyntaxError for a cell that does not parse or is too long."""
        self.source = source
        self.python = as_python(source)
        self.scopes = Scopes(self.python)
        self._python_lines, self._source_lines = map(_line_starts, (self.python, source))
        names = (node for node in ast.walk(self.scopes.tree) if isinstance(node, ast.Name))
        if not all(unicodedata.normalize("NFKC", self.scopes.text(node)) == node.id for node in names):
            raise SyntaxError("Up to Python 3.11, positions in nested f-strings of several lines are wrong.")

    def start(self, node: Located) -> int:
        """Return the start of a node in the source."""
        return self.span(node)[0]

    def span(self, node: Located) -> tuple[int, int]:
        """Return the start and end of a node in the source."""
        start, end = self.scopes.span(node)
        return self.position(start), self.position(end)

    def position(self, at: int) -> int:
        """Convert a position in the Python text to one in the source."""
        line = bisect_right(self._python_lines, at) - 1
        return self._source_lines[line] + at - self._python_lines[line]


def _line_starts(text: str) -> list[int]:
    """Return the start of each line; `splitlines` also splits at form feeds and further characters."""
    return [0, *accumulate(map(len, StringIO(text, newline="")))]
