"""A failed cell: its error, the position of the error, and the known names. Pure."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from jupyter_turbopilot.analysis.imports import insertion
from jupyter_turbopilot.analysis.kernel_context import NONE as NO_CONTEXT
from jupyter_turbopilot.analysis.kernel_context import KernelContext
from jupyter_turbopilot.analysis.languages import cell_magic
from jupyter_turbopilot.analysis.notebook import Notebook
from jupyter_turbopilot.analysis.parsed_cell import expression_of, lines_of, parses
from jupyter_turbopilot.analysis.report import NONE, KernelReport
from jupyter_turbopilot.protocol.fix import Edit, Fix, apply
from jupyter_turbopilot.util.bounds import count_operations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.analysis.imports import Sources
    from jupyter_turbopilot.analysis.parsed_cell import ParsedCell
    from jupyter_turbopilot.analysis.report import ObjectDescription, TracebackFrame
    from jupyter_turbopilot.analysis.scopes import Located
    from jupyter_turbopilot.protocol.fix import Source
    from jupyter_turbopilot.protocol.request import FixCell

# The header of a frame in a cell, by version of IPython, and the arrow at its line.
_CELL = re.compile(r"^(?:Cell In|Input In|In) ?\[(\d+)\]|^<ipython-input-(\d+)-")
_FRAME = re.compile(r"^(?:File |Cell In|Input In|In ?\[|<ipython-input-|[/~.\w].*? in )")
_ARROW = re.compile(r"^-+> ?(\d+) ?")
_LINE = re.compile(r"line (\d+)")
_CHAINED = re.compile(r"^(?:During handling of the above|The above exception was the direct cause)")
# IPython shows the lines below `%%time` without the header of a cell.
_TIMED = re.compile(r"^(?:File )?<timed (?:exec|eval)>:(\d+)")
_CELL_FILE = re.compile(r"ipykernel_\d+[/\\]\d+\.py$|^<ipython-input-|^<timed (?:exec|eval)>$")
N = TypeVar("N", bound="Located")


class ErrorPosition(NamedTuple):
    """The part of a cell that raised an error: the failed expression, or the whole line if it is unknown."""

    cell: int
    start: int  # in code points
    end: int
    exact: bool  # whether it is the failed expression


@dataclass(frozen=True)
class FailedCell:
    """A failed cell."""

    cells: Sequence[FixCell]
    failed: int
    name: str  # class of the exception
    message: str
    traceback: Sequence[str] = ()  # lines
    report: KernelReport = NONE
    kernel_context: KernelContext = NO_CONTEXT
    imports: Sources | None = None  # sources of import lines; None: unknown

    @cached_property
    def notebook(self) -> Notebook:
        """The notebook: who binds a name, and the parsed cells."""
        return Notebook.of(self.cells)

    @cached_property
    def source(self) -> str:
        """The source of the cell that contains `position`; empty without a position."""
        return self.cells[self.position.cell].source or "" if self.position else ""

    @cached_property
    def position(self) -> ErrorPosition | None:
        """The innermost position in the notebook that raised the error; None if its cell has changed."""
        line, count, is_timed = self._last_line()
        frame = next((each for each in reversed(self._frames) if _CELL_FILE.search(each.file)), None)
        if line is None and frame is not None:
            line = frame.line
        cell = self._cell(count)
        if cell is None or line is None:
            return None
        source = self.cells[cell].source or ""
        lines = lines_of(source)
        skipped = _blank(lines)
        if is_timed:
            if cell_magic(source) != "time":
                return None  # the lines are those of another cell
            skipped += 1 + _blank(lines[skipped + 1 :])
        if not 0 < line <= len(lines) - skipped:
            return None
        begin = sum(map(len, lines[:skipped]))
        lines = lines[skipped:]
        if frame is not None and frame.line == line and (span := _span(lines, frame)):
            return ErrorPosition(cell, begin + span[0], begin + span[1], exact=True)
        begin += sum(map(len, lines[: line - 1]))
        text = lines[line - 1]
        start = begin + len(text) - len(text.lstrip())
        return ErrorPosition(cell, start, begin + len(text.rstrip()), exact=False)

    @property
    def reruns(self) -> list[int]:
        """The cells to execute after an edit at `position`."""
        return (
            [self.position.cell, self.failed]
            if self.position and self.position.cell != self.failed
            else [self.failed]
        )

    @property
    def is_inside_library(self) -> bool:
        """Whether code outside the notebook raised the error."""
        return bool(self._frames) and not _CELL_FILE.search(self._frames[-1].file)

    @cached_property
    def parsed(self) -> ParsedCell | None:
        """The cell that contains `position`, parsed; None if it is not valid Python."""
        try:
            return self.notebook.parsed(self.source)
        except SyntaxError:
            return None

    def nodes(self, kind: type[N]) -> Iterator[N]:
        """Yield the nodes of a kind in the failed expression, or in the failed line."""
        if self.parsed is None or self.position is None:
            return
        for node in self.parsed.nodes:
            if isinstance(node, kind):
                count_operations(2)
                start, end = self.parsed.span(node)
                if self.position.start <= start and end <= self.position.end:
                    yield node

    def described(self, node: ast.expr) -> ObjectDescription | None:
        """Return the kernel's description of an expression, if it is a dotted name."""
        expression = expression_of(node) if self.report.objects else None
        return self.report.objects.get(expression) if expression else None

    def functions_around(self, node: ast.expr) -> set[str]:
        """Return the names of the functions that contain a node."""
        nodes = self.parsed.nodes if self.parsed else [node]
        functions = (each for each in nodes if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
        return {each.name for each in functions if each.lineno <= node.lineno <= (each.end_lineno or 0)}

    def span(self, node: Located) -> tuple[int, int]:
        """Return the start and end of a node in the cell, in code points."""
        if self.parsed is None:
            raise ValueError("The cell does not parse.")
        return self.parsed.span(node)

    def edit(self, start: int, end: int, text: str) -> Edit:
        """Return an edit of the cell that contains `position`."""
        if self.position is None:
            raise ValueError("The failure has no position.")
        return self.notebook.edit(self.position.cell, start, end, text)

    def with_import(self, line: str, edits: Sequence[Edit]) -> list[Edit]:
        """Return edits of the cell that contains `position`, of which one also inserts an import line."""
        (at, text), (first, *others) = insertion(self.source, [line]), edits
        if first.start == at:
            return [self.edit(at, first.end, text + first.text), *others]
        return [self.edit(at, at, text), first, *others]

    def fix(
        self, title: str, edits: list[Edit], confidence: float, source: Source = "kernel"
    ) -> Iterator[Fix]:
        """Yield the fix with edits of the cell that contains `position`, if the cell parses with them."""
        if edits and parses(apply(self.source, edits)):
            yield Fix(title=title, source=source, confidence=confidence, edits=edits, run=self.reruns)

    @property
    def _frames(self) -> Sequence[TracebackFrame]:
        return self.report.error.frames if self.report.error else ()

    def _last_line(self) -> tuple[int | None, int | None, bool]:
        """Return the line of the last frame in a cell, its execution count, and whether `%%time` ran it."""
        line = count = None
        in_cell = is_timed = False
        for text in self.traceback:
            if _CHAINED.match(text):
                line = count = None  # the frames above belong to another exception
                is_timed = False
            elif timed := _TIMED.match(text):
                # A second frame may be that of a function from another cell.
                in_cell, line, is_timed = False, 0 if is_timed else int(timed[1]), True
            elif found := _CELL.match(text):
                in_cell, count, line, is_timed = True, int(found[1] or found[2]), None, False
                if named := _LINE.search(text):
                    line = int(named[1])
            elif in_cell and (arrow := _ARROW.match(text)):
                line = int(arrow[1])
            elif _FRAME.match(text):
                in_cell = False
        return line, count, is_timed

    def _cell(self, count: int | None) -> int | None:
        """Return the index of the unchanged cell with an execution count; without one, the failed cell."""
        if count is None or self.cells[self.failed].execution_count == count:
            found = [self.failed]
        else:
            found = [n for n, cell in enumerate(self.cells) if cell.execution_count == count]
        if len(found) != 1 or self.cells[found[0]].changed or self.cells[found[0]].source is None:
            return None
        return found[0]


def _blank(lines: Sequence[str]) -> int:
    """Return the number of blank lines at the start, which IPython removes."""
    return sum(1 for _ in takewhile(str.isspace, lines))


def _span(lines: Sequence[str], frame: TracebackFrame) -> tuple[int, int] | None:
    """Return the start and end of a frame's instruction, in code points."""
    if frame.column is None or frame.end_column is None or frame.end_line is None:
        return None
    if frame.end_line > len(lines):
        return None
    start = sum(map(len, lines[: frame.line - 1])) + _characters(lines[frame.line - 1], frame.column)
    end = sum(map(len, lines[: frame.end_line - 1])) + _characters(
        lines[frame.end_line - 1], frame.end_column
    )
    return start, end


def _characters(line: str, column: int) -> int:
    """Convert an offset in UTF-8 bytes to code points."""
    return len(line.encode()[:column].decode("utf-8", "ignore"))
