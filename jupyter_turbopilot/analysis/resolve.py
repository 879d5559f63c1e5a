"""Resolution of the names, attributes and keywords that a suggestion uses. Pure."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.lexer import CLOSERS, Lexeme, lex
from jupyter_turbopilot.util.bounds import (
    LINE,
    STATEMENT,
    cached_function,
    count_operations,
    normalized,
    pieces,
)
from jupyter_turbopilot.util.syntax_tree import parse, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_IPYTHON = ("display", "get_ipython", "In", "Out", "exit", "quit")
EVERYWHERE = frozenset((*dir(builtins), *_IPYTHON))  # names that exist without being bound
_ALWAYS = EVERYWHERE.union(keyword.kwlist, keyword.softkwlist)
BINDS = frozenset({"for", "as", "def", "class", "lambda", "import", "from", "global", "nonlocal", "except"})
_WORDS = re.compile(r"[^\W\d][\w, \t]*+")  # names separated by commas, or any words
_LETTER = re.compile(r"[^\W\d]")
_IN = re.compile(r"\bin\b")
_ASSIGNS = re.compile(r"=(?!=)|:=")
_BINDER = re.compile(r"\b(?:as|def|class|import|lambda)\b")
_BINDS_AFTER = re.compile(
    r"def[ \t]++([^\W\d][\w, \t]*+(?:\([^)]*+)?)|(?:as|class|import)[ \t]++([^\W\d][\w, \t]*+)"
    r"|lambda[ \t]++([^:\n]*+)|import[ \t]*+\(([^)]*+)"
)
# A cell magic with arguments may store its result under a name.
_ANYTHING = re.compile(
    r"^[ \t]*+(?:from[ \t]++[\w.]++[ \t]++import[ \t]*+\*|%(?:load|pylab|run|store|R|sql)\b|%%cython\b"
    r"|%%(?!(?:time|timeit|prun|memit|mprun|debug|writefile|file)\b)\w++[ \t]++\S)",
    re.MULTILINE,
)
_WORD = re.compile(r"[^\W\d]\w*")
_LINE = Lexeme("line", "\n", 0)  # represents the text beyond either end


@dataclass(frozen=True)
class Scope:
    """The names that exist at a position."""

    names: frozenset[str] | None = None  # None: any name may exist
    attributes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    levels: Mapping[str, frozenset[str]] = field(default_factory=dict)  # of the indices of tables
    keywords: Mapping[str, frozenset[str]] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)  # the classes of objects that no cell replaces
    changed: frozenset[tuple[str, str]] = frozenset()  # tables and labels that cells have yet to assign
    from_files: frozenset[str] = (
        frozenset()
    )  # tables that cells have yet to read, with the columns of the files

    def without(self, bound: frozenset[str]) -> Scope:
        """Return the scope without the attributes, columns and keywords of names that are bound again."""
        return replace(
            self,
            attributes={name: found for name, found in self.attributes.items() if name not in bound},
            columns={name: found for name, found in self.columns.items() if name not in bound},
            keywords={name: found for name, found in self.keywords.items() if name not in bound},
            kinds={name: found for name, found in self.kinds.items() if name not in bound},
        )


# More than the names of `bounds.MOST_CODE` characters: keystrokes do not change most cells.
@cached_function(2**23)
def bindings(source: str) -> frozenset[str]:
    """Return the names that a cell binds, whether or not it is finished."""
    if len(source) > STATEMENT:
        return loose_bindings(source)  # parsing it would take too long
    try:
        tree = parse(source)
    except SyntaxError:
        return loose_bindings(source)
    return bound_in(tree)


@cached_function(2**21)
def binds_anything(source: str) -> bool:
    """Return whether a cell binds names that are not visible in it, as `from x import *` does."""
    count_operations(len(source) // 16)
    return any(map(_ANYTHING.search, pieces(source)))


def bound_in(tree: ast.AST) -> frozenset[str]:
    """Return the names that a tree binds in any scope."""
    return frozenset(_bound(tree))


def _bound(tree: ast.AST) -> Iterator[str]:
    for node in walk(tree):
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


def loose_bindings(source: str) -> frozenset[str]:
    """Return the names that unparsable text may bind: too many rather than too few."""
    count_operations(len(source) // 2)
    if not source.isascii():
        lines = source.splitlines(keepends=True)
        source = "".join(line if len(line) > LINE else as_identifier(line) for line in lines)
    return frozenset(word for names in _bound_loosely(source) for word in _WORD.findall(names))


def _bound_loosely(source: str) -> Iterator[str]:
    at = 0
    while words := _WORDS.search(source, at):
        start, at = words.span()
        # Names before an `in`. The text after it may again be names before the next `in`.
        for separator in _IN.finditer(source, start, at):
            if separator.start() > start:
                yield source[start : separator.start()]
                following = _LETTER.search(source, separator.end(), at)
                start = following.start() if following else at
        if start == at:
            continue
        if _ASSIGNS.match(source, at):
            yield source[start:at]
            continue
        for binder in _BINDER.finditer(source, start, at):
            if after := _BINDS_AFTER.match(source, binder.start()):
                yield after[after.lastindex or 0]
                at = after.end()
                break


def unresolved(line: str, text: str, scope: Scope, bound: frozenset[str] = frozenset()) -> list[str]:
    """Return the names in `text` that do not exist; it follows `line`, and the cell binds `bound`."""
    own = bound | bindings(line + text)
    lexemes = [
        lexeme._replace(text=as_identifier(lexeme.text)) if lexeme.kind == "name" else lexeme
        for lexeme in lex(line + text)
    ]
    missing: list[str] = []
    calls: list[str] = []
    binds = False  # whether the statement so far contains a keyword that binds names
    for at, lexeme in enumerate(lexemes):
        before = lexemes[at - 1] if at else _LINE
        del calls[lexeme.depth :]
        new = lexeme.end > len(line)
        if lexeme.kind == "line" and not calls:
            binds = False
        elif lexeme.kind == "name":
            if new and _missing(lexemes, at, scope, own, calls, binds=binds):
                missing.append(lexeme.text)
            binds = binds or lexeme.text in BINDS
        elif lexeme.text == "(":
            chained = at > 1 and lexemes[at - 2].text == "."
            base = before.text if before.kind == "name" and not chained else ""
            calls.append(base)
        elif lexeme.text in CLOSERS:
            calls.append("")
    return missing


def _missing(
    lexemes: list[Lexeme], at: int, scope: Scope, own: frozenset[str], calls: list[str], *, binds: bool
) -> bool:
    """Return whether the lexeme at an index is a name that does not exist."""
    name = lexemes[at].text
    before = lexemes[at - 1].text if at else "\n"
    after = lexemes[at + 1].text if at + 1 < len(lexemes) else ""
    if before == ".":
        base = lexemes[at - 2] if at > 1 else Lexeme("", "", 0)
        chained = at > 2 and lexemes[at - 3].text == "."  # noqa: PLR2004
        known = scope.attributes.get(base.text) if base.kind == "name" and not chained else None
        return known is not None and base.text not in own and not name.startswith("_") and name not in known
    if after == "=" and calls and before in {"(", ","}:
        keywords = scope.keywords.get(calls[-1])
        return keywords is not None and calls[-1] not in own and name not in keywords
    return not (exists(name, scope, own) or binds or after in {"=", ":="})


def exists(name: str, scope: Scope, own: frozenset[str] = frozenset()) -> bool:
    """Return whether a name exists, or may exist."""
    name = as_identifier(name)
    return scope.names is None or name in _ALWAYS or name in own or name in scope.names


def is_attribute(name: str) -> bool:
    """Return whether a name can be written after a dot."""
    return name.isidentifier() and not keyword.iskeyword(name) and unicodedata.is_normalized("NFKC", name)


def as_identifier(name: str) -> str:
    """Return a name as Python's parser normalizes it."""
    return normalized("NFKC", name)
