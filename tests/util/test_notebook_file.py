import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.util.notebook_file import (
    Notebook,
    NotebookCell,
    equivalent_paths,
    is_enabled,
    is_enabled_in,
    may_have_section,
    parse_notebook,
)

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


def test_parse_notebook_joins_lines_of_cells() -> None:
    notebook = parsed({})
    assert notebook.name == "a.ipynb"
    assert notebook.cells[0] == NotebookCell("markdown", "# Title\nand text")
    assert [(cell.type, cell.source) for cell in notebook.cells] == [
        ("markdown", "# Title\nand text"),
        ("code", "x = 1\n"),
        ("code", "y = 2"),
    ]


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
def test_parse_notebook_finds_the_language(metadata: Any, language: str) -> None:
    assert parsed(metadata).language == language


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "{}", '{"cells": 3}', '{"cells": [{"source": "x"}]}', '{"cells": [{"cell_type": "code"}]}',
     '{"cells": [{"cell_type": "code", "source": 1}]}', "[" * 100_000],
)  # fmt: skip
def test_parse_notebook_rejects_other_content(text: str) -> None:
    assert parse_notebook(text, "a.ipynb") is None


@given(anything)
def test_parse_notebook_accepts_any_json(value: Any) -> None:
    notebook = parse_notebook(json.dumps(value), "a.ipynb")
    assert notebook is None or len(notebook.cells) == len(value["cells"])


def test_equivalent_paths_removes_drives_but_not_a_colon_in_a_name() -> None:
    assert equivalent_paths("RTC:work/a.ipynb") == ("RTC:work/a.ipynb", "work/a.ipynb")
    assert equivalent_paths("RTC:s3:a.ipynb") == ("RTC:s3:a.ipynb", "s3:a.ipynb", "a.ipynb")
    assert equivalent_paths("/notes 10:30/a.ipynb") == ("notes 10:30/a.ipynb", "30/a.ipynb")
    assert equivalent_paths("work/a.ipynb") == ("work/a.ipynb",)
    assert equivalent_paths("RTC:") == ("RTC:",)
    assert equivalent_paths("") == ("",)


@given(st.lists(st.text("aB:/ ", max_size=4), max_size=12), st.text("xyz/", min_size=1))
def test_equivalent_paths_includes_the_path_without_and_with_all_drives(drives: list[str], name: str) -> None:
    path = "".join(f"{drive}:" for drive in drives) + name
    if name.strip("/"):
        assert {path.strip("/"), name.strip("/")} <= {*equivalent_paths(path)}


@pytest.mark.parametrize(
    ("metadata", "enabled"),
    [
        (None, True),
        ([], True),
        ({}, True),
        ({"turbopilot": {}}, True),
        ({"turbopilot": {"enabled": True}}, True),
        ({"turbopilot": {"enabled": False}}, False),
        ({"turbopilot": {"enabled": "true"}}, False),
        ({"turbopilot": {"enabled": None}}, False),
        ({"turbopilot": {"enabled": 1}}, False),
        ({"turbopilot": True}, False),
        ({"turbopilot": None}, False),
    ],
)
def test_is_enabled_accepts_only_booleans(metadata: Any, enabled: bool) -> None:
    assert is_enabled(metadata) is enabled
    assert is_enabled_in(json.dumps({"cells": CELLS, "metadata": metadata})) is enabled


@pytest.mark.parametrize("content", [{"cells": [{"cell_type": "code"}]}, {"worksheets": [], "nbformat": 3}])
def test_is_enabled_in_reads_the_metadata_of_any_format(content: dict[str, Any]) -> None:
    assert not is_enabled_in(json.dumps(content | {"metadata": {"turbopilot": {"enabled": False}}}))
    assert is_enabled_in(json.dumps(content | {"metadata": {"tags": ["turbopilot"]}}))


@given(st.lists(st.sampled_from(["{}", "\\u{:04x}", "\\u{:04X}"]), min_size=10, max_size=10))
def test_is_enabled_in_reads_escaped_keys(forms: list[str]) -> None:
    pairs = zip(forms, "turbopilot", strict=True)
    key = "".join(form.format(letter if form == "{}" else ord(letter)) for form, letter in pairs)
    assert not is_enabled_in(f'{{"metadata": {{"{key}": {{"enabled": false}}}}}}')
    assert may_have_section(f'"{key}"')
    assert not may_have_section(f'"{key}s" "{key[1:]}" "\\{key}"')


def test_is_enabled_in_refuses_damaged_files_with_the_section() -> None:
    text = json.dumps({"metadata": {"turbopilot": {"enabled": False}}})
    assert not is_enabled_in(text[:-1])
    assert is_enabled_in('["turbopilot"]')
    assert is_enabled_in("{")
