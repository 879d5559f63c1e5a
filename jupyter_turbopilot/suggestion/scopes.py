"""Which names a source uses without binding them, and where. Pure.

`symtable` says what a name is in its scope but not where it stands, `ast` says where it stands. So a mark,
itself a name, is put beside each name that is used, and looked for in the tables.

Python's parser lets no other thread run. So sources of more than `LONGEST` characters or `MOST` words are
not analysed but raise SyntaxError. Who has a longer one, such as a notebook, gives the part that matters, and
gives the names that the rest binds as known.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from contextlib import suppress
from itertools import accumulate, islice
from typing import TYPE_CHECKING
from unicodedata import normalize

from jupyter_turbopilot.bounds import STATEMENT
from jupyter_turbopilot.syntax_tree import parse, symbol_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from symtable import SymbolTable

LONGEST = 3 * STATEMENT  # characters
MOST = LONGEST // 6  # words, signs and lines; code has one in four characters or fewer
_WORD = re.compile(r"\w+|([^\w\s])\1*+|\n+")
_LINE_END = re.compile(r"\r\n|\r|\n")


class Scopes:
    """A source, parsed, and the names that it uses without binding them.

    A name that is bound anywhere in a scope is bound in all of it: neither order nor `del` is looked at.
    """

    def __init__(self, source: str) -> None:
        """Raise SyntaxError for source that does not parse, is too long or nested too deeply."""
        if len(source) > LONGEST or any(islice(_WORD.finditer(source), MOST, None)):
            raise SyntaxError(f"The source is longer than {LONGEST} characters or {MOST} words. Split it.")
        self.tree = parse(source)
        names = _used(self.tree)
        try:
            free = _free(source)
        except (ValueError, MemoryError, RecursionError) as error:
            raise SyntaxError(f"The source cannot be parsed ({type(error).__name__}).") from None
        self._source = source
        self._lines = [0, *(end.end() for end in _LINE_END.finditer(source)), len(source)]
        self._bytes: dict[
            int, list[int]
        ] = {}  # where each character of a line that has others than ASCII ends
        self.free = sorted((names[at] for at in free), key=lambda name: (name.lineno, name.col_offset))

    @property
    def open(self) -> bool:
        """Whether a star import may bind any name."""
        return has_star_import(self.tree)

    def span(self, node: ast.expr) -> tuple[int, int]:
        """Return where an expression begins and ends, in characters."""
        start = self._offset(node.lineno, node.col_offset)
        return start, self._offset(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)

    def text(self, node: ast.expr) -> str:
        """Return an expression as it is written."""
        return self._source[slice(*self.span(node))]

    def _offset(self, line: int, column: int) -> int:
        begin = self._lines[line - 1]
        if self._source.isascii():
            return begin + column
        if line not in self._bytes:
            text = self._source[begin : self._lines[line]]
            self._bytes[line] = [*accumulate(len(character.encode()) for character in text)]
        return begin + bisect_left(self._bytes[line], column) + (column > 0)


def has_star_import(tree: ast.AST) -> bool:
    """Tell whether a star import may bind any name."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return any(alias.name == "*" for node in imports for alias in node.names)


def bound_names(source: str) -> set[str]:
    """Return the names that a source binds for other code: of those in its functions, the global ones.

    Raise SyntaxError for source that does not parse or is nested more deeply than Python itself can follow.
    """
    tree = parse(source)
    with suppress(RecursionError):  # then the variables of its comprehensions count too, from Python 3.12 on
        source = ast.unparse(_Separating().visit(tree))
    return _bound_in(_tables(source))


def _bound_in(tables: Sequence[SymbolTable]) -> set[str]:
    """Return the names that are bound in the first table, or in another that declares them global."""
    return {
        symbol.get_name()
        for table in tables
        for symbol in table.get_symbols()
        if (table is tables[0] or symbol.is_declared_global())
        and (symbol.is_assigned() or symbol.is_imported())
    }


def _used(tree: ast.AST) -> list[ast.Name]:
    """Return the names that are used, in an order that is the same each time."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]


def _free(source: str) -> list[int]:
    """Return the numbers of the names that nothing in a source binds, among those that it uses."""
    tree = parse(source)
    names = _used(tree)
    mark = "mark"
    while mark in normalize("NFKC", source):  # as Python does with names
        mark += "_"
    marked = _Marking(mark, names).visit(tree)
    tables = _tables(ast.unparse(marked))
    bound = _bound_in(tables)
    free = []
    for table in tables:
        symbols = {symbol.get_name(): symbol for symbol in table.get_symbols()}
        for number in (int(name.removeprefix(mark)) for name in symbols if name.startswith(mark)):
            name = names[number].id
            # A name that a class mangles is in its table under another: no function of its name would help.
            if name not in bound and name in symbols and symbols[name].is_global():
                free.append(number)
    return free


def _tables(source: str) -> list[SymbolTable]:
    """Return the table of a module, then those of what is in it."""
    return [*_with_children(symbol_table(source))]


def _with_children(table: SymbolTable) -> Iterator[SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _with_children(child)


class _Separating(ast.NodeTransformer):
    """Has each comprehension keep a table of its own: from Python 3.12 on, only generators have one."""

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp) -> ast.expr:
        self.generic_visit(node)
        return ast.GeneratorExp(node.elt, node.generators)

    visit_SetComp = visit_ListComp  # noqa: N815

    def visit_DictComp(self, node: ast.DictComp) -> ast.expr:
        self.generic_visit(node)
        return ast.GeneratorExp(ast.Tuple([node.key, node.value], ast.Load()), node.generators)


class _Marking(_Separating):
    """Puts a mark beside each name that is used, where it is looked up in the same scope."""

    def __init__(self, mark: str, names: list[ast.Name]) -> None:
        self._marks = {id(name): ast.Name(f"{mark}{number}", ast.Load()) for number, name in enumerate(names)}

    def visit_Name(self, node: ast.Name) -> ast.expr:
        mark = self._marks.get(id(node))
        return ast.Tuple([node, mark], ast.Load()) if mark else node

    def visit_match_case(self, node: ast.match_case) -> ast.match_case:
        """Put the marks of a pattern's names into its guard: a pattern has room for names only."""
        marks = [self._marks[id(name)] for name in _used(node.pattern)]
        guard = [self.visit(node.guard)] if node.guard else []
        node.guard = ast.Tuple([*guard, *marks], ast.Load())
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        """Take the text away: older Pythons cannot write all of them again."""
        self.generic_visit(node)
        return ast.Tuple(node.values, ast.Load())

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.expr:
        self.generic_visit(node)
        return ast.Tuple([node.value, *filter(None, [node.format_spec])], ast.Load())

    visit_TemplateStr = visit_JoinedStr  # noqa: N815 - from Python 3.14 on
    visit_Interpolation = visit_FormattedValue  # noqa: N815
