from __future__ import annotations

import pytest

from jupyter_turbopilot.analysis.report import KernelError, KernelReport, ObjectDescription, TracebackFrame
from jupyter_turbopilot.fixes.failed_cell import FailedCell
from jupyter_turbopilot.fixes.find import find_fixes
from jupyter_turbopilot.protocol.request import FixCell

FILE = "/tmp/ipykernel_12/345.py"


def failure(
    source: str, frame: TracebackFrame, *headers: str, name: str = "NameError", message: str = ""
) -> FailedCell:
    report = KernelReport(error=KernelError(type=name, frames=[frame]), names=["total_value"], all=True)
    cells = [FixCell(source=source, execution_count=7)]
    return FailedCell(cells, 0, name, message, ["Cell In[7], line 1", *headers], report)


def position(found: FailedCell) -> str | None:
    return found.source[found.position.start : found.position.end] if found.position else None


@pytest.mark.parametrize("above", ["", "\n", "\n \n\t\n", "\x0c\n"])
def test_position_counts_blank_lines_at_the_start_that_ipython_removes(above: str) -> None:
    assert position(failure(f"{above}print(totl)\nx = 1", TracebackFrame(FILE, 1, 1, 6, 10))) == "totl"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_in_python(end: str) -> None:
    source = f"first = '\u2028\x0c\x1c'{end}äö(totl){end}last = 2"
    found = failure(source, TracebackFrame(FILE, 2, 2, 5, 9), "Cell In[7], line 2")
    assert position(found) == "totl"
    assert found.parsed
    assert found.span(found.parsed.scopes.tree.body[2]) == (len(source) - 8, len(source))


@pytest.mark.parametrize("kind", ["exec", "eval"])
@pytest.mark.parametrize("above", ["%%time\n", "\n%%time -n\n\n \n"])
def test_position_is_below_the_magic_in_a_timed_cell(above: str, kind: str) -> None:
    file = f"<timed {kind}>"
    source = f"{above}x = 1\nprint(totl_value)\ny = 2\nz = 3\n"
    message = "name 'totl_value' is not defined"
    found = failure(source, TracebackFrame(file, 2, 2, 6, 16), f"File {file}:2", message=message)
    assert position(found) == "totl_value"
    assert [fix.edits[0].text for fix in find_fixes(found)] == ["total_value"]


@pytest.mark.parametrize(
    ("source", "headers"),
    [
        ("load()\n1", ["File <timed exec>:2, in load()"]),  # defined in another cell
        ("%%time\nload()\n1", ["File <timed exec>:1", "File <timed exec>:2, in load()"]),
        ("%%time\n1", ["File <timed exec>:2"]),
    ],
)
def test_position_is_unknown_in_a_function_of_a_timed_cell(source: str, headers: list[str]) -> None:
    assert failure(source, TracebackFrame("<timed exec>", 2, 2, 0, 1), *headers).position is None


def test_attribute_is_not_replaced_by_the_property_that_reads_it() -> None:
    source = "class Box:\n    @property\n    def value(self):\n        return self.{}\nBox().value"
    for name, fixes in (("_valeu", []), ("wieght", ["weight"])):
        cells = [FixCell(source=source.format(name), execution_count=7)]
        described = ObjectDescription(type="Box", attributes=["value", "weight"])
        frame = TracebackFrame(FILE, 4, 4, 15, 20 + len(name))
        error = KernelError(type="AttributeError", name=name, object=described, frames=[frame])
        message = f"'Box' object has no attribute '{name}'"
        traceback = ["Cell In[7], line 4"]
        found = FailedCell(cells, 0, "AttributeError", message, traceback, KernelReport(error=error))
        assert [edit.text for fix in find_fixes(found) for edit in fix.edits] == fixes
