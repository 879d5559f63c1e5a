"""Failed cells as a kernel reports them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.analysis.imports import ModuleLocation, Sources
from jupyter_turbopilot.analysis.report import KernelError, KernelReport, ObjectDescription, TracebackFrame
from jupyter_turbopilot.fixes.failed_cell import FailedCell
from jupyter_turbopilot.protocol.request import FixCell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.protocol.fix import Fix

FRAME = ObjectDescription(
    type="DataFrame",
    module="pandas.core.frame",
    version="2.2.0",
    labels=["revenue_eur", "city", "Order ID"],
    levels=["region"],
    attributes=["copy", "head", "items", "sort_values"],
)
IMPORTS = Sources(lambda _, *, near: (), lambda _: ModuleLocation.ANYWHERE)  # noqa: ARG005


def failure(
    source: str,
    error: str,
    expression: str = "",
    *,
    above: Sequence[FixCell] = (),
    names: Sequence[str] = (),
    objects: dict[str, ObjectDescription] | None = None,
    library: bool = False,
    **fields: Any,
) -> FailedCell:
    """Return the failure of the last cell: in `expression`, or else in its only line."""
    name, _, message = error.partition(": ")
    start = source.index(expression)
    begin = source.rfind("\n", 0, start) + 1
    line = source.count("\n", 0, start) + 1
    columns = [len(source[begin:at].encode()) for at in (start, start + len(expression))]
    end_line = line + expression.count("\n")
    frame = TracebackFrame("/tmp/ipykernel_1/1.py", line, end_line, *columns) if expression else None
    frames = [*([frame] if frame else []), *([TracebackFrame("/lib/pandas/frame.py", 1)] if library else [])]
    report = KernelReport(
        error=KernelError(type=name, frames=frames, **fields),
        objects={"df": FRAME} if objects is None else objects,
        names=[*names],
        all=True,
    )
    cells = [*above, FixCell(source=source, execution_count=10)]
    traceback = [f"Cell In[10], line {line}"]
    return FailedCell(cells, len(above), name, message, traceback, report, imports=IMPORTS)


def applied(failed: FailedCell, fix: Fix) -> str:
    """Return the failed cell after a fix; check that each edit replaces what it claims, and that it parses."""
    source = failed.cells[failed.failed].source or ""
    for edit in sorted(fix.edits, key=lambda edit: edit.start, reverse=True):
        assert edit.cell == failed.failed
        assert source[edit.start : edit.end] == edit.old
        source = source[: edit.start] + edit.text + source[edit.end :]
    ast.parse(source)
    return source
