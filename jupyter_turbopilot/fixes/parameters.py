"""Misspelled keyword arguments. Pure."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.library_facts import MEMBERS
from jupyter_turbopilot.analysis.parsed_cell import expression_of
from jupyter_turbopilot.fixes.nearest import nearest_of_interface
from jupyter_turbopilot.protocol.fix import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.fixes.failed_cell import FailedCell
    from jupyter_turbopilot.protocol.fix import Fix

_UNEXPECTED = re.compile(r"(?:unexpected keyword argument|no property) '(\w+)'(?:\. Did you mean '(\w+)'\?)?")
_OF_COLLECTIONS = MEMBERS["matplotlib.collections.Collection"]  # properties that no function accepts
_PLOTTING = re.compile(r"pandas[/\\]plotting[/\\]")
_LESS = 0.15  # confidence, for a function that passes arbitrary keywords on
_START, _STEM, _MOST_MISSING = 4, 6, 2  # letters of a parameter without its end
_COMPLETED = 0.7  # confidence
_OF_PLOTS = MEMBERS["pandas.DataFrame.plot"]  # parameters


def find(failure: FailedCell) -> Iterator[Fix]:
    """Find the nearest parameter for an unexpected keyword argument."""
    found = _UNEXPECTED.search(failure.message)
    if not found:
        return
    word = found[1]
    calls = [(call, each) for call in failure.nodes(ast.Call) for each in call.keywords if each.arg == word]
    if len(calls) != 1:
        return
    ((call, argument),) = calls
    parameters, is_open = _parameters(failure, call.func)
    if failure.name == "AttributeError":
        parameters, is_open = [*(parameters or ()), *_properties(failure)], True
    if parameters is None and found[2]:
        parameters = [found[2]]  # the interpreter's suggestion
    if parameters is None or word in parameters:
        return
    given = {each.arg for each in call.keywords}
    names = [name for name in parameters if name not in given and name != "self"]
    near = nearest_of_interface(word, names)
    near = near or (None if is_open else _completed(word, names))
    start, _ = failure.span(argument)
    edit = near and failure.edit(start, start + len(word), near[0])
    if near and edit and edit.old == word:
        yield from failure.fix(f"Did you mean {quoted(near[0])}?", [edit], near[1] - _LESS * is_open)


def _completed(word: str, names: list[str]) -> tuple[str, float] | None:
    """Return the only parameter with a similar start, if only the end of its last word is missing."""
    similar = [name for name in names if name.startswith(word[:_START])]
    if len(similar) != 1 or len(word) < _STEM or not similar[0].startswith(word):
        return None
    missing = similar[0][len(word) :]
    return (similar[0], _COMPLETED) if missing.isalpha() and len(missing) <= _MOST_MISSING else None


def _properties(failure: FailedCell) -> Iterator[str]:
    """Yield the properties of the Matplotlib object that rejected a keyword.

    If pandas passed the keyword on, also yield the parameters of its plots.
    """
    error = failure.report.error
    if error and error.object:
        yield from error.object.parameters or ()
        names = (name[4:] for name in error.object.attributes or () if name.startswith("set_"))
        yield from (name for name in names if name not in _OF_COLLECTIONS)
        if any(_PLOTTING.search(frame.file) for frame in error.frames):
            yield from sorted(_OF_PLOTS)


def _parameters(failure: FailedCell, function: ast.expr) -> tuple[list[str] | None, bool]:
    """Return the known parameters of a function, and whether it accepts others."""
    name = expression_of(function) or ""
    described = failure.report.objects.get(name)
    if described and described.parameters is not None:
        return described.parameters, described.open
    known = failure.kernel_context.names.get(name)
    return (known.parameters, known.open) if known else (None, False)
