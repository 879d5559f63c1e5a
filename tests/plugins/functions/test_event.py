from __future__ import annotations

from jupyter_turbopilot.plugins.functions.event import FunctionTree
from jupyter_turbopilot.protocol.request import Cell

from .play import bodies, play


def test_tree_shows_callees_below_their_caller() -> None:
    tree = FunctionTree()
    events = play(
        "def f(x):",
        bodies(f="return g(x) + known(x) + len_(x, 1)\n", g="return h(x)", h="("),
        names=["known"],
    )
    for event in events:
        tree.add(event)
    assert tree.lines() == [
        "● f(x)  2 lines",
        "  ↩ known  exists",
        "  ● g(x)  3 lines",
        "    ✗ h(x)  the model generated no body that parses",
        "  ● len_(x, value)  3 lines",
    ]
    assert tree.done is events[-1]
    assert [*tree.functions] == ["f", "g", "len_", "h"]


def test_tree_shows_the_former_name_of_a_renamed_call() -> None:
    tree = FunctionTree()
    for event in play("def f(x):", bodies(f="return h(x)"), cells=[Cell(source="h = 1")]):
        tree.add(event)
    assert tree.lines()[1] == "  ● h_2(x)  3 lines, called h at first"
