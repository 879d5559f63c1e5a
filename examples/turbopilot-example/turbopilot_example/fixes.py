"""A fix for scikit-learn's error about one column: `frame[["a"]]` for `frame["a"]`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from jupyter_turbopilot.protocol.fix import Fix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.fixes.failed_cell import FailedCell

# Of an array, and in newer versions of a column.
MESSAGES = ("Expected 2D array, got 1D array", "Expected a 2-dimensional container")


def find(failure: FailedCell) -> Iterator[Fix]:
    """Select a table with one column for a single column that is the first argument of the failed call."""
    if not failure.message.startswith(MESSAGES):
        return
    for call in failure.nodes(ast.Call):
        match call.args:
            case [ast.Subscript(slice=ast.Constant(value=str()) as label), *_]:
                start, end = failure.span(label)
                column = failure.source[start:end]
                yield Fix(
                    title=f"Select a table with one column, [[{column}]]?",
                    source="api",
                    confidence=0.9,
                    edits=[failure.edit(start, end, f"[{column}]")],
                    run=failure.reruns,
                )


FINDERS = {"ValueError": (find,)}
