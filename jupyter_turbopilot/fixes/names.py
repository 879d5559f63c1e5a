"""Undefined names: cells to run first, missing imports, misspellings. Pure."""

from __future__ import annotations

import ast
import builtins
import re
from typing import TYPE_CHECKING

from msgspec import structs

from jupyter_turbopilot.analysis.resolve import EVERYWHERE
from jupyter_turbopilot.fixes.imports import missing_import
from jupyter_turbopilot.fixes.nearest import LONGEST, nearest
from jupyter_turbopilot.protocol.fix import Fix, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from jupyter_turbopilot.fixes.failed_cell import FailedCell

_UNDEFINED = re.compile(r"name '(\w+)' is not defined")
_BUILTINS = frozenset(name for name in dir(builtins) if not name.startswith("_"))


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
    run, needed = failure.notebook.to_run(failure.failed, word, exists)
    if run:
        more = f" and {len(run) - 2} more" if len(run) > 2 else ""  # noqa: PLR2004
        title = f"Run the cell that defines {word}{more}?"
        confidence = 0.6 if needed else 0.95
        yield Fix(title=title, source="notebook", confidence=confidence, run=run)


def _existing(failure: FailedCell) -> AbstractSet[str]:
    """Return the names that exist in the kernel, as far as that is known."""
    known = EVERYWHERE.union(failure.report.names, failure.kernel_context.names)
    if failure.report.all:
        return known
    return known | failure.notebook.bound_by_runs(failure.cells[failure.failed])


# Imports -------------------------------------------------------------------------------------------------


def _import(failure: FailedCell, word: str) -> Iterator[Fix]:
    """Offer the only import line that binds a name as it is used."""
    at = failure.failed
    found = missing_import(word, failure.source, failure.notebook, at, failure.imports)
    if found and not failure.cells[at].changed:
        yield structs.replace(found, run=[at])


# Misspellings --------------------------------------------------------------------------------------------


def _nearest(failure: FailedCell, word: str, exists: AbstractSet[str]) -> Iterator[Fix]:
    """Offer the nearest bound name, unless a cell binds the undefined one."""
    if any(failure.notebook.sources_binding(word)):
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
