"""Does what a suggestion names exist? Names, attributes, columns and keywords against what is known. Pure."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TOKEN = re.compile(
    r"""(?P<string>[rbfuRBFU]{0,2}(?:\"\"\"(?:\\.|(?!\"\"\").)*(?:\"\"\")?|'''(?:\\.|(?!''').)*(?:''')?
        |"(?:\\.|[^"\n\\])*"?|'(?:\\.|[^'\n\\])*'?))
    |(?P<comment>\#[^\n]*)|(?P<number>\d[\w.]*)|(?P<name>[^\W\d]\w*)|(?P<sign>\*\*|[=!<>]=|[^\s\w])|(?P<line>\n)""",
    re.VERBOSE | re.DOTALL,
)
_IPYTHON = ("display", "get_ipython", "In", "Out", "exit", "quit")
_ALWAYS = frozenset((*dir(builtins), *keyword.kwlist, *keyword.softkwlist, *_IPYTHON))
_BINDS = frozenset({"for", "as", "def", "class", "lambda", "import", "from", "global", "nonlocal", "except"})
_LOOSE_BINDING = re.compile(
    r"([^\W\d][\w, \t]*?)[ \t]*(?:=(?!=)|\bin\b|:=)|\b(?:as|def|class|import)[ \t]+([^\W\d][\w, \t]*)"
    r"|\bdef[ \t]+\w+\(([^)]*)|\blambda[ \t]+([^:\n]*)|\bimport[ \t]*\(([^)]*)"
)
_WORD = re.compile(r"[^\W\d]\w*")


class Piece(NamedTuple):
    """A token of a text and where it ends."""

    kind: str
    text: str
    end: int


@dataclass(frozen=True)
class Scope:
    """What may be named at a place."""

    names: frozenset[str] | None = None  # None: there may be any
    attributes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    keywords: Mapping[str, frozenset[str]] = field(default_factory=dict)


@lru_cache(maxsize=512)
def bindings(source: str) -> frozenset[str]:
    """Return the names that a cell binds, whether or not it is finished."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            groups = (group for found in _LOOSE_BINDING.findall(source) for group in found)
            return frozenset(word for group in groups for word in _WORD.findall(group))
    return frozenset(_bound(tree))


def _bound(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name


def pieces(text: str) -> list[Piece]:
    """Cut a text into tokens."""
    return [Piece(str(m.lastgroup), m[0], m.end()) for m in _TOKEN.finditer(text)]


def unresolved(line: str, text: str, scope: Scope, bound: frozenset[str] = frozenset()) -> list[str]:
    """Return what a text names behind `line` that does not exist; `bound` is what the cell itself binds."""
    own = bound | bindings(line + text)
    tokens = [token for token in pieces(line + text) if token.kind != "comment"]
    missing: list[str] = []
    calls: list[str] = []
    statement: list[str] = []  # the words of the statement so far
    for at, token in enumerate(tokens):
        before = tokens[at - 1] if at else Piece("line", "\n", 0)
        new = token.end > len(line)
        if token.kind == "line" and not calls:
            statement = []
        elif token.kind == "name":
            if new and _missing(tokens, at, scope, own, calls, statement):
                missing.append(token.text)
            statement.append(token.text)
        elif token.text == "(":
            chained = at > 1 and tokens[at - 2].text == "."
            base = before.text if before.kind == "name" and not chained else ""
            calls.append(base)
        elif token.text in "[{":
            calls.append("")
        elif token.text in ")]}" and calls:
            calls.pop()
        elif token.kind == "string" and new and _no_column(tokens, at, scope, own):
            missing.append(token.text)
    return missing


def _missing(
    tokens: list[Piece], at: int, scope: Scope, own: frozenset[str], calls: list[str], statement: list[str]
) -> bool:
    """Tell whether the name at a place does not exist."""
    name = tokens[at].text
    before = tokens[at - 1].text if at else "\n"
    after = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if before == ".":
        base = tokens[at - 2] if at > 1 else Piece("", "", 0)
        chained = at > 2 and tokens[at - 3].text == "."  # noqa: PLR2004
        known = scope.attributes.get(base.text) if base.kind == "name" and not chained else None
        return known is not None and base.text not in own and not name.startswith("_") and name not in known
    if after == "=" and calls and before in {"(", ","}:
        keywords = scope.keywords.get(calls[-1])
        return keywords is not None and calls[-1] not in own and name not in keywords
    if scope.names is None or name in _ALWAYS or name in own or name in scope.names:
        return False
    return not (_BINDS & set(statement)) and after not in {"=", ":="}


def _no_column(tokens: list[Piece], at: int, scope: Scope, own: frozenset[str]) -> bool:
    """Tell whether the text in brackets behind a table's name is no column of it."""
    label = tokens[at].text
    around = [*[_LINE] * 3, *tokens, _LINE]
    further, base, bracket, after = around[at], around[at + 1], around[at + 2], around[at + 4]
    columns = scope.columns.get(base.text)
    if columns is None or bracket.text != "[" or base.text in own or further.text == ".":
        return False
    if label[0] not in "'\"" or (further.kind == "line" and after.text == "]"):
        return False  # or a new column may be about to be assigned
    word = label.strip("'\"")
    finished = len(label) > 1 and label[-1] == label[0]
    return word not in columns if finished else not any(column.startswith(word) for column in columns)


_LINE = Piece("line", "\n", 0)
