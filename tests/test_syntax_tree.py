from __future__ import annotations

import ast
import subprocess
import sys
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.syntax_tree import parse

INTERRUPTED = """
import ast, gc
from jupyter_turbopilot.syntax_tree import parse

code = "def f(a):\\n" + "    x = [a, (a, {a: a})]\\n" * 400
expected = ast.dump(ast.parse(code))
others = 0

def collected(phase, _):
    global others
    if phase == "start" and others < 200:
        others += 1
        ast.parse("a = (b, [c])")

gc.callbacks.append(collected)
gc.set_threshold(1)
tree = parse(code)
gc.set_threshold(700)
print(others > 0, ast.dump(tree) == expected)
"""


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
    # In a process of its own: beside many other objects Python collects at other moments.
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], check=True, capture_output=True, text=True)
    assert done.stdout == "True True\n"
