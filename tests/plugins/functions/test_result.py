from __future__ import annotations

import ast

import pytest

from jupyter_turbopilot.plugins.functions.result import WIDTH, combine, imports_for


def define(name: str, *uses: str) -> str:
    return f"def {name}(x):\n    return [{', '.join(uses)}]"


def test_combine_puts_callees_first() -> None:
    functions = {"a": define("a", "b", "c"), "b": define("b", "c", "a"), "c": define("c")}
    source, undefined = combine("", functions, set())
    names = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    assert (names, undefined) == (["c", "b", "a"], ())


@pytest.mark.parametrize("head", ["@h\ndef g(x):", "def g(x, y=h(1)):"])
def test_combine_puts_functions_that_a_head_calls_above_it(head: str) -> None:
    functions = {"f": define("f", "h(x)", "g(x)"), "h": define("h"), "g": f"{head}\n    return x"}
    exec(combine("", functions, set())[0], {})  # noqa: S102


def test_combine_contains_every_function_once_in_cycles() -> None:
    functions = {
        "a": define("a", "b", "a"),
        "b": define("b", "c", "a"),
        "c": define("c", "b"),
        "d": define("d"),
    }
    source, _ = combine("", functions, set())
    names = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    assert names == ["c", "b", "a", "d"]


def test_combine_lists_undefined_names_in_short_lines() -> None:
    uses = [f"name_{number}" for number in range(40)]
    source, undefined = combine("", {"a": define("a", *uses)}, {"name_3"})
    assert set(undefined) == {*uses} - {"name_3"}
    comment = [line for line in source.split("\n") if line.startswith("#")]
    assert len(comment) > 1
    assert max(map(len, comment)) <= WIDTH + 12
    assert comment[-1].endswith("name_39.")


def test_combine_inserts_imports_after_docstring_and_future_imports() -> None:
    above = "'Doc.'\nfrom __future__ import annotations\nROOT = Path('.')"
    source, _ = combine(above, {"f": "def f(x):\n    return ROOT"}, set())
    assert source == (
        "'Doc.'\nfrom __future__ import annotations\nfrom pathlib import Path\nROOT = Path('.')\n\n\n"
        "def f(x):\n    return ROOT\n"
    )
    compile(source, "", "exec")


def test_combine_keeps_functions_that_cannot_be_analysed() -> None:
    deep = "def f(a):\n    return " + "a + " * 20_000 + "a"
    assert deep in combine("", {"f": deep}, set())[0]


@pytest.mark.parametrize(
    ("source", "name", "statement"),
    [
        ("math.sqrt(2)", "math", "import math"),
        ("Counter(x)", "Counter", "from collections import Counter"),
        ("x: List[int]", "List", "from typing import List"),
        ("np.mean(x)", "np", "import numpy as np"),
        ("pd.read_csv(x)", "pd", "import pandas as pd"),
        ("plt.plot(x)", "plt", "import matplotlib.pyplot as plt"),
        ("sns.set_theme()", "sns", "import seaborn as sns"),
        ("f: Callable", "Callable", "from collections.abc import Callable"),
        ("datetime.now()", "datetime", "from datetime import datetime"),
        ("secrets.token_hex()", "secrets", "import secrets"),
        ("f'{math.pi}'", "math", "import math"),
    ],
)
def test_imports_for_covers_well_known_names(source: str, name: str, statement: str) -> None:
    assert imports_for(source, [name]) == {name: statement}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("string + 1", "string"),  # not the module
        ("string + string.x", "string"),
        ("np(x)", "np"),
        ("helper(x)", "helper"),
        ("product(x)", "product"),  # may be a helper
    ],
)
def test_imports_for_skips_ambiguous_names(source: str, name: str) -> None:
    assert imports_for(source, [name]) == {}
