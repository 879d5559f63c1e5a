"""Limits that generated texts do not reach; characters outside the basic plane count as one."""

from typing import Any

import pytest
from msgspec import to_builtins

from jupyter_turbopilot.context import notebook
from jupyter_turbopilot.protocol.request import Cell, Completion

from ..shared_cases import Twins


def text_of(unit: str, length: int) -> str:
    """Return a text of this length."""
    return (unit * (length // len(unit) + 1))[:length]


@pytest.mark.parametrize("own", [notebook.NEAR, notebook.NEAR + 1])
@pytest.mark.parametrize(
    "sizes", [[notebook.ABOVE + 1], [notebook.ABOVE // 4] * 4, [notebook.ABOVE // 4 + 1] * 5]
)
@pytest.mark.parametrize("unit", ["x = 1\n", "😀 = 2\n", "é\n"])
def test_the_same_is_left_out_of_a_long_notebook(twins: Twins, unit: str, sizes: list[int], own: int) -> None:
    sources = [*(text_of(unit, size) for size in sizes), text_of(unit, 2 * own), text_of(unit, 20_000)]
    cells = [Cell(id=str(at), type="code", source=source) for at, source in enumerate(sources)]
    request = Completion(path="a.ipynb", language="python", cells=cells, active=len(sizes), offset=own)
    expected = notebook.gather(request)
    found: dict[str, Any] = twins("gather", to_builtins(request))
    assert (found["prefix"], found["suffix"]) == (expected.prefix, expected.suffix)
    assert found["pieces"] == [*expected.pieces]
