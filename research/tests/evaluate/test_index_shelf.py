from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from jupyter_turbopilot.util.notebook_file import NotebookCell
from tests.completer.desk import Desk
from tests.index.fake_index import FakeIndex
from tests.index.notebooks import write
from tests.scripted_engine import ScriptedEngine
from turbopilot_research.evaluate.index_shelf import SIBLINGS, IndexShelf, in_folder, with_and_without
from turbopilot_research.evaluate.notebooks import TypedNotebook
from turbopilot_research.evaluate.traces import Trace

from .conftest import CODE, notebook, pipe


class AtDesk:
    """A fake of the completer in this process."""

    def __init__(self, desk: Desk) -> None:
        self.pilot = desk


def test_with_and_without_uses_the_index_of_the_notebook(appended: list[Trace]) -> None:
    desk = Desk(ScriptedEngine(""))
    notebook_index = FakeIndex.of(*CODE.splitlines(), documents=20)
    shelf = SimpleNamespace(index_for=lambda _: notebook_index)
    with_it, without = with_and_without(AtDesk(desk), appended, shelf, lambda _: None)  # type: ignore[arg-type]
    desk.worker.stop()
    assert with_it.total.saved > 0 == without.total.saved


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
