import ast
import inspect
import re
import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings

from jupyter_turbopilot.analysis.scopes import Scopes
from jupyter_turbopilot.util.syntax_tree import LONGEST, MOST

from .modules import free_places, modules


@given(modules())
@settings(max_examples=80, deadline=None)
def test_free_names_match_the_compiled_module(source: str) -> None:
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
def test_span_handles_all_line_endings(end: str) -> None:
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
        "a = 1\nimport a\nglobal a",
        "def f():\n    import a\n    a = 1\n    global a",
        "f(\ufeff)",
    ],
    ids=range(11),
)
def test_scopes_raise_only_syntax_errors(source: str) -> None:
    with pytest.raises(SyntaxError):
        Scopes(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f():\n    import a as b\n    global b\nb", []),
        ("import a.b\nglobal a\na", []),
        ("def f():\n    global a\n    a = 1\nglobal a\na", []),
        ("def f(a):\n    def g():\n        from m import a\n        nonlocal a\na", ["a"]),
    ],
)
def test_scopes_accept_every_declaration_that_python_accepts(source: str, expected: list[str]) -> None:
    assert [name.id for name in Scopes(source).free] == expected == [name for name, *_ in free_places(source)]


@pytest.mark.parametrize("part", ["+a", "[0]", ".b()", "(a)", " if a else a", " and a"])
@pytest.mark.parametrize("times", [100, 330, 900])
def test_scopes_accept_or_reject_deep_nesting(part: str, times: int) -> None:
    source = "a" + part * times
    try:
        found = Scopes(source).free
    except SyntaxError:
        assert times > 100
    else:
        assert len(found) == len(re.findall(r"\ba\b", source))


@pytest.mark.parametrize("times", [80, 300])
def test_scopes_work_on_a_deep_stack(times: int) -> None:
    def deeper(left: int) -> None:
        if left:
            deeper(left - 1)
        else:
            Scopes("a" + ".b(1 + x[0])" * times)

    room = sys.getrecursionlimit() - len(inspect.stack())
    for left in range(room // 2, room - 20, 25):
        with suppress(SyntaxError):
            deeper(left)


def test_scopes_accept_long_comments_and_strings() -> None:
    source = f"#{'=' * 20_000}\n{'# words' * 900}\nx = '{'é ' * 900}'{' ' * 20_000}; f(x)"
    [name] = Scopes(source).free
    assert source[slice(*Scopes(source).span(name))] == "f"


def test_scopes_handle_a_byte_order_mark() -> None:
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
def test_open_is_true_after_a_star_import(source: str, expected: bool) -> None:
    assert Scopes(source).open is expected


def test_scopes_truncate_class_names_in_private_names() -> None:
    names = [f"__a{number}" for number in range(10)]
    source = f"class {'A' * 10_000}:\n global {', '.join(names)}\n {' = '.join(names)} = 1\n"
    assert sum(map(len, Scopes(source).bound)) < 20_000
