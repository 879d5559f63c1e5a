"""Every known magic and its language: `test_shared_cases.py`."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.context.languages import (
    as_python,
    cell_language,
    cell_magic,
    comment_mark,
    without_cell_magic,
    without_commands,
)

from ..twins import golden


@pytest.mark.parametrize(("source", "notebook", "language"), golden("languages", "cell_language"))
def test_a_cell_has_the_notebooks_language_unless_its_magic_names_another(
    source: str, notebook: str, language: str
) -> None:
    assert cell_language(source, notebook) == language


@given(st.text(max_size=60).filter(lambda source: "%%" not in source))
def test_without_a_magic_it_is_always_the_notebooks(source: str) -> None:
    assert cell_language(source, "julia") == "julia"


@pytest.mark.parametrize(("language", "mark"), golden("languages", "comment_mark"))
def test_comments_begin_as_their_language_has_them(language: str, mark: str) -> None:
    assert comment_mark(language) == mark


SOURCES = st.text(alphabet="ab \t\n%!?=.,'#([", max_size=30)


@pytest.mark.parametrize(("source", "name"), golden("magics", "cell_magic"))
def test_a_cell_magic_stands_on_the_first_line_that_holds_anything(source: str, name: str) -> None:
    assert cell_magic(source) == name


@pytest.mark.parametrize(("source", "body"), golden("magics", "without_cell_magic"))
def test_behind_a_cell_magic_stand_its_arguments_and_the_cells_body(source: str, body: str) -> None:
    assert without_cell_magic(source) == body


@pytest.mark.parametrize(("source", "rest"), golden("magics", "without_commands"))
def test_line_magics_and_shell_commands_go(source: str, rest: str) -> None:
    assert without_commands(source) == rest


@pytest.mark.parametrize(("source", "python"), golden("magics", "as_python"))
def test_ipythons_syntax_becomes_something_that_parses(source: str, python: str) -> None:
    assert as_python(source) == python
    ast.parse(python)


@given(SOURCES)
def test_no_line_is_lost_and_none_changes_twice(source: str) -> None:
    for change in (without_commands, as_python):
        changed = change(source)
        assert changed.count("\n") == source.count("\n")
        assert change(changed) == changed


@given(SOURCES)
def test_a_cell_without_a_magic_stays_as_it_is(source: str) -> None:
    body = without_cell_magic(source)
    assert source.endswith(body)
    assert (body == source) is (cell_magic(source) == "")
