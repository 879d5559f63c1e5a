from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings

from jupyter_turbopilot.suggestion.scopes import LONGEST, Scopes

from .modules import free_places, modules


@given(modules())
@settings(max_examples=80, deadline=None)
def test_the_names_are_those_that_the_compiled_module_looks_for_in_vain(source: str) -> None:
    scopes = Scopes(source)
    assert {(name.id, name.lineno, name.col_offset) for name in scopes.free} == free_places(source)


@given(modules())
@settings(max_examples=40, deadline=None)
def test_a_name_stands_where_it_is_said_to(source: str) -> None:
    scopes = Scopes(source)
    assert [scopes.text(name) for name in scopes.free] == [name.id for name in scopes.free]
    places = [scopes.span(name) for name in scopes.free]
    assert places == sorted(set(places))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_python_has_them(end: str) -> None:
    source = f'é = "\x0c\x85\u2028é"; f(é){end}{end}if é:{end}    g(é)'
    scopes = Scopes(source)
    assert [scopes.text(call) for call in ast.walk(scopes.tree) if isinstance(call, ast.Call)] == [
        "f(é)",
        "g(é)",
    ]


@pytest.mark.parametrize(
    "source",
    [
        "def",
        "x = \0",
        "(" * 300,
        "-" * 20_000 + "1",
        "x = 1\n" * LONGEST,
        "def f(a):\n    global a",
        "f(\ufeff)",
    ],
    ids=range(7),
)
def test_source_that_cannot_be_parsed_raises_one_kind_of_error(source: str) -> None:
    with pytest.raises(SyntaxError):
        Scopes(source)


def test_a_mark_is_no_name_of_the_source() -> None:
    source = "mark0 = mark_1 = 1\nf(mark0, \N{FULLWIDTH LATIN SMALL LETTER M}ark0, mark_2)"
    assert [name.id for name in Scopes(source).free] == ["f", "mark_2"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from os import *", True),
        ("try:\n    from os import *\nexcept E: pass", True),
        ("from os import path", False),
        ("import os", False),
    ],
)
def test_a_star_import_may_bind_anything(source: str, expected: bool) -> None:
    assert Scopes(source).open is expected
