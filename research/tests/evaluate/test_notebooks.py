from __future__ import annotations

import ast
import gzip
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.util.notebook_file import NotebookCell
from turbopilot_research.evaluate import notebooks
from turbopilot_research.evaluate.notebooks import (
    SHORTEST_CELL,
    TypedNotebook,
    read,
    sample,
    standard_library,
)

from .conftest import notebook, pipe


def prepared(path: Path, content: Any) -> Path:
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    return path


def test_read_selects_code_cells_that_are_long_enough(tmp_path: Path) -> None:
    for name, length in (("long", SHORTEST_CELL + 1), ("short", SHORTEST_CELL)):
        cells = [{"cell_type": kind, "source": "x" * length} for kind in ("markdown", "code")]
        (tmp_path / f"{name}.ipynb").write_text(json.dumps({"cells": cells}))
    (only,) = read(tmp_path)
    assert (only.name, only.typed) == ("long.ipynb", (1,))


def test_read_skips_unreadable_notebooks(tmp_path: Path) -> None:
    notebook(tmp_path / "a.ipynb")
    for name, text in (("b", "{"), ("c", "[]"), ("d", '{"cells": [{"source": 1}]}'), ("e", '{"cells": 3}')):
        (tmp_path / f"{name}.ipynb").write_text(text)
    (tmp_path / "f.ipynb").write_bytes(b"\xff")
    assert [found.name for found in read(tmp_path)] == ["a.ipynb"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_read_skips_a_pipe_in_a_folder(tmp_path: Path) -> None:
    notebook(tmp_path / "a.ipynb")
    with pipe(tmp_path / "b.ipynb"):
        assert [found.name for found in read(tmp_path)] == ["a.ipynb"]


def test_read_accepts_a_prepared_set(tmp_path: Path) -> None:
    content = [{"name": "a", "cells": [{"type": "code", "source": "x = 1"}], "typed": [0]}]
    assert read(prepared(tmp_path / "set.json.gz", content)) == [
        TypedNotebook("a", (NotebookCell("code", "x = 1"),), typed=(0,))
    ]


@pytest.mark.parametrize(
    "content",
    [
        3,
        [],
        [{"name": "a", "cells": [1], "typed": []}],
        [{"name": "a", "cells": [], "typed": [0]}],
        [{"name": "a", "cells": [{"type": "code", "source": "x = 1"}], "typed": [0.0]}],
    ],
)
def test_read_refuses_other_json(tmp_path: Path, content: Any) -> None:
    with pytest.raises(BadRequestError, match="is neither a notebook nor a prepared set"):
        read(prepared(tmp_path / "set.json.gz", content))


def test_read_expands_no_more_of_a_prepared_set_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebooks, "MAX_EXPANDED", 1000)
    content = gzip.compress(b"a" * 10**7)
    (tmp_path / "set.json.gz").write_bytes(content)
    tracemalloc.start()
    with pytest.raises(BadRequestError, match="too large"):
        read(tmp_path / "set.json.gz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**6


def test_read_refuses_a_file_that_is_not_compressed(tmp_path: Path) -> None:
    (tmp_path / "set.json.gz").write_text("nothing")
    with pytest.raises(BadRequestError, match=r"neither a notebook nor a prepared set\. Pass a notebook"):
        read(tmp_path / "set.json.gz")


def test_standard_library_has_functions_without_docstrings() -> None:
    found = standard_library()
    assert len(found) >= 16  # the maximum number of simulated users
    assert len({module.name for module in found}) == len(found)
    for module in found:
        for number in module.typed:
            function, *more = ast.parse(module.cells[number].source).body
            if not isinstance(function, ast.FunctionDef):
                assert number == 0  # the imports
                continue
            assert not more
            assert len(function.body) == 1 or not ast.get_docstring(function)


def test_sample_draws_one_cell_of_each_notebook_the_same_each_time() -> None:
    cells = tuple(NotebookCell("code", f"value_{n} = 1") for n in range(9))
    everything = [TypedNotebook(f"{n}.ipynb", cells, typed=(1, 4, 8)) for n in range(40)]
    drawn = sample(everything, 12)
    assert drawn == sample(everything, 12)
    assert len({one.name for one in drawn}) == 12
    assert {one.typed for one in drawn} == {(1,), (4,), (8,)}
    assert all(one.cells == cells for one in drawn)  # the other cells stay as context
    with pytest.raises(BadRequestError, match="--sample 41 needs 41 notebooks, but there are 40"):
        sample(everything, 41)
