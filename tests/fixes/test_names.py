from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.languages import as_python
from jupyter_turbopilot.analysis.notebook import Notebook
from jupyter_turbopilot.analysis.report import (
    Folder,
    KernelError,
    KernelReport,
    ObjectDescription,
    TracebackFrame,
)
from jupyter_turbopilot.fixes.failed_cell import FailedCell
from jupyter_turbopilot.fixes.names import find, find_module, missing_import
from jupyter_turbopilot.protocol.fix import Fix, InsertedCell, apply
from jupyter_turbopilot.protocol.request import FixCell
from tests.fixes.failing import IMPORTS, applied, failure


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


MODULES = {
    "sklearn.linear_model": ObjectDescription(attributes=["LinearRegression", "Ridge", "_private"]),
    "matplotlib": ObjectDescription(attributes=["pyplot", "style"]),
}


def fixes(source: str, message: str, line: int = 1, above: str = "x = 1", **report: object) -> list[Fix]:
    name = "ModuleNotFoundError" if message.startswith("No module") else "ImportError"
    failure = FailedCell(
        cells=[FixCell(source=above, execution_count=1), FixCell(source=source, execution_count=2)],
        failed=1,
        name=name,
        message=message,
        traceback=[f"Cell In[2], line {line}"],
        report=KernelReport(objects=MODULES, **report),  # type: ignore[arg-type]
    )
    return list(find_module(failure))


def corrected(source: str, message: str, line: int = 1, above: str = "x = 1") -> str | None:
    found = fixes(source, message, line, above)
    if not found:
        return None
    (fix,) = found
    assert fix.run == [1]
    assert fix.title == f"Did you mean {fix.edits[0].text!r}?"
    assert fix.confidence >= 0.5
    for edit in reversed(fix.edits):
        assert source[edit.start : edit.end] == edit.old
        source = source[: edit.start] + edit.text + source[edit.end :]
    ast.parse(as_python(source))
    return source


@pytest.mark.parametrize(
    ("source", "missing", "expected"),
    [
        ("import nupmy as np", "nupmy", "import numpy as np"),
        ("import nunpy as np", "nunpy", "import numpy as np"),  # `runpy` is at the same distance
        ("import graphvlib", "graphvlib", "import graphlib"),  # `graphviz` is further away
        ("import seaborne\nseaborne.load()", "seaborne", "import seaborn\nseaborn.load()"),
        ("import itertool", "itertool", "import itertools"),
        ("from sklern.svm import SVC", "sklern", "from sklearn.svm import SVC"),
        ("import os, padnas as pd", "padnas", "import os, pandas as pd"),
        ("import matplotlib.pyplt as plt", "matplotlib.pyplt", "import matplotlib.pyplot as plt"),
        ("from matplotlib.tickr import X", "matplotlib.tickr", "from matplotlib.ticker import X"),
    ],
)
def test_find_module_corrects_a_module(source: str, missing: str, expected: str) -> None:
    assert corrected(source, f"No module named '{missing}'") == expected


def test_find_module_corrects_a_module_that_the_notebook_imports() -> None:
    message = "No module named 'my_helper'"
    assert corrected("import my_helper", message, above="import my_helpers") == "import my_helpers"
    assert corrected("import my_helper", message) is None


def test_find_module_corrects_an_imported_name_and_its_uses() -> None:
    message = "cannot import name 'LinearRegresion' from 'sklearn.linear_model' (/venv/lib/python3.12/site-packages/sklearn/linear_model/__init__.py)"
    source = "%time\nfrom sklearn.linear_model import Ridge, LinearRegresion\nmodel = LinearRegresion()"
    assert corrected(source, message, line=2) == source.replace("LinearRegresion", "LinearRegression")
    aliased = "from sklearn.linear_model import LinearRegresion as L\nL()"
    assert corrected(aliased, message) == aliased.replace("LinearRegresion", "LinearRegression")


@pytest.mark.parametrize(
    ("source", "missing", "expected"),
    [
        ("import cv2", "cv2", "opencv-python"),
        ("from sklearn.svm import SVC", "sklearn", "scikit-learn"),
        ("import pandas as pd", "pandas", "pandas"),
        ("import sentence_transformers", "sentence_transformers", "sentence-transformers"),
    ],
)
def test_find_module_installs_the_distribution_of_a_module(source: str, missing: str, expected: str) -> None:
    (fix,) = fixes(source, f"No module named '{missing}'")
    assert fix.title == f"Add a cell that installs {expected}?"
    assert fix.insert == InsertedCell(before=1, source=f"%pip install {expected}")
    assert not fix.edits
    assert not fix.run


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import unknown_thing", "No module named 'unknown_thing'"),
        ("import cupy", "No module named 'cupy'"),
        ("import distutils", "No module named 'distutils'"),
        ("import pandas.x", "No module named 'pandas.x'; 'pandas' is not a package"),
        ("from numpy import aray", "cannot import name 'aray' from 'numpy' (/home/user/numpy.py)"),
        ("from numpy import aray", "cannot import name 'aray' from 'numpy' (unknown location)"),
        (
            "from numpy import aray",
            "cannot import name 'aray' from partially initialized module 'numpy' (/home/user/numpy.py)",
        ),
        (
            "from sklearn.linear_model import Lasso",
            "cannot import name 'Lasso' from 'sklearn.linear_model' (/lib/x)",
        ),
        ("__import__('numpi')", "No module named 'numpi'"),
    ],
)
def test_find_module_offers_nothing(source: str, message: str) -> None:
    assert not fixes(source, message)


def test_find_module_offers_nothing_for_a_module_that_a_local_file_shadows() -> None:
    message = "No module named 'pandas'"
    assert not fixes("import pandas", message, folders=[Folder(path=".", names=["pandas/"])])
    assert not fixes("import pandas", message, folders=[Folder(path=".", names=["pandas.py"])])


def test_find_module_offers_nothing_for_errors_inside_libraries() -> None:
    frames = [TracebackFrame("/tmp/ipykernel_1/1.py", 1), TracebackFrame("/venv/x.py", 1)]
    error = KernelError(type="ModuleNotFoundError", frames=frames)
    assert not fixes("import yaml", "No module named 'yaml'", error=error)


@pytest.mark.parametrize(
    ("source", "word", "above", "fixed"),
    [
        ('p = Path("x")', "Path", "x = 1", 'from pathlib import Path\np = Path("x")'),
        ("%%time\nnp.mean(x)", "np", "x = 1", "%%time\nimport numpy as np\nnp.mean(x)"),
        ('p = Path("x")', "Path", "from pathlib import Path", 'from pathlib import Path\np = Path("x")'),
        ('p = Path("x")', "Path", "class Path: pass", None),
        ("np(1)", "np", "x = 1", None),
        ("x = totel", "totel", "x = 1", None),
    ],
)
def test_missing_import_is_found_before_an_error(
    source: str, word: str, above: str, fixed: str | None
) -> None:
    cells = Notebook([FixCell(source=above), FixCell(source=source)])
    fix = missing_import(word, source, cells, 1, IMPORTS)
    assert (fix and apply(source, fix.edits)) == fixed
    assert missing_import(word, source, cells, 1, None) is None
