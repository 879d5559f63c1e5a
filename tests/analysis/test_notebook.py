from __future__ import annotations

from collections.abc import Set as AbstractSet

import pytest

from jupyter_turbopilot.analysis.notebook import Notebook, bindings_of
from jupyter_turbopilot.protocol.request import FixCell
from jupyter_turbopilot.util import syntax_tree
from jupyter_turbopilot.util.bounds import STATEMENT

FAILED = FixCell(source="plot(total)", execution_count=9)


def notebook(*sources: str, **fields: object) -> Notebook:
    """Return a notebook whose cells have not been run, with a failed one at its end."""
    return Notebook([*(FixCell(source=each, **fields) for each in sources), FAILED])  # type: ignore[arg-type]


def test_notebook_parses_each_text_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []

    def parse(source: str, *given: object, **named: object) -> object:
        parsed.append(source)
        return compile(source, *given, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(syntax_tree, "compile", parse, raising=False)
    cells = notebook("x = 1", "x = 1", "y = (")
    for _ in range(2):
        assert cells.parsed("x = 1") is cells.parsed("x = 1")
        assert cells.bindings("x = 1") == {"x"}
        with pytest.raises(SyntaxError):
            cells.scopes("y = (")
    assert parsed == ["x = 1", "y = ("]


def test_sources_binding_omits_other_languages_and_uses() -> None:
    cells = notebook("%time\nx = 1", "%%bash\nx=1", "print(x)", "def x(): pass")
    assert [*cells.sources_binding("x")] == ["%time\nx = 1", "def x(): pass"]
    assert Notebook([FixCell(type="markdown", source="x = 1")]).bindings("") == frozenset()
    assert [*Notebook([FixCell(type="markdown", source="x = 1")]).sources_binding("x")] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1", True),
        ("print(x)", False),
        ("y = 1", False),
        ("from x import *", True),
        ("%%R\nx", True),
        ("%run x.py", True),
        ("!echo x", True),
        ("x = (", True),
    ],
)
def test_may_bind_includes_magics_and_other_languages(source: str, expected: bool) -> None:
    assert notebook(source).may_bind("x") == expected


def test_may_bind_is_true_for_an_unknown_cell() -> None:
    assert Notebook([FixCell(source=None)]).may_bind("x")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (FixCell(source="x", execution_count=1), True),
        (FixCell(source="x", execution_count=2), False),  # of an earlier kernel, too
        (FixCell(source="x", execution_count=1, changed=True), False),
        (FixCell(source="x", execution_count=1, changed=None), False),
        (FixCell(source="x"), False),
    ],
)
def test_is_current_needs_the_only_execution_of_the_text(cell: FixCell, expected: bool) -> None:
    assert Notebook([cell, FixCell(execution_count=2)]).is_current(cell) == expected


def test_to_run_returns_the_cells_that_a_name_needs() -> None:
    sources = ["import pandas as pd", "other = 1", "rows = pd.DataFrame()", "total = rows.sum()", "total"]
    assert notebook(*sources).to_run(5, "total", {"plot"}) == ([0, 2, 3, 5], set())
    assert notebook(*sources).to_run(5, "total", {"plot", "pd"}) == ([2, 3, 5], set())
    assert notebook(*sources[1:]).to_run(4, "total", {"plot"}) == ([1, 2, 4], {"pd"})
    assert notebook("total + 1").to_run(1, "total", {"plot"}) == ([], {"total"})


def test_to_run_omits_cells_that_have_run() -> None:
    cells = Notebook([FixCell(source="total = 1", execution_count=3), FAILED])
    assert cells.to_run(1, "total", {"plot"})[0] == []
    assert cells.bound_by_runs(FAILED) == {"total"}
    cells = Notebook([FixCell(source="total = 1", execution_count=3, changed=True), FAILED])
    assert cells.to_run(1, "total", {"plot"})[0] == [0, 1]
    assert cells.bound_by_runs(FAILED) == frozenset()


def test_tree_raises_an_error_again_without_earlier_frames() -> None:
    cells, depths = notebook("x = ("), set[int]()
    for _ in range(3):
        with pytest.raises(SyntaxError) as caught:
            cells.tree("x = (")
        depths.add(len(caught.traceback))
    assert len(depths) == 1


def test_names_are_those_before_and_without_their_bindings() -> None:
    cell = FixCell(source="x = x + 1\nfor a in b:\n    a\nt['new'] = t['old']\ndef f():\n    return g")
    names = Notebook([cell]).names(cell)
    assert names.bound == {"x", "a", "f"}
    assert names.read == {"x", "b", "t", "g"}
    assert names.extended == {"t"}


@pytest.mark.parametrize(
    ("source", "every", "shared", "changed"),
    [
        ("def f(a):\n    b = a", {"f", "a", "b"}, {"f"}, set()),
        ("t['new'] = 1", set(), set(), {("t", "new")}),
        ("x = (", {"x"}, {"x"}, {("x", "")}),
        ("%time x = 1\ny = 2", {"time", "x", "y"}, {"x", "y"}, set()),
        ("%%time\nx = 1\nt['new'] = 2", {"x"}, {"x"}, {("t", "new")}),
        ("def f():\n    nonlocal a\nb = 1", {"f", "b"}, {"f", "b"}, set()),
        (f"def f(a): pass\n{'#' * STATEMENT}", {"f", "a"}, {"f"}, set()),
    ],
)
def test_bindings_of_are_those_of_any_text(
    source: str, every: AbstractSet[str], shared: AbstractSet[str], changed: AbstractSet[tuple[str, str]]
) -> None:
    found = bindings_of(source)
    assert (found.all, found.shared) == (every, shared)
    assert found.changed == changed
