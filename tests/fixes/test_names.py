from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.fixes.names import find
from jupyter_turbopilot.protocol.request import FixCell
from tests.fixes.failing import applied, failure


def cell(source: str, count: int | None = None, *, changed: bool = False) -> FixCell:
    return FixCell(source=source, execution_count=count, changed=changed)


# Cells to run ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("above", "run"),
    [
        ([cell("total = 1")], [0, 1]),
        ([cell("x = 1"), cell("total = 1", 7, changed=True)], [1, 2]),
        ([cell("total = 1", 12)], [0, 1]),  # of an earlier kernel
        ([cell("part = 1", 3), cell("total = part")], [1, 2]),
        ([cell("total = 1"), cell("total = total + 1")], [0, 1, 2]),
        ([cell("total = 1"), cell("total += 1")], [0, 1, 2]),
        ([cell("total = {}"), cell("total['a'] = 1"), cell("total.b")], [0, 1, 3]),
        ([cell("def total():\n    return part"), cell("print(1)")], [0, 2]),
        ([cell("%%time\ntotal = 1"), cell("%%bash\ntotal=2")], [0, 2]),
        ([cell("a = 1"), cell("b = a"), cell("for i in b:\n    total = i")], [0, 1, 2, 3]),
    ],
)
def test_cells_that_define_the_name_are_run(above: list[FixCell], run: list[int]) -> None:
    exists = ["part"] if above[0].execution_count == 3 else []
    failed = failure("print(total)", "NameError: name 'total' is not defined", above=above, names=exists)
    fix, *_ = find(failed)
    assert (fix.run, fix.edits) == (run, [])
    more = {2: "", 3: " and 1 more", 4: " and 2 more"}
    assert fix.title == f"Run the cell that defines total{more[len(run)]}?"


@pytest.mark.parametrize(
    "above", [[cell("total = 1", 3)], [cell("def f(total): pass")], [cell("totals_by = 1")], [cell("x = (")]]
)
def test_cells_that_do_not_help_are_not_run(above: list[FixCell]) -> None:
    failed = failure("total", "NameError: name 'total' is not defined", above=above)
    assert [fix for fix in find(failed) if len(fix.run) > 1] == []


# Imports -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "fixed", "title"),
    [
        ("np.mean([1])", "import numpy as np\nnp.mean([1])", "Import numpy as np?"),
        ('Path("x")', 'from pathlib import Path\nPath("x")', "Import Path from pathlib?"),
        ('"""Text."""\nnp.pi', '"""Text."""\nimport numpy as np\nnp.pi', "Import numpy as np?"),
    ],
)
def test_missing_import_is_inserted(source: str, fixed: str, title: str) -> None:
    name = "np" if "np" in source else "Path"
    failed = failure(source, f"NameError: name '{name}' is not defined", name)
    (fix,) = find(failed)
    assert applied(failed, fix) == fixed
    assert (fix.title, fix.source) == (title, "imports")


def test_name_that_another_cell_binds_is_not_imported() -> None:
    failed = failure("stats.norm", "NameError: name 'stats' is not defined", above=[cell("stats = 1", 3)])
    assert [*find(failed)] == []


# Misspellings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "template", ["print({0}, 'reslut')\n{0}.x = {0}", "f'''ö\n{{{0} + 1:{{{0}}}}} reslut {{{0}=}}'''"]
)
def test_all_uses_of_a_misspelled_name_are_replaced(template: str) -> None:
    source, error = template.format("reslut"), "NameError: name 'reslut' is not defined"
    failed = failure(source, error, "reslut", names=["result", "other"])
    (fix,) = find(failed)
    assert applied(failed, fix) == template.format("result")
    assert fix.title == "Did you mean 'result'?"


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("dff", ["dfg"]),
        ("frame1", ["frame2"]),
        ("tablee", ["table", "tablet"]),
        ("value", ["other"]),
    ],
)
def test_uncertain_name_is_not_replaced(word: str, names: list[str]) -> None:
    assert [*find(failure(word, f"NameError: name '{word}' is not defined", names=names))] == []


def test_name_that_a_cell_binds_is_not_replaced() -> None:
    above = [cell("revenues = load()", 3)]
    failed = failure("revenues", "NameError: name 'revenues' is not defined", above=above, names=["revenue"])
    assert [*find(failed)] == []


def test_error_inside_a_library_gives_no_fix() -> None:
    error = "NameError: name 'reslut' is not defined"
    assert [*find(failure("reslut", error, "reslut", names=["result"], library=True))] == []


@given(st.text(min_size=1, max_size=12), st.lists(st.text(max_size=12), max_size=4), st.text(max_size=40))
def test_any_fix_parses(word: str, names: list[str], rest: str) -> None:
    source = f"{word} # {rest}\n{word}"
    failed = failure(source, f"NameError: name '{word}' is not defined", word, names=names)
    for fix in find(failed):
        applied(failed, fix)


def test_an_import_by_convention_excludes_the_nearest_name() -> None:
    failed = failure("Path('a')", "NameError: name 'Path' is not defined", names=["path"])
    assert [fix.title for fix in find(failed)] == ["Import Path from pathlib?"]
