from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from jupyter_turbopilot.suggestion.gate_fit import DEFAULT, fit_for
from jupyter_turbopilot.util.notebook_file import NotebookCell
from tests.completer.desk import Desk
from tests.index.fake_index import FakeIndex
from tests.index.notebooks import write
from tests.scripted_engine import ScriptedEngine
from turbopilot_research.evaluate.index_gain import (
    SIBLINGS,
    IndexGain,
    IndexShelf,
    changed_threshold,
    in_folder,
)
from turbopilot_research.evaluate.notebooks import TypedNotebook
from turbopilot_research.evaluate.replay import TypingResult, with_index
from turbopilot_research.evaluate.scoring import Tally
from turbopilot_research.evaluate.traces import Trace

from .conftest import CODE, notebook, pipe


def typed(right: int, shown: int, saved: int) -> TypingResult:
    return TypingResult({"a": Tally(typed=100, keys=100, shown=shown, right=right, saved=saved)}, ms=[10.0])


class AtDesk:
    """A fake of the completer in this process."""

    def __init__(self, desk: Desk) -> None:
        self.pilot = desk
        self.last = lambda request, _: desk.ask(request)[-1]


def test_with_memory_counts_index_suggestions_separately(appended: list[Trace]) -> None:
    desk = Desk(ScriptedEngine(""))
    notebook_index = FakeIndex.of(*CODE.splitlines(), documents=20)
    result = TypingResult()
    for trace in appended:
        with_index(AtDesk(desk), trace, result, notebook_index)  # type: ignore[arg-type]
    desk.worker.stop()
    assert result.from_index.shown > 0
    assert result.from_index.precision == 1.0
    assert result.from_index.saved == result.total.saved > 0
    assert len(result.from_index_ms) >= result.from_index.shown
    assert all(ms > 0 for ms in result.from_index_ms)


def test_gain_compares_positions_requested_in_both_configurations() -> None:
    without, with_it = typed(70, 100, 20), typed(70, 100, 40)
    without.key_ms = {("a", 1, 0): 10.0, ("a", 1, 4): 30.0, ("a", 1, 8): 500.0}
    with_it.key_ms = {("a", 1, 0): 15.0, ("a", 1, 4): 35.0}
    without.ms, with_it.ms = [*without.key_ms.values()], [*with_it.key_ms.values()]
    words = IndexGain({0.0: without}, {0.0: with_it}).summary
    assert "took 25 ms on average with the index, 20 ms without (1.250 times)" in words
    assert "requests 0 and 1 seconds" in words


def test_measure_raises_the_threshold_if_precision_is_lower() -> None:
    gain = IndexGain({0.0: typed(70, 100, 20)}, {0.0: typed(60, 100, 30), 0.05: typed(71, 100, 24)})
    assert gain.moved(gain.with_it) == 0.05
    assert "At a precision of 0.700 or above" in gain.summary
    assert "1.20 times" in gain.summary


def test_gain_reports_that_no_threshold_is_precise_enough() -> None:
    gain = IndexGain({0.0: typed(70, 100, 20)}, {0.0: typed(60, 100, 30), 0.05: typed(65, 100, 24)})
    assert gain.summary.startswith("With the index, no threshold reaches a precision of 0.700")


def test_threshold_moved_restores_the_threshold() -> None:
    before = dict(fit_for(DEFAULT).thresholds)
    with changed_threshold(DEFAULT, "quiet", 9.0):
        assert fit_for(DEFAULT).thresholds["quiet"] < 1.0
    assert fit_for(DEFAULT).thresholds == before


LINES = "alpha_line = 1\nbeta_line = 2\ngamma_line = 3"


def named(name: str, *sources: str) -> TypedNotebook:
    return TypedNotebook(name, tuple(NotebookCell("code", source) for source in sources), typed=(0,))


def ways(shelf: IndexShelf, name: str, begun: str) -> list[str]:
    seen = shelf.index_for(name).continuations("python", begun, "", path=name, modules=())
    return [one.rest for one in seen]


def paths(shelf: IndexShelf, name: str) -> Sequence[str]:
    return [other.path for other in shelf.others(name)]


def test_shelf_uses_notebooks_with_the_same_prefix_as_siblings() -> None:
    notebooks = [
        named("one__a.ipynb", "first_line(1)"),
        named("one__b.ipynb", "second_line(2)"),
        named("two__c.ipynb", "third_line(3)"),
    ]
    with closing(IndexShelf(SIBLINGS, notebooks)) as shelf:
        assert paths(shelf, "one__a.ipynb") == ["one__b.ipynb"]
        assert ways(shelf, "one__a.ipynb", "second") == ["_line(2)"]
        assert ways(shelf, "one__a.ipynb", "first") == []
        assert ways(shelf, "one__a.ipynb", "third") == []


def test_shelf_omits_near_duplicates() -> None:
    notebooks = [
        named("one__a.ipynb", LINES, "delta_line = 4"),
        named("one__copy.ipynb", "alpha_line = 1\nbeta_line = 2\nother_line = 5\nfurther_line = 6"),
        named("one__other.ipynb", "alpha_line = 1\nnew_line = 5\nfurther_line = 6\nlast_line = 7"),
    ]
    with closing(IndexShelf(SIBLINGS, notebooks)) as shelf:
        assert paths(shelf, "one__a.ipynb") == ["one__other.ipynb"]


def test_shelf_of_a_folder_omits_the_typed_notebook(tmp_path: Path) -> None:
    write(tmp_path, "work/a.ipynb", "typed_line(1)")
    write(tmp_path, "work/b.ipynb", "other_line(2)")
    write(tmp_path, ".hidden/c.ipynb", "hidden_line(3)")
    (tmp_path / "work/module.py").write_text("def module_line():\n    return 4\n")
    (tmp_path / "work/broken.py").write_bytes(b"\xff\xfe\x00")
    assert {other.path for other in in_folder(tmp_path)} == {"work/a.ipynb", "work/b.ipynb", "work/module.py"}
    write(tmp_path, "a.ipynb", "another_line(5)")
    with closing(IndexShelf(str(tmp_path), [named("work/a.ipynb", "typed_line(1)")])) as shelf:
        # Another notebook in another folder may have the same name.
        assert set(paths(shelf, "work/a.ipynb")) == {"a.ipynb", "work/b.ipynb", "work/module.py"}
        assert ways(shelf, "work/a.ipynb", "other") == ["_line(2)"]
        assert ways(shelf, "work/a.ipynb", "typed") == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_in_folder_skips_a_pipe(tmp_path: Path) -> None:
    notebook(tmp_path / "a.ipynb")
    with pipe(tmp_path / "b.ipynb"):
        assert [other.path for other in in_folder(tmp_path)] == ["a.ipynb"]
