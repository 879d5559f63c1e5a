from __future__ import annotations

import ast
import gc
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.syntax_tree import parse

CODE = "def f(a):\n" + "    x = [a, (a, {a: a})]\n" * 400


@pytest.mark.parametrize("source", ["f(", "\0", "a" + "+a" * 100_000, "x = (" * 300, "'\ud800'"])
def test_whatever_cannot_be_parsed_raises_one_kind_of_error(source: str) -> None:
    with pytest.raises(SyntaxError):
        parse(source)


@given(st.text(alphabet="ab1 =([])'\\\n\0", max_size=60))
@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
def test_any_text_has_the_tree_that_python_gives_it_or_is_a_syntax_error(source: str) -> None:
    try:
        expected = ast.dump(ast.parse(source))
    except (SyntaxError, ValueError):
        with pytest.raises(SyntaxError):
            parse(source)
    else:
        assert ast.dump(parse(source)) == expected


def test_nothing_is_said_of_code_that_python_warns_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parse("f('\\w', 1 is 1)")


def test_another_parse_in_the_middle_of_one_does_no_harm() -> None:
    nested: list[ast.Module] = []

    def collected(phase: str, _: object) -> None:
        if phase == "start" and len(nested) < 200:
            nested.append(ast.parse("a = (b, [c])"))

    threshold = gc.get_threshold()
    gc.callbacks.append(collected)
    gc.set_threshold(1)
    try:
        tree = parse(CODE)
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(collected)
    assert nested
    assert ast.dump(tree) == ast.dump(ast.parse(CODE))
