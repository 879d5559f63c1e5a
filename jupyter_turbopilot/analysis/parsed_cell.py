"""A parsed cell: its nodes with their positions in its source, its variables and its magics. Pure."""

from __future__ import annotations

import ast
import re
import unicodedata
from bisect import bisect_right
from functools import cached_property
from io import StringIO
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.analysis.languages import as_python
from jupyter_turbopilot.analysis.resolve import as_identifier
from jupyter_turbopilot.analysis.scopes import Scopes
from jupyter_turbopilot.util.bounds import cached_function, count_operations, pieces
from jupyter_turbopilot.util.syntax_tree import parse, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.analysis.scopes import LexicalScope, Located

# Names may contain combining marks, which `\w` does not match.
_NAMES = re.compile(r"[\w\u0300-\u036f\u0900-\u0e7f]++")
_NAME_END = re.compile(r"[^\w\u0300-\u036f\u0900-\u0e7f]")
LONGEST_EXPRESSION, _MOST_PARTS = 512, 16  # characters; attributes and keys
_LONGEST_HEAD = 2000  # characters of a statement before the name
# Commands whose arguments are text, in which IPython replaces only `$name` and `{name}`.
_COMMAND = re.compile(
    r"!|%(?:autoreload|cd|conda|config|env|load_ext|ls|matplotlib|mkdir|pip|reload_ext|run|uv)\b"
)


class Mention(NamedTuple):
    """An occurrence of a variable."""

    start: int  # in the source
    role: str  # "binding", "import" (without an alias) or "use"
    node: ast.AST
    scope: LexicalScope
    owner: LexicalScope


class ParsedCell:
    """A cell with magics, parsed as Python."""

    def __init__(self, source: str, scopes: Scopes | None = None) -> None:
        """Raise SyntaxError for a cell that does not parse or is too long. `scopes`: if they are known."""
        self.source = source
        self.scopes = scopes or Scopes(as_python(source))
        self.python = self.scopes.source
        texts = (self.python, source)
        self._python_lines, self._source_lines = (
            [0, *accumulate(map(len, lines_of(each)))] for each in texts
        )
        if self.python.isascii() and ast.JoinedStr not in map(type, self.nodes):
            return
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

    def has_in_magic(self, name: str) -> bool:
        """Return whether a magic may refer to a name."""
        count_operations(len(self.source) // 4)
        lines = zip(self.source.split("\n"), self.python.split("\n"), strict=True)
        # The replacement of a magic is `pass`, or `_` in an assignment.
        magics = (
            line[len(python) - (1 if python.endswith("_") else len("pass")) :]
            for line, python in lines
            if line != python
        )
        return any(_refers(magic, name) for magic in magics)

    @cached_property
    def annotations(self) -> set[ast.AST]:
        """The parts of annotations."""
        count_operations(len(self.nodes))
        fields = ("annotation", "returns")
        found = (each for node in self.nodes for field in fields if (each := getattr(node, field, None)))
        return {part for each in found for part in ast.walk(each)}

    def variables(self, name: str) -> Iterator[Mention]:
        """Yield the occurrences of a variable name in all scopes, without attributes and keywords."""
        count_operations(len(self.scopes.nodes))
        for node, scope in self.scopes.nodes:
            if role := self._role(node, name):
                start = self.name_start(node, name)
                yield Mention(start, role, node, scope, scope.owner(name))

    def name_start(self, node: ast.AST, name: str) -> int:
        """Return the position of a name in the source of its node."""
        text, start, end = self.python, 0, len(self.python)
        if isinstance(node, ast.NamedExpr):
            node = node.target
        if hasattr(node, "lineno"):
            start, end = self.scopes.span(node)  # type: ignore[arg-type]
        match node:
            case ast.alias(asname=str()) | ast.MatchAs() | ast.MatchStar():
                start = end - len(name)
            case ast.MatchMapping():
                start = max(start, text.rfind(name, start, end))
            case ast.ExceptHandler(type=ast.expr() as kind):
                start = _first(name, text, self.scopes.span(kind)[1])
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Global() | ast.Nonlocal():
                start = _first(name, text, start)
        return self.position(start)

    @cached_property
    def _augmented(self) -> set[int]:
        return {id(node.target) for node, _ in self.scopes.nodes if isinstance(node, ast.AugAssign)}

    def _role(self, node: ast.AST, name: str) -> str:
        match node:
            case ast.Name(id=found):
                is_use = not isinstance(node.ctx, ast.Store) or id(node) in self._augmented
                role = "use" if is_use else "binding"
            case ast.NamedExpr():
                found, role = node.target.id, "binding"
            case ast.arg(arg=found) | ast.alias(asname=str(found)) | ast.MatchMapping(rest=str(found)):
                role = "binding"
            case ast.alias():
                found, role = node.name.partition(".")[0], "import"
            case ast.Global() | ast.Nonlocal():
                found, role = name if name in node.names else "", "use"
            case _:
                found, role = getattr(node, "name", ""), "binding"
        return role if found == name else ""


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


def word_pattern(word: str) -> re.Pattern[str]:
    """Return a pattern for a word, or for a label of several words."""
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")


def _refers(magic: str, name: str) -> bool:
    """Return whether a magic may refer to a name; `!` and `%cd` only by `$name` and `{name}`."""
    if _COMMAND.match(magic) and "{" not in magic:
        return f"${name}" in magic
    return word_pattern(name).search(magic) is not None


def _first(name: str, text: str, start: int) -> int:
    """Return the position of a name near the start of a statement."""
    found = word_pattern(name).search(text, start, start + _LONGEST_HEAD)
    return found.start() if found else start


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
