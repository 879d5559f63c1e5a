from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing

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


@pytest.fixture
def contexts(documents: list[TrainingDocument]) -> Iterator[Contexts]:
    with closing(Contexts(documents)) as made:
        yield made


def test_contexts_have_cells_that_followed_similar_ones_elsewhere(
    contexts: Contexts, documents: list[TrainingDocument]
) -> None:
    found = [contexts.of(random.Random(seed), documents[0], 1) for seed in range(40)]
    indexed = {one.source for context in found for one in context.indexed}
    assert PLOT in indexed
    assert not any("describe" in source for source in indexed)  # the notebook's own cell
    assert any(not context.indexed for context in found)


def test_contexts_have_kernel_context_in_a_part_of_the_cells(
    contexts: Contexts, documents: list[TrainingDocument]
) -> None:
    found = [contexts.of(random.Random(seed), documents[1], 2) for seed in range(40)]
    assert 10 < sum(bool(context.kernel.names) for context in found) < 40


def test_contexts_leave_out_copies_of_the_notebook(documents: list[TrainingDocument]) -> None:
    copy = document("copy", *(cell.source for cell in documents[1].cells))
    with closing(Contexts([*documents, copy])) as contexts:
        found = [contexts.of(random.Random(seed), documents[1], 1) for seed in range(40)]
    assert not any(one.path == "copy.ipynb" for context in found for one in context.indexed)
