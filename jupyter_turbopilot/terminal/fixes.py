"""Fixes for the last failed input of a shell, without a model."""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_turbopilot.analysis.notebook import Notebook
from jupyter_turbopilot.analysis.report import read_report
from jupyter_turbopilot.completer.import_sources import sources_of
from jupyter_turbopilot.fixes.failed_cell import FailedCell
from jupyter_turbopilot.fixes.find import expressions_to_describe, find_fixes
from jupyter_turbopilot.jupyter.kernels import probe
from jupyter_turbopilot.jupyter.runtime import access_of_process, check_file
from jupyter_turbopilot.protocol.errors import DisabledError
from jupyter_turbopilot.protocol.fix import apply
from jupyter_turbopilot.protocol.request import Cell, Completion, ErrorOutput, FixCell
from jupyter_turbopilot.terminal.history import CELLS, kernel_context_of
from jupyter_turbopilot.util.bounds import (
    MOST_OPERATIONS,
    OperationLimitError,
    Operations,
    counted_operations,
)

if TYPE_CHECKING:
    from jupyter_turbopilot.index.reader import NotebookIndex
    from jupyter_turbopilot.protocol.fix import Edit, Fix
    from jupyter_turbopilot.settings.config import Turbopilot

log = logging.getLogger(__name__)

LONGEST = 60  # characters of a text in a description
LONGEST_MESSAGE, LONGEST_FILE = 8192, 1024  # characters
_CELL_FILE = re.compile(r"\A<ipython-input-(\d++)-|ipykernel_\d++[/\\]\d++\.py\Z")


class CorrectedInput(NamedTuple):
    """A corrected input, and a description of the change."""

    source: str
    description: str


def corrected_input_of(
    shell: Any,
    error: BaseException,
    number: int,
    settings: Turbopilot,
    notebook_index: NotebookIndex | None = None,
) -> CorrectedInput | None:
    """Return the best correction of an input, which raised the last error, or None.

    The class of the error may be the user's, so none of its methods are called.
    """
    try:
        check_file(access_of_process(settings))
        if not settings.suggest_fixes or getattr(sys, "last_value", None) is not error:
            return None
        with counted_operations(Operations(MOST_OPERATIONS)):
            return _corrected_input(shell, error, number, notebook_index)
    except (DisabledError, OperationLimitError):
        return None
    except Exception:  # an error of this package must not reach the user
        log.debug("Turbopilot: cannot look for a fix", exc_info=True)
        return None


def _corrected_input(
    shell: Any,
    error: BaseException,
    number: int,
    notebook_index: NotebookIndex | None,
) -> CorrectedInput | None:
    inputs = shell.history_manager.input_hist_raw[: number + 1]
    first = max(1, len(inputs) - CELLS)
    cells = Notebook(
        FixCell(source=source, execution_count=first + n) for n, source in enumerate(inputs[first:])
    )
    failed = len(cells) - 1
    reported = read_report(probe.report(shell.user_ns, [])).error
    if failed < 0 or not reported:
        return None
    traceback = [_header(frame.file, frame.line, number) for frame in reported.frames]
    if issubclass(type(error), SyntaxError):
        file, line = _field(error, "filename"), _field(error, "lineno")
        # These may be objects of the user's classes.
        if type(file) is str and type(line) is int and _CELL_FILE.search(file[-LONGEST_FILE:]):
            traceback.append(_header(file[-LONGEST_FILE:], line, number))
    output = ErrorOutput(name=reported.type, message=_message(error), traceback=traceback)
    wanted = expressions_to_describe(cells, failed, output)
    report = read_report(probe.report(shell.user_ns, wanted))
    kernel_context = kernel_context_of(shell)
    request = Completion(cells=[Cell(source=cell.source or "") for cell in cells], offset=0)
    failure = FailedCell(
        cells,
        failed,
        output.name,
        output.message,
        traceback,
        report,
        kernel_context,
        sources_of(request, kernel_context, notebook_index),
    )
    return next(filter(None, (_corrected(cells, fix) for fix in find_fixes(failure))), None)


def _header(file: str, line: int, number: int) -> str:
    """Return the header of a frame, as in a traceback of IPython. `number`: of the failed input."""
    if not (cell := _CELL_FILE.search(file)):
        return f"File {file}:{line}"
    return f"Cell In[{cell[1] or number}], line {line}"


def _field(error: BaseException, name: str) -> Any:
    """Return a field of a SyntaxError, bypassing overrides in subclasses."""
    return vars(SyntaxError)[name].__get__(error)


def _message(error: BaseException) -> str:
    arguments = vars(BaseException)["args"].__get__(error)
    if not arguments or type(arguments[0]) is not str:
        return ""
    text = arguments[0]
    return (repr(text) if issubclass(type(error), KeyError) else text)[:LONGEST_MESSAGE]


def _corrected(cells: list[FixCell], fix: Fix) -> CorrectedInput | None:
    """Apply a fix to the input that it edits; None if it edits several, or none."""
    if fix.insert:
        return CorrectedInput(fix.insert.source, f"run {_quoted(fix.insert.source)}")
    if len({edit.cell for edit in fix.edits}) != 1:
        return None
    source = apply(cells[fix.edits[0].cell].source or "", fix.edits)
    edits = sorted(fix.edits, key=lambda edit: edit.start)
    return CorrectedInput(source, ", ".join(map(_description, edits)))


def _description(edit: Edit) -> str:
    new = _quoted(edit.text.strip())
    return f"replace {_quoted(edit.old.strip())} by {new}" if edit.old else f"insert {new}"


def _quoted(text: str) -> str:
    return repr(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")
