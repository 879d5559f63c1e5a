from __future__ import annotations

import ast
import inspect
import re
import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings

from jupyter_turbopilot.suggestion.scopes import Scopes
from jupyter_turbopilot.syntax_tree import LONGEST, MOST

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
        "#\n" + " " * LONGEST,
        "a;" * (MOST // 2) + "a",
        "a\n" * MOST,
        "def f(a):\n    global a",
        "f(\ufeff)",
    ],
    ids=range(9),
)
def test_source_that_cannot_be_parsed_raises_one_kind_of_error(source: str) -> None:
    with pytest.raises(SyntaxError):
        Scopes(source)


@pytest.mark.parametrize("part", ["+a", "[0]", ".b()", "(a)", " if a else a", " and a"])
@pytest.mark.parametrize("times", [100, 330, 900])
def test_however_deep_source_is_nested_it_is_read_or_a_syntax_error(part: str, times: int) -> None:
    source = "a" + part * times
    try:
        found = Scopes(source).free
    except SyntaxError:
        assert times > 100
    else:
        assert len(found) == len(re.findall(r"\ba\b", source))


@pytest.mark.parametrize("times", [80, 300])
def test_a_deep_stack_of_callers_is_no_other_error(times: int) -> None:
    def deeper(left: int) -> None:
        if left:
            deeper(left - 1)
        else:
            Scopes("a" + ".b(1 + x[0])" * times)

    room = sys.getrecursionlimit() - len(inspect.stack())
    for left in range(room // 2, room - 20, 25):
        with suppress(SyntaxError):
            deeper(left)


def test_comments_and_text_may_be_long() -> None:
    source = f"#{'=' * 20_000}\n{'# words' * 900}\nx = '{'é ' * 900}'{' ' * 20_000}; f(x)"
    [name] = Scopes(source).free
    assert source[slice(*Scopes(source).span(name))] == "f"


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


def test_scopes_hold_no_long_class_name_for_each_private_name() -> None:
    names = [f"__a{number}" for number in range(10)]
    source = f"class {'A' * 10_000}:\n global {', '.join(names)}\n {' = '.join(names)} = 1\n"
    assert sum(map(len, Scopes(source).bound)) < 20_000
