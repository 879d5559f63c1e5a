"""A parsed cell whose nodes have positions in its source. Pure."""

from __future__ import annotations

import ast
import re
import unicodedata
from bisect import bisect_right
from functools import cached_property
from io import StringIO
from itertools import accumulate
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.languages import as_python
from jupyter_turbopilot.analysis.resolve import as_identifier
from jupyter_turbopilot.analysis.scopes import Scopes
from jupyter_turbopilot.util.bounds import cached_function, count_operations, pieces
from jupyter_turbopilot.util.syntax_tree import parse, walk

if TYPE_CHECKING:
    from jupyter_turbopilot.analysis.scopes import Located

# Names may contain combining marks, which `\w` does not match.
_NAMES = re.compile(r"[\w\u0300-\u036f\u0900-\u0e7f]++")
_NAME_END = re.compile(r"[^\w\u0300-\u036f\u0900-\u0e7f]")
LONGEST_EXPRESSION, _MOST_PARTS = 512, 16  # characters; attributes and keys


class ParsedCell:
    """A cell with magics, parsed as Python."""

    def __init__(self, source: str) -> None:
        """Raise SyntaxError for a cell that does not parse or is too long."""
        self.source = source
        self.python = as_python(source)
        self.scopes = Scopes(self.python)
        texts = (self.python, source)
        self._python_lines, self._source_lines = (
            [0, *accumulate(map(len, lines_of(each)))] for each in texts
        )
        names = (node for node in self.nodes if isinstance(node, ast.Name))
        if not all(unicodedata.normalize("NFKC", self.scopes.text(node)) == node.id for node in names):
            raise SyntaxError("Up to Python 3.11, positions in nested f-strings of several lines are wrong.")

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes except contexts; parents come before their children."""
        count_operations(3 * len(self.scopes.nodes))
        return walk(self.scopes.tree)

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The parents of all nodes but the tree."""
        count_operations(len(self.nodes))
        return {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    def call_of(self, function: ast.AST) -> ast.Call | None:
        """Return the call whose function is an expression."""
        parent = self.parents[function]
        return parent if isinstance(parent, ast.Call) and parent.func is function else None

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


@cached_function(2**23)
def identifiers_in(source: str) -> frozenset[str]:
    """Return the identifiers in a source, as written and as Python normalizes them."""
    count_operations(len(source) // 16)
    found: set[str] = set()
    for piece in pieces(source, _NAME_END):
        written = {*_NAMES.findall(piece)} - found
        found |= written
        found.update(
            as_identifier(name) for name in written if not name.isascii() and len(name) <= LONGEST_EXPRESSION
        )
    return frozenset(found)


def expression_of(node: ast.AST) -> str | None:
    """Return the text of a dotted name, which may have string keys: `config["db"].path`; None for others.

    The kernel describes objects by this text, which is that of `ast.unparse`.
    """
    parts: list[str] = []
    for _ in range(_MOST_PARTS + 1):
        match node:
            case ast.Attribute(value=value, attr=name):
                parts.append(f".{name}")
                node = value
            case ast.Subscript(value=value, slice=ast.Constant(value=str(key))):
                if len(key) > LONGEST_EXPRESSION:
                    return None
                parts.append(f"[{key!r}]")
                node = value
            case ast.Name(id=name):
                text = "".join((name, *reversed(parts)))
                return text if len(text) <= LONGEST_EXPRESSION else None
            case _:
                return None
    return None


def chain(node: ast.AST) -> list[ast.AST]:
    """Return an expression and those that it begins with: a call, its function, the object of the method."""
    found = [node]
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        count_operations(1)
        node = node.func if isinstance(node, ast.Call) else node.value
        found.append(node)
    return found


def lines_of(source: str) -> list[str]:
    """Split a source as Python does; `splitlines` also splits at form feeds and further characters."""
    return [*StringIO(source, newline="")]


def parses(source: str) -> bool:
    """Return whether a cell is valid Python, which one that is too long is not."""
    try:
        parse(as_python(source))
    except SyntaxError:
        return False
    return True
