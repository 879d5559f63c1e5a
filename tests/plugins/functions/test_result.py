from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.plugins.functions.result import _MODULE_OF, WIDTH, combine, imports_for


def define(name: str, *uses: str) -> str:
    return f"def {name}(x):\n    return [{', '.join(uses)}]"


def test_combine_puts_callees_first_also_in_cycles() -> None:
    functions = {"a": define("a", "b", "c"), "b": define("b", "c", "a"), "c": define("c")}
    names = [node.name for node in ast.parse(combine("", functions, set()).source).body]  # type: ignore[attr-defined]
    assert names == ["c", "b", "a"]


def test_combine_lists_undefined_names_in_short_lines() -> None:
    uses = [f"name_{number}" for number in range(40)]
    result = combine("", {"a": define("a", *uses)}, {"name_3"})
    assert set(result.undefined) == {*uses} - {"name_3"}
    comment = [line for line in result.source.split("\n") if line.startswith("#")]
    assert len(comment) > 1
    assert max(map(len, comment)) <= WIDTH + 12
    assert comment[-1].endswith("name_39.")


def test_combine_no_functions_is_the_code_above() -> None:
    assert combine("import os", {}, set()).source == "import os"


@given(
    st.dictionaries(
        st.sampled_from("abcdefgh"), st.lists(st.sampled_from("abcdefgh"), max_size=4), min_size=1
    )
)
def test_combine_contains_every_function_once(graph: dict[str, list[str]]) -> None:
    functions = {name: define(name, *uses) for name, uses in graph.items()}
    source = combine("", functions, set()).source
    names = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    first, *_ = graph
    reached, stack = set(), [first]
    while stack:
        name = stack.pop()
        if name not in reached:
            reached.add(name)
            stack += [use for use in graph[name] if use in graph]
    assert sorted(names) == sorted(graph)
    if first not in {use for name in reached for use in graph[name]}:
        assert names[max(map(names.index, reached))] == first


def test_combine_inserts_imports_after_docstring_and_future_imports() -> None:
    above = "'Doc.'\nfrom __future__ import annotations\nROOT = Path('.')"
    source = combine(above, {"f": "def f(x):\n    return ROOT"}, set()).source
    assert source == (
        "'Doc.'\nfrom __future__ import annotations\nfrom pathlib import Path\n\nROOT = Path('.')\n\n\n"
        "def f(x):\n    return ROOT\n"
    )
    compile(source, "", "exec")


def test_combine_keeps_functions_that_cannot_be_analysed() -> None:
    deep = "def f(a):\n    return " + "a + " * 400 + "a"
    assert deep in combine("", {"f": deep}, set()).source


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
    ],
)
def test_imports_for_covers_well_known_names(source: str, name: str, statement: str) -> None:
    assert imports_for([source], [name]) == {name: statement}


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
    assert imports_for([source], [name]) == {}


def test_imports_for_returns_working_imports() -> None:
    for statement in imports_for(["0"], _MODULE_OF).values():
        exec(statement, {})  # noqa: S102
