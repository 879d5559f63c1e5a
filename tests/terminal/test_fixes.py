"""`%fix` in a real shell."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from IPython.utils.capture import capture_output

from jupyter_turbopilot.fixes.failed_cell import FailedCell
from jupyter_turbopilot.fixes.find import FINDERS
from jupyter_turbopilot.protocol.fix import Edit, Fix, InsertedCell
from jupyter_turbopilot.util.bounds import MOST_OPERATIONS, count_operations

from .conftest import Shell


def run(shell: Shell, code: str) -> str:
    with capture_output() as captured:
        shell.run_cell(code, store_history=True)
    return captured.stdout + captured.stderr


def offered(shell: Shell, code: str) -> str:
    """Return the line about a fix after running an input."""
    return next((line for line in run(shell, code).splitlines() if line.startswith("%fix:")), "")


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[FailedCell]]:
    """Make a class of errors have the fix that replaces a text in the failed line."""

    def make(name: str, old: str, new: str, **more: Any) -> list[FailedCell]:
        seen: list[FailedCell] = []

        def kind(failure: FailedCell) -> Iterator[Fix]:
            seen.append(failure)
            assert failure.position
            start = failure.source.index(old, failure.position.start)
            edit = Edit(cell=failure.position.cell, start=start, end=start + len(old), old=old, text=new)
            yield Fix(title="", source="kernel", confidence=0.9, **{"edits": [edit], **more})

        monkeypatch.setitem(FINDERS, name, (kind,))
        return seen

    return make


def test_fix_puts_the_corrected_input_at_the_prompt(
    shell: Shell, scripted: Callable[..., list[FailedCell]]
) -> None:
    seen = scripted("KeyError", "revenu", "revenue")
    run(shell, "frame = {'revenue': 1}")
    assert offered(shell, "1 + 1\nframe['revenu']") == "%fix: replace 'revenu' by 'revenue'"
    assert shell.next_input is None
    run(shell, "%fix")
    assert shell.next_input == ("1 + 1\nframe['revenue']", False)
    assert seen[0].message == "'revenu'"
    assert seen[0].report.objects["frame"].keys == ["revenue"]
    assert len(seen) == 1
    assert "There is no fix" in run(shell, "%fix")


def test_fix_corrects_a_misspelled_key_a_name_and_syntax(shell: Shell) -> None:
    run(shell, "frame = {'revenue_eur': 1}")
    assert offered(shell, "frame['revenu_eur']") == "%fix: replace 'revenu_eur' by 'revenue_eur'"
    assert offered(shell, "sum(farme)") == "%fix: replace 'farme' by 'frame'"
    assert offered(shell, "if frame\n    pass") == "%fix: insert ':'"
    assert offered(shell, "{}['revenu_eur']") == ""


def test_fix_uses_the_alias_of_a_module(shell: Shell) -> None:
    run(shell, "import pandas as pd\nsales = pd.DataFrame({'day': ['2026-01-01']})")
    assert "to_datetime" in offered(shell, "sales['day'].dt.year")
    run(shell, "%fix")
    assert shell.next_input == ("pd.to_datetime(sales['day']).dt.year", False)


def test_fix_corrects_the_input_that_defines_the_failed_function(
    shell: Shell, scripted: Callable[..., list[FailedCell]]
) -> None:
    scripted("NameError", "vaule", "value")
    run(shell, "value = 1")
    run(shell, "def f():\n    return vaule")
    assert offered(shell, "f()") == "%fix: replace 'vaule' by 'value'"
    run(shell, "%fix")
    assert shell.next_input == ("def f():\n    return value", False)


def test_fix_describes_insertions(shell: Shell, scripted: Callable[..., list[FailedCell]]) -> None:
    scripted("NameError", "", "import os\n")
    assert offered(shell, "os") == "%fix: insert 'import os'"
    cell = InsertedCell(before=0, source="%pip install opencv-python")
    scripted("NameError", "", "", edits=[], insert=cell)
    assert offered(shell, "cv2") == "%fix: run '%pip install opencv-python'"
    run(shell, "%fix")
    assert shell.next_input == ("%pip install opencv-python", False)


def test_fix_ignores_inputs_without_an_error_or_history(
    shell: Shell, scripted: Callable[..., list[FailedCell]]
) -> None:
    seen = scripted("NameError", "abc", "abd")
    with capture_output():
        shell.run_cell("abc", store_history=False)
        shell.run_cell("1", store_history=True)
    assert seen == []


@pytest.mark.parametrize("setting", ["suggest_fixes", "enabled"])
def test_fix_obeys_the_off_switches(
    shell: Shell, scripted: Callable[..., list[FailedCell]], setting: str
) -> None:
    seen = scripted("NameError", "abc", "abd")
    setattr(shell._turbopilot_magics.settings, setting, False)  # type: ignore[attr-defined]
    assert offered(shell, "abc") == ""
    assert "There is no fix" in run(shell, "%fix")
    assert seen == []


def test_fix_calls_no_method_of_the_users_error(
    shell: Shell, scripted: Callable[..., list[FailedCell]]
) -> None:
    seen = scripted("Odd", "Odd", "Even")
    run(
        shell,
        "ran = []\n"
        "class Odd(KeyError):\n"
        "    __str__ = __repr__ = lambda self: ran.append('str') or 'odd'\n"
        "    args = name = __class__ = property(lambda self: ran.append('property'))\n",
    )
    shell.user_ns["ran"].clear()
    with capture_output():
        result = shell.run_cell("raise Odd('x')", store_history=False)
    shell.user_ns["ran"].clear()
    shell.history_manager.store_inputs(2, "raise Odd('x')")
    result.info.store_history = True
    shell._turbopilot_magics.executed(result)  # type: ignore[attr-defined]
    assert shell.user_ns["ran"] == []
    assert seen[0].message == "'x'"


FIELDS_WITH_METHODS = """
calls = []
class Text(str):
    def __bool__(self): calls.append("bool"); return True
    def __format__(self, spec): calls.append("format"); return "x"
class Number(int):
    def __bool__(self): calls.append("bool"); return True
    def __format__(self, spec): calls.append("format"); return "1"
error = SyntaxError("a")
error.filename, error.lineno = Text("<ipython-input-1-a>"), Number(1)
"""


def test_fix_calls_no_method_of_the_fields_of_a_syntax_error(shell: Shell) -> None:
    run(shell, FIELDS_WITH_METHODS)
    with capture_output():
        result = shell.run_cell("raise error", store_history=False)
    assert sys.last_value is result.error_in_exec
    shell.user_ns["calls"].clear()
    shell.history_manager.store_inputs(2, "raise error")
    result.info.store_history = True
    shell._turbopilot_magics.executed(result)  # type: ignore[attr-defined]
    assert shell.user_ns["calls"] == []


def test_fix_limits_the_operations(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def kind(failure: FailedCell) -> Iterator[Fix]:
        yield Fix(title="", source="kernel", confidence=0.9, edits=[failure.edit(0, 0, "b")])
        count_operations(MOST_OPERATIONS + 1)
        yield Fix(title="", source="kernel", confidence=0.99, edits=[failure.edit(0, 0, "c")])

    monkeypatch.setitem(FINDERS, "KeyError", (kind,))
    assert offered(shell, "{}['a']") == "%fix: insert 'b'"
