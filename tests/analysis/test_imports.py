import ast
import importlib
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.conventions import BY_USE, MEMBERS, MODULES
from jupyter_turbopilot.analysis.imports import (
    Import,
    ModuleLocation,
    Sources,
    Use,
    binding,
    bound_name,
    imports_of,
    top_module,
    uses,
    with_imports,
)
from jupyter_turbopilot.analysis.resolve import Scope, bindings
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.suggestion.names import Names

CASES = json.loads((Path(__file__).parent.parent / "data" / "imports.json").read_text("utf-8"))


def sources(*known: tuple[str, int], missing: str = "") -> Sources:
    return Sources(
        lambda _, *, near: known,  # noqa: ARG005
        lambda module: ModuleLocation.NOWHERE if module == missing else ModuleLocation.ANYWHERE,
    )


def names_at(before: str, *known: tuple[str, int], missing: str = "", scope: Scope | None = None) -> Names:
    request = Completion(cells=[Cell(source=before)], offset=len(before))
    return Names(request, scope or Scope(names=frozenset({"df", "path"})), sources(*known, missing=missing))


# Import lines ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("sns.heatmap(df)", ["import seaborn as sns"]),
        ("plt.plot(np.mean(df))", ["import matplotlib.pyplot as plt", "import numpy as np"]),
        ("Path(path)", ["from pathlib import Path"]),
        ("for i in tqdm(df):", ["from tqdm import tqdm"]),
        ("datetime.now()", ["from datetime import datetime"]),
        ("datetime.timedelta(1)", ["import datetime"]),
        ("datetime(2026, 1, 1)", ["from datetime import datetime"]),
        ("time.sleep(1)", ["import time"]),
        ("x: List[int] = df", ["from typing import List"]),
    ],
)
def test_imports_include_conventional_lines(text: str, lines: list[str]) -> None:
    names = names_at("")
    assert names.fit(text)
    assert names.imports(text) == tuple(lines)


@pytest.mark.parametrize(
    "text",
    [
        "unknown.value(df)",
        "np.mean(unknown)",
        "time(1)",  # may be the module's function or another
        "json + 1",  # may be a variable defined later
        "np(df)",  # a module is not callable
        "random.normal(df)",  # numpy's
        "pl.plot(df)",  # one of three meanings
        "List(df)",  # not the type
        "df.np",
    ],
)
def test_fit_rejects_a_text_with_an_ambiguous_import(text: str) -> None:
    scope = Scope(names=frozenset({"df"}), attributes={"df": frozenset({"mean"})})
    assert not names_at("", scope=scope).fit(text)


def test_imports_exclude_existing_names() -> None:
    names = names_at("import numpy as np\nx = ")
    assert names.fit("np.mean(df)")
    assert names.imports("np.mean(df)") == ()
    assert names_at("x = ").imports("df.np.mean() + f(np=1) + 'np.x'  # np.x") == ()
    assert names_at("").imports("import os.path") == ()
    assert names_at("").imports("def f(np): return np.mean(1)") == ()


def test_imports_cover_the_line_at_the_cursor() -> None:
    names = names_at("axes = sns.")
    assert names.fit("heatmap(df)")
    assert names.imports("heatmap(df)") == ("import seaborn as sns",)


def test_imports_are_empty_if_names_are_unknown_or_in_other_languages() -> None:
    assert names_at("", scope=Scope(columns={"df": frozenset()})).imports("np.mean(df)") == ()
    assert names_at("%%bash\n").imports("np.mean(df)") == ()
    request = Completion(cells=[Cell(source="")], offset=0)
    assert Names(request, Scope(names=frozenset())).imports("np.mean(df)") == ()


def test_imports_are_returned_beside_other_errors() -> None:
    # It is shown on request all the same.
    assert names_at("").imports("np.mean(unknown)") == ("import numpy as np",)


def test_sources_prefer_the_users_documents_to_conventions() -> None:
    own = ("import autograd.numpy as np", 4), ("import numpy as np", 1)
    assert names_at("", *own).imports("np.mean(df)") == ("import autograd.numpy as np",)
    assert names_at("", ("from helpers import clean, load as fetch", 1)).imports("fetch(df)") == (
        "from helpers import load as fetch",
    )


def test_imports_are_empty_with_too_many_missing_names() -> None:
    asked: list[str] = []

    def documents(name: str, *, near: bool) -> list[tuple[str, int]]:
        assert not near
        asked.append(name)
        return [(f"from own import {name}", 1)]

    request = Completion(cells=[Cell(source="")], offset=0)
    names = Names(
        request, Scope(names=frozenset({"df"})), Sources(documents, lambda _: ModuleLocation.ANYWHERE)
    )
    assert len(names.imports("; ".join(f"n{number}.x" for number in range(16)))) == 16
    assert names.imports("; ".join(f"n{number}.x" for number in range(17))) == ()
    assert len(asked) == 16


@pytest.mark.parametrize(
    ("line", "text", "asked"),
    [
        ("from google.cloud import bigquery", "bigquery.Client()", ["google", "google.cloud.bigquery"]),
        ("from google.cloud import bigquery as bq", "bq.Client()", ["google", "google.cloud.bigquery"]),
        ("import google.cloud.bigquery as bq", "bq.Client()", ["google", "google.cloud.bigquery"]),
        ("import google.cloud", "google.cloud.x", ["google", "google.cloud"]),
        ("import google as g", "g.cloud", ["google"]),
    ],
)
def test_sources_look_for_the_module_in_a_namespace_package(line: str, text: str, asked: list[str]) -> None:
    looked: list[str] = []

    def found(module: str) -> ModuleLocation:
        looked.append(module)
        return ModuleLocation.ANYWHERE if module == "google.cloud.bigquery" else ModuleLocation.NOWHERE

    request = Completion(cells=[Cell(source="")], offset=0)
    source = Sources(lambda _, *, near: [(line, 1)], found)  # noqa: ARG005
    names = Names(request, Scope(names=frozenset({"df"})), source)
    assert names.imports(text) == ((line,) if "bigquery" in line else ())
    assert looked[: len(asked)] == asked


@pytest.mark.parametrize(
    "before",
    [
        'query = """\nSELECT ',
        "def f():\n    '''Uses ",
        "!cat ",
        "x = !grep ",
        "%run -i ",
        "%%timeit -n 1 ",
        "rows = %sql select ",
    ],
)
def test_uses_finds_names_in_any_text(before: str) -> None:
    names = names_at(before)
    assert names.fit("requests.json unknown.csv")
    assert names.imports("requests.json unknown.csv") == ()


@pytest.mark.parametrize(
    "before", ["%time x = ", "%timeit ", "!ls\nx = ", 's = """np."""\nx = ', "x = 'a' + "]
)
def test_insertion_is_after_magics_and_in_timed_cells(before: str) -> None:
    names = names_at(before)
    assert not names.fit("unknown.mean(df)")
    assert names.imports("np.mean(df)") == ("import numpy as np",)


@pytest.mark.parametrize(
    ("jax", "numpy", "line"),
    [
        (1, 1, ""),
        (1, 3, ""),
        (1, 4, "import numpy as np"),
        (4, 1, "import jax.numpy as np"),
        (3, 1, ""),
        (1, 0, "import jax.numpy as np"),
    ],
)
def test_sources_require_agreement_of_four_in_five_documents(jax: int, numpy: int, line: str) -> None:
    own = [one for one in (("import jax.numpy as np", jax), ("import numpy as np", numpy)) if one[1]]
    assert names_at("", *own).imports("np.mean(df)") == ((line,) if line else ())
    # Conventions do not decide then.
    assert names_at("", *own).fit("np.mean(df)") is bool(line)


def test_sources_add_up_equivalent_lines() -> None:
    own = ("import x.np as np", 1), ("import os, numpy as np", 2), ("import numpy as np", 3)
    assert names_at("", *own).imports("np.mean(df)") == ("import numpy as np",)


def test_sources_import_a_package_unless_a_submodule_is_used() -> None:
    own = ("import holes.pandas", 5), ("import holes.xarray", 4), ("import holes", 1)
    assert names_at("", *own).imports("holes.help(df)") == ("import holes",)
    own = ("import holes.deep.er", 5), ("import holes.xarray as holes", 1)
    assert names_at("", *own).imports("holes.deep.er(df)") == ("import holes.deep.er",)


def test_sources_consider_only_lines_that_fit_the_use() -> None:
    own = ("from datetime import datetime", 9), ("import datetime", 1)
    assert names_at("", *own).imports("datetime.timedelta(1)") == ("import datetime",)
    assert names_at("", ("import glob", 5)).imports("glob(path)") == ("from glob import glob",)
    assert names_at("", ("from tqdm.auto import tqdm", 5)).imports("tqdm(df)") == (
        "from tqdm.auto import tqdm",
    )


@pytest.mark.parametrize(
    ("line", "alone"),
    [
        ("import numpy as np", "import numpy as np"),
        ("from x.y import np as np, z", "from x.y import np"),
        ("from x import z as np  # why", "from x import z as np"),
        ("import np.linalg", "import np.linalg"),
        ("from . import np", ""),
        ("from __future__ import np", ""),
        ("import os; np = 1", ""),
        ("import numpy", ""),
        ("import (", ""),
        ("import a\nimport numpy as np", ""),
        ("import \0", ""),
    ],
)
def test_binding_reduces_a_line_to_one_name(line: str, alone: str) -> None:
    assert binding(line, "np") == alone


@given(st.sampled_from(["np", "x", "Path"]), st.text(max_size=60))
def test_binding_returns_only_import_lines(name: str, text: str) -> None:
    for line in (text, f"import {text}", f"from {text} import {name}"):
        if alone := binding(line, name):
            (statement,) = ast.parse(alone).body
            assert isinstance(statement, ast.Import | ast.ImportFrom)
            assert bindings(alone) == {name}
            assert bound_name(alone) == name


def test_conventions_import_their_names() -> None:
    by_use = [(name, line) for name, lines in BY_USE.items() for line in lines]
    for name, line in [*MODULES.items(), *MEMBERS.items(), *by_use]:
        assert binding(line, name) == line


def test_conventions_of_the_standard_library_work() -> None:
    for line in MEMBERS.values():
        if top_module(line) in sys.stdlib_module_names:
            exec(line, {})  # noqa: S102
    for lines in BY_USE.values():
        for line, words in lines.items():
            if (
                line.startswith("import ")
                and top_module(line) in sys.stdlib_module_names
                and " as " not in line
            ):
                module = importlib.import_module(top_module(line))
                importlib.import_module(line.split()[1])
                missing = {word for word in words if not hasattr(module, word)}
                assert missing <= {"UTC"}  # added in Python 3.11


@given(st.text(alphabet="np.([{x})=:,'\"# \nlambdfori1@", max_size=60))
def test_uses_accepts_any_text(text: str) -> None:
    for use in uses(text):
        assert use.name.isidentifier()


def test_uses_exclude_bound_names() -> None:
    found = [*uses("for i in f(x): a.b = [c for c in y]\nimport q; z = lambda v: w\nd.e, g = 1, h(k=m)")]
    assert [use.name for use in found if use.name not in {"for", "in", "lambda"}] == [
        "f", "x", "a", "c", "y", "w", "d", "h", "m"
    ]  # fmt: skip
    assert Use("a", "b", dotted=True) in found


# Insertion ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["source"])
def test_insertion_is_after_everything_that_must_come_first(case: dict[str, str]) -> None:
    assert with_imports(case["source"], ["import y"]) == case["with"]


@given(
    st.lists(st.sampled_from(['"""a\nb"""', "# c", "", "from __future__ import annotations", "x = 1", "'d'"]))
)
def test_with_imports_keeps_a_cell_parsable(lines: list[str]) -> None:
    source = "\n".join([*lines, "z = np.pi"])
    try:
        compile(source, "", "exec")
    except SyntaxError:
        return
    whole = with_imports(source, ["import numpy as np", "import os"])
    compile(whole, "", "exec")
    assert whole.index("import numpy") < whole.index("z = np.pi")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import numpy as np", [("numpy", "np", "import numpy as np")]),
        ("import os, sys as s", [("os", "os", "import os"), ("sys", "s", "import sys as s")]),
        ("import os.path", [("os", "os", "import os.path")]),
        (
            "from a.b import (\n    c,\n    d as e,\n)",
            [("a", "c", "from a.b import c"), ("a", "e", "from a.b import d as e")],
        ),
        ("try:\n    import tomllib\nexcept ImportError: pass", [("tomllib", "tomllib", "import tomllib")]),
        ("from math import *", [("math", "", "")]),
        ("from . import near\nfrom .far import away", []),
        ("import\nfrom x import\nimportant = 1", []),
    ],
)
def test_imports_of_returns_a_line_per_name(source: str, expected: list[tuple[str, str, str]]) -> None:
    assert [*imports_of(source)] == [Import(*each) for each in expected]


def test_imports_of_skips_an_unfinished_import() -> None:
    source = "from a import (\nimport json\nx = 1\nfrom pathlib import Path"
    assert ("pathlib", "Path", "from pathlib import Path") in [*imports_of(source)]
