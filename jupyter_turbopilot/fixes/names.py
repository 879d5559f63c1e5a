"""Undefined names: cells to run first, missing imports, misspellings. Pure."""

from __future__ import annotations

import ast
import builtins
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import structs

from jupyter_turbopilot.analysis.column_changes import changes
from jupyter_turbopilot.analysis.languages import as_python
from jupyter_turbopilot.analysis.parsed_cell import identifiers_in
from jupyter_turbopilot.analysis.resolve import EVERYWHERE, bindings
from jupyter_turbopilot.analysis.scopes import Scopes
from jupyter_turbopilot.fixes.imports import is_python, missing_import, sources_binding
from jupyter_turbopilot.fixes.nearest import LONGEST, nearest
from jupyter_turbopilot.protocol.fix import Fix, quoted
from jupyter_turbopilot.util.bounds import OperationLimitError, count_operations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from jupyter_turbopilot.fixes.failed_cell import FailedCell
    from jupyter_turbopilot.protocol.request import FixCell

_UNDEFINED = re.compile(r"name '(\w+)' is not defined")
_BUILTINS = frozenset(name for name in dir(builtins) if not name.startswith("_"))
_INNER = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def find(failure: FailedCell) -> Iterator[Fix]:
    """Find cells to run, an import or another name for an undefined one."""
    found = _UNDEFINED.match(failure.message)
    if not found or failure.is_inside_library or len(found[1]) > LONGEST:
        return
    word = found[1]
    if all(node.id != word for node in failure.nodes(ast.Name)):
        return
    exists = _existing(failure)
    yield from _cells(failure, word, exists)
    imported = [*_import(failure, word)]
    yield from imported or _nearest(
        failure, word, exists
    )  # `Path` is the class rather than a variable `path`


# Cells to run --------------------------------------------------------------------------------------------


def _cells(failure: FailedCell, word: str, exists: AbstractSet[str]) -> Iterator[Fix]:
    """Offer to run the cells above that define a name, and those that these cells need."""
    needed = {word} | (_names_in(failure.cells[failure.failed])[1] - exists)
    run = [failure.failed]
    is_defined = False
    with suppress(OperationLimitError):  # offer the cells found so far, which are the nearest ones
        for at in range(failure.failed - 1, -1, -1):
            cell = failure.cells[at]
            is_used = _needs_run(cell, failure.cells[failure.failed]) and not needed.isdisjoint(
                identifiers_in(cell.source or "")
            )
            if not is_used:
                continue
            bound, reads, extended = _names_in(cell)
            # A cell that adds a column to a table belongs to its definition.
            if not (needed.isdisjoint(bound) and needed.isdisjoint(extended)):
                is_defined = is_defined or word in bound
                run.append(at)
                needed -= bound
                needed |= reads - exists
    if is_defined:
        more = f" and {len(run) - 2} more" if len(run) > 2 else ""  # noqa: PLR2004
        title = f"Run the cell that defines {word}{more}?"
        confidence = 0.6 if needed else 0.95
        yield Fix(title=title, source="notebook", confidence=confidence, run=run[::-1])


def _needs_run(cell: FixCell, failed: FixCell) -> bool:
    """Return whether a cell has not been run since its last edit, or not in this kernel."""
    before = failed.execution_count is None or (cell.execution_count or 0) < failed.execution_count
    return is_python(cell) and (cell.execution_count is None or cell.changed or not before)


def _existing(failure: FailedCell) -> AbstractSet[str]:
    """Return the names that exist in the kernel, as far as that is known."""
    known = EVERYWHERE.union(failure.report.names, failure.kernel_context.names)
    if failure.report.all:
        return known
    ran = [
        cell
        for cell in failure.cells
        if is_python(cell) and not _needs_run(cell, failure.cells[failure.failed])
    ]
    return known.union(*(bindings(as_python(cell.source or "")) for cell in ran))


def _names_in(cell: FixCell) -> tuple[AbstractSet[str], AbstractSet[str], AbstractSet[str]]:
    """Return the names that a cell binds, reads before or without binding them, and adds columns to."""
    try:
        scopes = Scopes(as_python(cell.source or ""))
    except SyntaxError:
        return frozenset(), frozenset(), frozenset()
    count_operations(4 * len(scopes.nodes))
    reads = {node.id for node in scopes.free}
    bound: set[str] = set()
    for statement in scopes.tree.body:
        loaded = {*_loaded(statement)} & scopes.bound
        own = {*_loaded(statement, stored=True)}
        # `x = x + 1` reads `x`, whereas a loop binds its names before its body reads them.
        reads |= loaded - bound - (set() if isinstance(statement, ast.Assign | ast.AugAssign) else own)
        bound |= own
    return scopes.bound, reads, {table for table, label in changes(scopes.tree) if label}


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


# Imports -------------------------------------------------------------------------------------------------


def _import(failure: FailedCell, word: str) -> Iterator[Fix]:
    """Offer the only import line that binds a name as it is used."""
    at = failure.failed
    found = missing_import(word, failure.source, failure.cells, at, failure.imports)
    if found and not failure.cells[at].changed:
        yield structs.replace(found, run=[at])


# Misspellings --------------------------------------------------------------------------------------------


def _nearest(failure: FailedCell, word: str, exists: AbstractSet[str]) -> Iterator[Fix]:
    """Offer the nearest bound name, unless a cell binds the undefined one."""
    if any(sources_binding(failure.cells, word)):
        return
    bound = {node.id for node in failure.nodes(ast.Name) if isinstance(node.ctx, ast.Store)}
    # The plural of a built-in function, such as `inputs`, is more likely a variable.
    names = {name for name in _BUILTINS if not word.startswith(name)}.union(exists - EVERYWHERE, bound)
    near = nearest(word, names)
    if not near:
        return
    free = failure.parsed.scopes.free if failure.parsed else []
    edits = [failure.edit(*failure.span(node), near[0]) for node in free if node.id == word]
    yield from failure.fix(f"Did you mean {quoted(near[0])}?", edits, near[1])
