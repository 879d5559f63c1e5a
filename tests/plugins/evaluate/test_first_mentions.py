from __future__ import annotations

import pytest

from jupyter_turbopilot.context.kernel_context import KernelContext, ObjectInfo
from jupyter_turbopilot.plugins.evaluate.first_mentions import first_mentions
from jupyter_turbopilot.plugins.evaluate.notebooks import TypedNotebook
from jupyter_turbopilot.util.notebook_file import NotebookCell

COLUMNS = [("price", "int64"), ("unit cost", "float64"), ("id", "int64"), ("known", "int64")]
CONTEXT = KernelContext(names={"df": ObjectInfo(type="DataFrame", columns=COLUMNS, all=True)})


def labels(source: str) -> list[str]:
    cells = [NotebookCell("code", "known = 1"), NotebookCell("code", source)]
    return [mention.label for mention in first_mentions(TypedNotebook("a", tuple(cells)), 1, CONTEXT)]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("df['price'] + df['unit cost']", ["price", "unit cost"]),
        ("df.price.sum()", ["price"]),
        ("price = df['price']", []),
        ("plt.title('price')", []),
        ("df['id'], df['known'], df['prices']", []),
    ],
)
def test_first_mentions_are_columns_that_are_new_to_the_notebook(source: str, found: list[str]) -> None:
    assert labels(source) == found


def test_typed_returns_the_keystroke_within_the_label() -> None:
    cells = (NotebookCell("code", "x = df['price'].sum()"), NotebookCell("code", "below"))
    (mention,) = first_mentions(TypedNotebook("a", cells), 0, CONTEXT)
    assert mention.typed(1).request().prefix == "x = df['p"
    assert mention.typed(0).cells == ("x = df['",)
