from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.util.notebook_file import NotebookCell
from turbopilot_research.train.corpus import TrainingDocument
from turbopilot_research.train.likely_kernel import Objects

SOURCES = (
    "import numpy as np\nimport pandas as pd\nsales = pd.read_csv('sales.csv')",
    "%matplotlib inline\nx, y = np.linspace(0, 1), np.zeros(3)",
    "top = sales[sales['price'] > 3].sort_values('price')\nsales.groupby(['region', 'year']).sum()",
    "this is not Python",
    "costs = pd.DataFrame({'rent': [1], 'food': [2]})\nsettings['theme'] = 'dark'",
)
DOCUMENT = TrainingDocument("a.ipynb", tuple(NotebookCell("code", source) for source in SOURCES))


def test_objects_are_the_tables_of_the_code() -> None:
    found = Objects.of(DOCUMENT)
    assert {name: sorted(columns) for name, columns in found.known_columns.items()} == {
        "sales": ["price", "region", "year"],
        "costs": ["food", "rent"],
    }


@given(st.integers(0, 10_000))
def test_context_has_mentioned_columns_and_those_of_other_notebooks(seed: int) -> None:
    rng = random.Random(seed)
    context = Objects.of(DOCUMENT).context(rng, 2, [("orders", ["quantity"])])
    assert {*context.names} <= {"sales", "costs", "orders"}
    assert "sales" in context.names
    labels = {*(context.names["sales"].columns or ())}
    assert labels <= {"price", "region", "year", "quantity"}


def test_context_mostly_lacks_what_cells_below_assign() -> None:
    objects = Objects.of(DOCUMENT)
    contexts = [objects.context(random.Random(seed), 2, []) for seed in range(200)]
    assert 0 < sum("costs" in context.names for context in contexts) < 100
    assert all("sales" in context.names for context in contexts)
