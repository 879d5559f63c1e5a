"""The cells of a notebook: which of them have run, and which names they bind and use. Pure."""

from __future__ import annotations

import ast
import re
from collections import Counter
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.analysis.column_changes import changed_columns, changes, loose_changes
from jupyter_turbopilot.analysis.languages import as_python, cell_language, cell_magic
from jupyter_turbopilot.analysis.parsed_cell import ParsedCell, identifiers_in
from jupyter_turbopilot.analysis.resolve import bindings, binds_anything, bound_in, loose_bindings
from jupyter_turbopilot.analysis.scopes import Scopes
from jupyter_turbopilot.protocol.fix import Edit
from jupyter_turbopilot.protocol.request import FixCell
from jupyter_turbopilot.util.bounds import (
    STATEMENT,
    OperationLimitError,
    cached_function,
    count_operations,
    pieces,
)
from jupyter_turbopilot.util.syntax_tree import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

_KEPT = 2  # operations for each node that is kept, as a garbage collection visits all of them at once
# Line magics that run code in the namespace of the notebook.
_RUN = re.compile(r"^[ \t]*+%(?:time|timeit|prun|memit)\b[ \t]*+([^\n]*+)", re.MULTILINE)
_INNER = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class CellNames(NamedTuple):
    """The names in a cell."""

    bound: AbstractSet[str]
    read: AbstractSet[str]  # before or without binding them
    extended: AbstractSet[str]  # tables to which the cell adds columns


class Bindings(NamedTuple):
    """The names that a text binds, and the tables that it changes: too many rather than too few."""

    all: frozenset[str]
    shared: frozenset[str]  # for other cells, which do not see parameters, for example
    changed: frozenset[tuple[str, str]]  # as of `changed_columns`


# More than the names of `bounds.MOST_CODE` characters: keystrokes do not change most cells.
@cached_function(2**23)
def bindings_of(source: str) -> Bindings:
    """Return the bindings and changes in the text of a cell, which is parsed once if it has no magics."""
    python = as_python(source)
    is_plain = python == source and len(source) <= STATEMENT
    try:
        tree = parse(python)
    except SyntaxError:  # the cell is also too long to be parsed
        bound = loose_bindings(source) if is_plain else bindings(source)
        return Bindings(bound, bound, loose_changes(source) if is_plain else changed_columns(source))
    bound = bound_in(tree) if is_plain else bindings(source)
    changed = frozenset(each for each in changes(tree) if each[0])
    try:
        shared = frozenset(Scopes(python, tree).bound)
    except SyntaxError:
        shared = bound
    else:
        if run := [code for piece in pieces(source) for code in _RUN.findall(piece)]:
            shared |= bindings("\n".join(run))
    return Bindings(bound, shared, changed_columns(source) if cell_magic(source) else changed)


class Notebook(list[FixCell]):
    """The cells of a request. Each text is parsed once, and its tree kept as long as this object."""

    def __init__(self, cells: Iterable[FixCell]) -> None:
        super().__init__(cells)
        self._trees: dict[str, tuple[str, ast.Module | SyntaxError]] = {}  # with the texts as Python
        self._scopes: dict[str, Scopes] = {}
        self._parsed: dict[str, ParsedCell] = {}

    @classmethod
    def of(cls, cells: Iterable[FixCell]) -> Notebook:
        """Return a notebook; the same if there is one already."""
        return cells if isinstance(cells, Notebook) else cls(cells)

    def tree(self, source: str) -> ast.Module:
        """Return the tree of the text of a cell; raise SyntaxError if it does not parse."""
        return self._as_python(source)[1]

    def scopes(self, source: str) -> Scopes:
        """Return the scopes in the text of a cell; raise SyntaxError if it does not parse."""
        if source not in self._scopes:
            found = self._scopes[source] = Scopes(*self._as_python(source))
            count_operations(_KEPT * len(found.nodes))
        return self._scopes[source]

    def parsed(self, source: str) -> ParsedCell:
        """Return the parsed text of a cell; raise SyntaxError if it does not parse."""
        if source not in self._parsed:
            self._parsed[source] = ParsedCell(source, self.scopes(source))
        return self._parsed[source]

    def _as_python(self, source: str) -> tuple[str, ast.Module]:
        if source not in self._trees:
            python = as_python(source)
            try:
                self._trees[source] = python, parse(python)
            except SyntaxError as error:
                self._trees[source] = python, error
        python, tree = self._trees[source]
        if isinstance(tree, SyntaxError):
            raise tree.with_traceback(None)  # each raise would add frames, which keep their variables
        return python, tree

    def bindings(self, source: str) -> frozenset[str]:
        """Return the names that the text of a cell binds, whether or not it is finished."""
        python, tree = self._trees.get(source) or (as_python(source), None)
        if isinstance(tree, ast.Module) and len(source) <= STATEMENT:
            return bound_in(tree)
        return bindings(python)

    # Cells --------------------------------------------------------------------------------------------------

    @property
    def code(self) -> Iterator[tuple[int, str]]:
        """The numbers and sources of the code cells, as far as they are known."""
        return ((at, each.source) for at, each in enumerate(self) if each.type == "code" and each.source)

    @property
    def python(self) -> Iterator[tuple[int, str]]:
        """The numbers and sources of the cells that contain Python code."""
        return ((at, source) for at, source in self.code if cell_language(source, "python") == "python")

    def sources_binding(self, name: str) -> Iterator[str]:
        """Yield the sources of the cells that bind a name."""
        for _, source in self.code:
            is_used = name in identifiers_in(source) and cell_language(source, "python") == "python"
            if is_used and name in self.bindings(source):
                yield source

    def may_bind(self, name: str) -> bool:
        """Return whether any cell may bind a name, also by a magic or in another language."""
        return any(self._may_bind(cell, name) for cell in self)

    def _may_bind(self, cell: FixCell, name: str) -> bool:
        source = cell.source or ""
        is_without = source.isascii() and name not in source  # quicker than the identifiers
        if cell.type != "code" or is_without or name not in identifiers_in(source):
            return cell.source is None
        if cell_language(source, "python") != "python" or binds_anything(source):
            return True
        commands = (line for line in source.split("\n") if line.lstrip()[:1] in {"%", "!"})
        return name in self.bindings(source) or any(name in line for line in commands)

    def edit(self, at: int, start: int, end: int, text: str) -> Edit:
        """Return the edit that replaces a part of a cell."""
        old = (self[at].source or "")[start:end]
        return Edit(cell=at, start=start, end=end, old=old, text=text)

    # Executions ---------------------------------------------------------------------------------------------

    @cached_property
    def _counts(self) -> Counter[int | None]:
        return Counter(each.execution_count for each in self)

    def is_current(self, cell: FixCell) -> bool:
        """Return whether a cell was executed as it is. A count of an earlier kernel may appear twice."""
        count = cell.execution_count
        return cell.changed is False and count is not None and self._counts[count] == 1

    def needs_run(self, cell: FixCell, failed: FixCell) -> bool:
        """Return whether a cell has not been run since its last edit, or not before another one."""
        before = failed.execution_count is None or (cell.execution_count or 0) < failed.execution_count
        return cell.execution_count is None or bool(cell.changed) or not before

    def bound_by_runs(self, failed: FixCell) -> frozenset[str]:
        """Return the names that cells have bound before another one was run."""
        ran = (source for at, source in self.python if not self.needs_run(self[at], failed))
        return frozenset[str]().union(*map(self.bindings, ran))

    def names(self, cell: FixCell) -> CellNames:
        """Return the names in a cell; none if it does not parse."""
        nothing = frozenset[str]()
        try:
            scopes = self.scopes(cell.source or "")
        except SyntaxError:
            return CellNames(nothing, nothing, nothing)
        count_operations(4 * len(scopes.nodes))
        reads = {node.id for node in scopes.free}
        bound: set[str] = set()
        for statement in scopes.tree.body:
            loaded = {*_loaded(statement)} & scopes.bound
            own = {*_loaded(statement, stored=True)}
            # `x = x + 1` reads `x`, whereas a loop binds its names before its body reads them.
            reads |= loaded - bound - (set() if isinstance(statement, ast.Assign | ast.AugAssign) else own)
            bound |= own
        return CellNames(scopes.bound, reads, {table for table, label in changes(scopes.tree) if label})

    def to_run(self, at: int, name: str, exists: AbstractSet[str]) -> tuple[list[int], AbstractSet[str]]:
        """Return the cells to run so that a cell has a name, in order, and the names that no cell binds.

        None of them binds the name: no cells.
        """
        failed = self[at]
        needed = {name} | (self.names(failed).read - exists)
        run, is_bound = [at], False
        with suppress(OperationLimitError):  # the cells found so far are the nearest ones
            for above, source in reversed([*self.python]):
                cell = self[above]
                if (
                    above >= at
                    or not self.needs_run(cell, failed)
                    or needed.isdisjoint(identifiers_in(source))
                ):
                    continue
                found = self.names(cell)
                # A cell that adds a column to a table belongs to its definition.
                if not (needed.isdisjoint(found.bound) and needed.isdisjoint(found.extended)):
                    is_bound = is_bound or name in found.bound
                    run.append(above)
                    needed -= found.bound
                    needed |= found.read - exists
        return (run[::-1] if is_bound else []), needed


def _loaded(statement: ast.stmt, *, stored: bool = False) -> Iterator[str]:
    """Yield the names that a statement reads, or binds, outside functions."""
    work: list[ast.AST] = [statement]
    while work:
        node = work.pop()
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) == stored:
            yield node.id
        elif stored and isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and stored:
            yield node.name
        if not isinstance(node, _INNER):
            work.extend(ast.iter_child_nodes(node))
