"""Misspelled keyword arguments. Pure."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from jupyter_turbopilot.fixes.nearest import nearest
from jupyter_turbopilot.fixes.parsed_cell import expression_of
from jupyter_turbopilot.protocol.fix import Fix, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.fixes.failed_cell import FailedCell

_UNEXPECTED = re.compile(r"got an unexpected keyword argument '(\w+)'(?:\. Did you mean '(\w+)'\?)?")
_LESS = 0.15  # confidence, for a function that passes arbitrary keywords on


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
    if parameters is None and found[2]:
        parameters = [found[2]]  # the interpreter's suggestion
    if parameters is None or word in parameters:
        return
    given = {each.arg for each in call.keywords}
    near = nearest(word, (name for name in parameters if name not in given and name != "self"))
    start, _ = failure.span(argument)
    edit = near and failure.edit(start, start + len(word), near[0])
    if near and edit and edit.old == word:
        yield Fix(
            title=f"Did you mean {quoted(near[0])}?",
            source="kernel",
            confidence=near[1] - _LESS * is_open,
            edits=[edit],
            run=failure.reruns,
        )


def _parameters(failure: FailedCell, function: ast.expr) -> tuple[list[str] | None, bool]:
    """Return the known parameters of a function, and whether it accepts others."""
    name = expression_of(function) or ""
    described = failure.report.objects.get(name)
    if described and described.parameters is not None:
        return described.parameters, described.open
    known = failure.kernel_context.names.get(name)
    return (known.parameters, known.open) if known else (None, False)
