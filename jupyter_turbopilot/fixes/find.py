"""Find the fixes for an error by the class of its exception, and rank them. Pure, except for plugins."""

from __future__ import annotations

import ast
import logging
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_turbopilot.analysis.parsed_cell import expression_of
from jupyter_turbopilot.analysis.report import NONE
from jupyter_turbopilot.fixes import (
    api_changes,
    attributes,
    conversions,
    files,
    keys,
    names,
    syntax,
)
from jupyter_turbopilot.fixes.failed_cell import FailedCell
from jupyter_turbopilot.protocol.errors import log_failure
from jupyter_turbopilot.protocol.fix import Fix
from jupyter_turbopilot.protocol.request import FixCell
from jupyter_turbopilot.util import registry
from jupyter_turbopilot.util.bounds import OperationLimitError, count_operations
from jupyter_turbopilot.util.threads import result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.analysis.notebook import Notebook
    from jupyter_turbopilot.analysis.report import KernelError
    from jupyter_turbopilot.protocol.request import ErrorOutput

    Finder = Callable[[FailedCell], Iterator[Fix]]

log = logging.getLogger(__name__)

MIN_CONFIDENCE = 0.5
MAX_FIXES = 3
MAX_SECONDS = 5.0  # of a plugin's function; its first call may import packages
MAX_EXPRESSIONS = 100
FINDERS: dict[str, tuple[Finder, ...]] = {
    "NameError": (names.find,),
    "UndefinedVariableError": (keys.find_in_query,),  # pandas
    "KeyError": (keys.find,),
    "ColumnNotFoundError": (keys.find,),  # polars
    # Of seaborn and plotly; pandas.
    "ValueError": (keys.find, attributes.find_aggregation, conversions.find),
    "ModuleNotFoundError": (api_changes.find, names.find_module),
    "ImportError": (api_changes.find, names.find_module),
    "AttributeError": (
        api_changes.find,
        attributes.find,
        attributes.find_aggregation,
        attributes.find_parameter,  # Matplotlib
        conversions.find,
    ),
    "TypeError": (attributes.find_parameter, conversions.find),
    "UFuncTypeError": (conversions.find,),  # NumPy
    "FileNotFoundError": (files.find,),
    **dict.fromkeys(syntax.KINDS, (syntax.find,)),
}


def find_fixes(failure: FailedCell) -> list[Fix]:
    """Return the fixes to offer, best first."""
    if failure.cells[failure.failed].changed:
        return []
    if failure.report.error and not _is_same_error(failure, failure.report.error):
        failure = replace(failure, report=NONE)  # another cell has failed since
    found: list[Fix] = []
    for entry, find in _finders(failure.name):
        try:
            fixes = find(failure) if entry.is_own else _found_in_time(entry, find, failure)
            for fix in islice(fixes, MAX_FIXES):
                if fix.confidence >= MIN_CONFIDENCE and not any(_is_same(fix, other) for other in found):
                    found.append(fix)
        except OperationLimitError:
            break
        except registry.FAULTS as error:  # keep the fixes of the other modules
            name = find.__module__ if entry.is_own else entry.value
            log_failure(log, f"Turbopilot failed to find fixes with {name}", error)
    return sorted(found, key=lambda fix: -fix.confidence)[:MAX_FIXES]


def _finders(name: str) -> Iterator[tuple[registry.Entry, Finder]]:
    """Yield the functions for a class of exceptions. A plugin registers a table like `FINDERS`."""
    for entry in registry.found("fixes"):
        for find in (entry.load(_table) or {}).get(name, ()):
            if entry.value not in registry.failures:  # the function before this one may have hung
                yield entry, find


def _table(finders: Any) -> dict[str, tuple[Finder, ...]]:
    return {name: tuple(functions) for name, functions in dict(finders).items()}


def _found_in_time(entry: registry.Entry, find: Finder, failure: FailedCell) -> list[Fix]:
    """Return the fixes of a plugin's function. If it hangs, its entry is not used again."""
    call = result_of(
        "turbopilot-plugin", lambda: [_checked(fix, failure) for fix in islice(find(failure), MAX_FIXES)]
    )
    try:
        return call.result(MAX_SECONDS)
    except TimeoutError:
        if not call.done():
            entry.skip(f"it took more than {MAX_SECONDS:g} seconds to find fixes")
        raise


def _checked(fix: Fix, failure: FailedCell) -> Fix:
    """Return a plugin's fix; raise an error if it cannot be sent or applied."""
    fix, count = msgspec.convert(msgspec.to_builtins(fix), Fix), len(failure.cells)
    for edit in fix.edits:
        source = failure.cells[edit.cell].source or ""
        if not 0 <= edit.start <= edit.end or source[edit.start : edit.end] != edit.old:
            raise ValueError("the cell does not contain the text that an edit replaces")
    if not all(0 <= at < count for at in (*(edit.cell for edit in fix.edits), *fix.run)):
        raise ValueError("there is no cell with this number")
    return fix


def probe(entry: registry.Entry, finders: Any) -> None:
    """Call all functions of a plugin, for `doctor`; raise an error if one fails."""
    for name, functions in _table(finders).items():
        for find in functions:
            _found_in_time(entry, find, FailedCell([FixCell(source="x", execution_count=1)], 0, name, ""))


def _is_same_error(failure: FailedCell, error: KernelError) -> bool:
    """Return whether the last error of the kernel matches that of the failed cell."""
    about = error.key if error.key is not None else error.path
    fields = [error.name, None if about is None else repr(about)]
    return failure.name == error.type and (
        not failure.message or all(text in failure.message for text in fields if text is not None)
    )


def _is_same(fix: Fix, other: Fix) -> bool:
    return (fix.edits, fix.insert, fix.run) == (other.edits, other.insert, other.run)


def expressions_to_describe(cells: Sequence[FixCell], failed: int, error: ErrorOutput) -> list[str]:
    """Return the expressions that an error may concern, nearest to its line first."""
    failure = FailedCell(cells, failed, error.name, error.message, error.traceback)
    line = failure.source.count("\n", 0, failure.position.start) + 1 if failure.position else 1
    found: dict[str, int] = {}
    with suppress(OperationLimitError):
        for source in dict.fromkeys((failure.source, cells[failed].source or "")):
            for name, at in _expressions(failure.notebook, source):
                found[name] = min(found.get(name, abs(at - line)), abs(at - line))
            line = 1 - len(source.splitlines())  # names in the failed cell come after those at the error
    return sorted(found, key=lambda name: found[name])[:MAX_EXPRESSIONS]


def _expressions(notebook: Notebook, source: str) -> Iterator[tuple[str, int]]:
    """Yield each dotted name with its line, also with literal keys, and the modules of imported names."""
    try:
        tree = notebook.tree(source)
    except SyntaxError:
        return
    count_operations(len(source) // 2)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
            if expression := expression_of(node):
                yield expression, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno
