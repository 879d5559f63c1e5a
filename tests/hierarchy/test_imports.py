from __future__ import annotations

import pytest

from jupyter_turbopilot.hierarchy.imports import imports_for


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
def test_what_everybody_knows_is_imported(source: str, name: str, statement: str) -> None:
    assert imports_for([source], [name]) == {name: statement}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("string + 1", "string"),  # no module here
        ("string + string.x", "string"),
        ("np(x)", "np"),
        ("helper(x)", "helper"),
        ("product(x)", "product"),  # may well be a helper
    ],
)
def test_what_may_be_something_else_is_not(source: str, name: str) -> None:
    assert imports_for([source], [name]) == {}


def test_every_import_works() -> None:
    from jupyter_turbopilot.hierarchy import imports

    names = list(imports._MODULE_OF)
    for statement in imports_for(["0"], names).values():
        exec(statement, {})  # noqa: S102
