from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.context.notebook_file import Notebook, NotebookCell, names_of, parse_notebook

CELLS = [
    {"cell_type": "markdown", "source": ["# Title\n", "and text"]},
    {"cell_type": "code", "source": "x = 1\n"},
    {"cell_type": "code", "source": ["y = 2"]},
]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["cells", "cell_type", "source", "metadata"]), inner)
    ),
    max_leaves=12,
)


def parsed(metadata: Any) -> Notebook:
    notebook = parse_notebook(json.dumps({"cells": CELLS, "metadata": metadata}), "a.ipynb")
    assert notebook
    return notebook


def test_the_cells_are_there_whether_their_lines_are_listed_or_not() -> None:
    notebook = parsed({})
    assert notebook.name == "a.ipynb"
    assert notebook.cells[0] == NotebookCell("markdown", "# Title\nand text")
    assert notebook.types == ("markdown", "code", "code")
    assert notebook.sources == ("# Title\nand text", "x = 1\n", "y = 2")
    assert notebook.code == "x = 1\n\n\ny = 2"


@pytest.mark.parametrize(
    ("metadata", "language"),
    [
        ({"language_info": {"name": "R"}, "kernelspec": {"language": "python"}}, "r"),
        ({"kernelspec": {"language": "julia"}}, "julia"),
        ({"language_info": {"name": ""}, "kernelspec": {"language": "julia"}}, "julia"),
        ({}, "python"),
        (None, "python"),
        ({"language_info": 3, "kernelspec": []}, "python"),
    ],
)
def test_the_language_is_what_the_kernel_said_or_else_what_the_notebook_asks_for(
    metadata: Any, language: str
) -> None:
    assert parsed(metadata).language == language


def test_metadata_may_be_missing() -> None:
    notebook = parse_notebook(json.dumps({"cells": CELLS}), "a.ipynb")
    assert notebook
    assert notebook.language == "python"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "{}", '{"cells": 3}', '{"cells": [{"source": "x"}]}', '{"cells": [{"cell_type": "code"}]}',
     '{"cells": [{"cell_type": "code", "source": 1}]}', "[" * 100_000],
)  # fmt: skip
def test_what_holds_no_notebook_is_none(text: str) -> None:
    assert parse_notebook(text, "a.ipynb") is None


@given(anything)
def test_whatever_json_a_file_holds_is_a_notebook_or_none(value: Any) -> None:
    notebook = parse_notebook(json.dumps(value), "a.ipynb")
    assert notebook is None or len(notebook.cells) == len(value["cells"])


def test_a_path_may_have_a_drive_before_it_or_a_colon_in_it() -> None:
    assert names_of("RTC:work/a.ipynb") == ("RTC:work/a.ipynb", "work/a.ipynb")
    assert names_of("/notes 10:30/a.ipynb") == ("notes 10:30/a.ipynb", "30/a.ipynb")
    assert names_of("work/a.ipynb") == ("work/a.ipynb", "work/a.ipynb")


@given(st.text())
def test_the_path_itself_is_always_one_of_them(path: str) -> None:
    assert names_of(path)[0] == path.strip("/")
