from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.context.magics import as_python, cell_magic, without_cell_magic, without_commands

SOURCES = st.text(alphabet="ab \t\n%!?=.,'#([", max_size=30)


@pytest.mark.parametrize(
    ("source", "name", "body"),
    [
        ("%%bash\nls", "bash", "\nls"),
        ("\n  %%timeit -n 1\nx", "timeit", " -n 1\nx"),
        ("%time x", "", "%time x"),
        ("x\n%%bash", "", "x\n%%bash"),
        ("%%\nx", "", "%%\nx"),
        ("", "", ""),
    ],
)
def test_a_cell_magic_stands_on_the_first_line_that_holds_anything(source: str, name: str, body: str) -> None:
    assert (cell_magic(source), without_cell_magic(source)) == (name, body)


@pytest.mark.parametrize(
    ("source", "rest"),
    [
        ("%matplotlib inline\nx = 1", "\nx = 1"),
        ("  !ls\nx", "\nx"),
        ("a = 5\n% 3", "a = 5\n% 3"),  # a line of an expression
        ("x = !ls", "x = !ls"),
        ("x?", "x?"),
    ],
)
def test_line_magics_and_shell_commands_go(source: str, rest: str) -> None:
    assert without_commands(source) == rest


@pytest.mark.parametrize(
    ("source", "python"),
    [
        ("%time f()", "pass"),
        ("if x:\n    !ls (", "if x:\n    pass"),
        ("files = !ls", "files = _"),
        ("a, b.c = %time 1", "a, b.c = _"),
        ("frame?", "pass"),
        ("frame.head??", "pass"),
        ("x = 'what?'", "x = 'what?'"),
        ("# what?", "# what?"),
        ("x = 7 % 3", "x = 7 % 3"),
    ],
)
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
