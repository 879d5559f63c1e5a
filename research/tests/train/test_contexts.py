from __future__ import annotations

import random

import pytest

from jupyter_turbopilot.util.notebook_file import NotebookCell
from turbopilot_research.train.contexts import Contexts
from turbopilot_research.train.corpus import TrainingDocument

LOAD = "import pandas as pd\nfrom seaborn import relplot\nsales = pd.read_csv('sales.csv')"
PLOT = "relplot(data=sales, x='price', y='revenue', hue='region')"


def document(name: str, *sources: str) -> TrainingDocument:
    return TrainingDocument(name, tuple(NotebookCell("code", source) for source in sources))


@pytest.fixture
def documents() -> list[TrainingDocument]:
    return [
        document("typed", LOAD, "sales.describe(include='all')", *(f"show({n})" for n in range(9))),
        document("other", LOAD, PLOT, *(f"print({n}, sales['price'].quantile({n} / 10))" for n in range(9))),
        document("unrelated", "x = 1\nprint(x)"),
    ]


def test_contexts_are_present_in_a_part_of_the_cells(documents: list[TrainingDocument]) -> None:
    contexts = Contexts(documents)
    found = [contexts.of(random.Random(seed), documents[1], 2) for seed in range(40)]
    assert 10 < sum(bool(context.names) for context in found) < 40
