"""A parsed cell whose nodes have positions in its source. Pure."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.languages import as_python, cell_language
from jupyter_turbopilot.fixes.fstrings import without_f_strings
from jupyter_turbopilot.suggestion.scopes import Scopes
from jupyter_turbopilot.syntax_tree import LONGEST

if TYPE_CHECKING:
    from jupyter_turbopilot.suggestion.scopes import Located


class ParsedCell:
    """A cell with magics and f-strings, parsed as Python."""

    def __init__(self, source: str) -> None:
        """Raise SyntaxError for a cell that does not parse, is too long or is not Python."""
        if len(source) > LONGEST or cell_language(source, "python") != "python":
            raise SyntaxError("The cell is too long, or not Python.")
        self.source = source
        self.python = without_f_strings(as_python(source))
        self.scopes = Scopes(self.python)
        self._python_lines, self._source_lines = map(_line_starts, (self.python, source))

    def start(self, node: Located) -> int:
        """Return the start of a node in the source."""
        return self.position(self.scopes.span(node)[0])

    def position(self, at: int) -> int:
        """Convert a position in the Python text to one in the source."""
        line = bisect_right(self._python_lines, at) - 1
        return self._source_lines[line] + at - self._python_lines[line]


def _line_starts(text: str) -> list[int]:
    return [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
