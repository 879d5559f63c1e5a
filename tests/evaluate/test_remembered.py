from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from jupyter_turbopilot.context.notebook_file import NotebookCell
from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.evaluate.notebooks import TypedNotebook
from jupyter_turbopilot.evaluate.remembered import SIBLINGS, Shelf, in_folder
from tests.evaluate.conftest import notebook, pipe
from tests.memory.notebooks import write

LINES = "alpha_line = 1\nbeta_line = 2\ngamma_line = 3"


def named(name: str, *sources: str) -> TypedNotebook:
    return TypedNotebook(name, tuple(NotebookCell("code", source) for source in sources), typed=(0,))


def ways(shelf: Shelf, name: str, begun: str) -> list[str]:
    seen = shelf.beside(name).continuations("python", begun, "", path=name, modules=())
    return [one.rest for one in seen]


def paths(shelf: Shelf, name: str) -> Sequence[str]:
    return [other.path for other in shelf.others(name)]


def test_siblings_are_the_notebooks_whose_name_begins_alike() -> None:
    notebooks = [
        named("one__a.ipynb", "first_line(1)"),
        named("one__b.ipynb", "second_line(2)"),
        named("two__c.ipynb", "third_line(3)"),
    ]
    with closing(Shelf(SIBLINGS, notebooks)) as shelf:
        assert paths(shelf, "one__a.ipynb") == ["one__b.ipynb"]
        assert ways(shelf, "one__a.ipynb", "second") == ["_line(2)"]
        assert ways(shelf, "one__a.ipynb", "first") == []
        assert ways(shelf, "one__a.ipynb", "third") == []


def test_what_shares_half_of_its_lines_is_left_out() -> None:
    notebooks = [
        named("one__a.ipynb", LINES, "delta_line = 4"),
        named("one__copy.ipynb", "alpha_line = 1\nbeta_line = 2\nother_line = 5\nfurther_line = 6"),
        named("one__other.ipynb", "alpha_line = 1\nnew_line = 5\nfurther_line = 6\nlast_line = 7"),
    ]
    with closing(Shelf(SIBLINGS, notebooks)) as shelf:
        assert paths(shelf, "one__a.ipynb") == ["one__other.ipynb"]


def test_a_folder_is_read_without_the_notebook_that_is_typed(tmp_path: Path) -> None:
    write(tmp_path, "work/a.ipynb", "typed_line(1)")
    write(tmp_path, "work/b.ipynb", "other_line(2)")
    write(tmp_path, ".hidden/c.ipynb", "hidden_line(3)")
    (tmp_path / "work/module.py").write_text("def module_line():\n    return 4\n")
    (tmp_path / "work/broken.py").write_bytes(b"\xff\xfe\x00")
    assert {other.path for other in in_folder(tmp_path)} == {"work/a.ipynb", "work/b.ipynb", "work/module.py"}
    write(tmp_path, "a.ipynb", "another_line(5)")
    with closing(Shelf(str(tmp_path), [named("work/a.ipynb", "typed_line(1)")])) as shelf:
        # Another notebook may have the same name in another folder.
        assert set(paths(shelf, "work/a.ipynb")) == {"a.ipynb", "work/b.ipynb", "work/module.py"}
        assert ways(shelf, "work/a.ipynb", "other") == ["_line(2)"]
        assert ways(shelf, "work/a.ipynb", "typed") == []


def test_where_there_is_no_folder_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(TurbopilotError, match="There is no folder"):
        Shelf(str(tmp_path / "none"), [])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_in_folder_skips_a_pipe(tmp_path: Path) -> None:
    notebook(tmp_path / "a.ipynb")
    with pipe(tmp_path / "b.ipynb"):
        assert [other.path for other in in_folder(tmp_path)] == ["a.ipynb"]
