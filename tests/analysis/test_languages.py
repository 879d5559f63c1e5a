"""Languages and magics; every known magic is tested in `test_shared_cases.py`."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.languages import (
    as_python,
    cell_language,
    cell_magic,
    comment_mark,
    without_cell_magic,
    without_commands,
)
from jupyter_turbopilot.util.bounds import Operations, counted_operations

from ..shared_cases import golden


@pytest.mark.parametrize(("source", "notebook", "language"), golden("languages", "cell_language"))
def test_cell_language_is_the_notebooks_unless_a_magic_changes_it(
    source: str, notebook: str, language: str
) -> None:
    assert cell_language(source, notebook) == language


@given(st.text(max_size=60).filter(lambda source: "%%" not in source))
def test_cell_language_without_a_magic_is_the_notebooks(source: str) -> None:
    assert cell_language(source, "julia") == "julia"


@pytest.mark.parametrize(("language", "mark"), golden("languages", "comment_mark"))
def test_comment_mark_matches_the_language(language: str, mark: str) -> None:
    assert comment_mark(language) == mark


SOURCES = st.text(alphabet="ab \t\n%!?=.,'#([", max_size=30)


@pytest.mark.parametrize(("source", "name"), golden("magics", "cell_magic"))
def test_cell_magic_is_found_on_the_first_nonblank_line(source: str, name: str) -> None:
    assert cell_magic(source) == name


@pytest.mark.parametrize(("source", "body"), golden("magics", "without_cell_magic"))
def test_without_cell_magic_keeps_arguments_and_body(source: str, body: str) -> None:
    assert without_cell_magic(source) == body


@pytest.mark.parametrize(("source", "rest"), golden("magics", "without_commands"))
def test_without_commands_removes_magics_and_shell_commands(source: str, rest: str) -> None:
    assert without_commands(source) == rest


@pytest.mark.parametrize(("source", "python"), golden("magics", "as_python"))
def test_as_python_replaces_ipython_syntax(source: str, python: str) -> None:
    assert as_python(source) == python
    ast.parse(python)


@given(SOURCES)
def test_as_python_keeps_all_lines_and_is_idempotent(source: str) -> None:
    for change in (without_commands, as_python):
        changed = change(source)
        assert changed.count("\n") == source.count("\n")
        assert change(changed) == changed


@given(SOURCES)
def test_without_cell_magic_keeps_cells_without_a_magic(source: str) -> None:
    body = without_cell_magic(source)
    assert source.endswith(body)
    assert (body == source) is (cell_magic(source) == "")


def test_as_python_counts_operations() -> None:
    operations = Operations()
    with counted_operations(operations):
        as_python("!\n" * 100_000)
    assert operations.count >= 20_000
