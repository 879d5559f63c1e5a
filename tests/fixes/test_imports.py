from __future__ import annotations

import ast

import pytest

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
from jupyter_turbopilot.fixes.imports import find, missing_import
from jupyter_turbopilot.protocol.fix import Fix, InsertedCell, apply
from jupyter_turbopilot.protocol.request import FixCell

from .failing import IMPORTS

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
    return list(find(failure))


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
def test_find_corrects_a_module(source: str, missing: str, expected: str) -> None:
    assert corrected(source, f"No module named '{missing}'") == expected


def test_find_corrects_a_module_that_the_notebook_imports() -> None:
    message = "No module named 'my_helper'"
    assert corrected("import my_helper", message, above="import my_helpers") == "import my_helpers"
    assert corrected("import my_helper", message) is None


def test_find_corrects_an_imported_name_and_its_uses() -> None:
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
def test_find_installs_the_distribution_of_a_module(source: str, missing: str, expected: str) -> None:
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
def test_find_offers_nothing(source: str, message: str) -> None:
    assert not fixes(source, message)


def test_find_offers_nothing_for_a_module_that_a_local_file_shadows() -> None:
    message = "No module named 'pandas'"
    assert not fixes("import pandas", message, folders=[Folder(path=".", names=["pandas/"])])
    assert not fixes("import pandas", message, folders=[Folder(path=".", names=["pandas.py"])])


def test_find_offers_nothing_for_errors_inside_libraries() -> None:
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
