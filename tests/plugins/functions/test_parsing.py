from __future__ import annotations

import ast
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.plugins.functions import parsing
from jupyter_turbopilot.plugins.functions.parsing import (
    ParsedFunction,
    complete_part,
    is_empty,
    only_function,
    parsed,
    with_body,
)
from jupyter_turbopilot.plugins.functions.stub import Stub
from jupyter_turbopilot.suggestion.scopes import Scopes

STUB = Stub("f", "def f(x):")


@pytest.mark.parametrize(
    ("text", "kept", "whole", "left"),
    [
        ("return x", "return x", True, False),
        ("return x\n\n", "return x", True, False),
        ("y = x\n    return (", "y = x", False, False),
        ("return x\nprint(f(1))", "return x", True, True),
        ("return x\nprint(f(", "return x", True, True),
        ("return x\n\ndef g():\n    pass", "return x", True, True),
        ("if x:\n        return 1\n    else:", "if x:\n        return 1", False, False),
        ("return g(x)\n\n    def g(y):\n        return y", "return g(x)", True, True),
        ("if x:\n        raise x\n    y = 1", "if x:\n        raise x\n    y = 1", True, False),
        ("raise x\n    y = 1\n    return (", "raise x", True, True),
        ("y = '''\nz\n'''\n    return y", "y = '''\nz\n'''\n    return y", True, False),
    ],
)
def test_with_body_keeps_the_longest_prefix_that_parses(
    text: str, kept: str, whole: bool, left: bool
) -> None:
    part = with_body(STUB.beginning, text)
    assert (part.source, part.whole, part.left) == (f"def f(x):\n    {kept}", whole, left)


@pytest.mark.parametrize("text", ["", "(", "# nothing", "'''open"])
def test_with_body_returns_nothing_if_nothing_parses(text: str) -> None:
    assert with_body(STUB.beginning, text) == ParsedFunction()


@pytest.mark.parametrize(
    ("text", "count"),
    [("pass", 0), ("raise NotImplementedError('f')", 0), ("'doc'", 0), ("...", 0), ("x = 1\n    pass", 1)],
)
def test_is_empty_ignores_statements_without_effect(text: str, count: int) -> None:
    assert with_body(STUB.beginning, text).statements == count


@pytest.mark.parametrize(
    ("head", "complete"),
    [
        ("def f(x):\n    return g(x)", True),
        ("def f(x):\n    return", True),
        ("def f(x):\n    if x:\n        return 1", False),
        ("def f(x):\n    y = x", False),
        ("def f(x):", False),
    ],
)
def test_complete_part_is_none_for_an_unfinished_stub(head: str, complete: bool) -> None:
    part = complete_part(head)
    assert (part == ParsedFunction(head, 1, whole=True)) is complete
    assert (part is None) is not complete


@given(st.text(alphabet="x =(:'#\n\treturn1[]", max_size=80))
def test_with_body_returns_the_function_for_any_text(text: str) -> None:
    part = with_body(STUB.beginning, text)
    if part.source:
        (node,) = ast.parse(part.source).body
        assert isinstance(node, ast.FunctionDef)
        assert node.name == "f"
        assert part.statements == sum(not is_empty(each) for each in node.body)


NESTED = "".join(f"{' ' * depth}try: a\n{' ' * depth}finally:\n" for depth in range(20))


@pytest.mark.parametrize(
    "source", ["x = ", "\0", "(" * 5000, "x" * 70_000, "return 1", f"{NESTED}{' ' * 20}a"]
)
def test_parsed_rejects_invalid_and_long_source(source: str) -> None:
    assert parsed(source) is None


@pytest.mark.parametrize(
    "wrong", ["x = await g()", "break", "async with x: y = 1", "h(a=1, a=2)", "if x:\n        continue"]
)
def test_with_body_drops_what_does_not_compile(wrong: str) -> None:
    part = with_body(STUB.beginning, f"y = 1\n    {wrong}\n    return y")
    assert (part.source, part.whole) == ("def f(x):\n    y = 1", False)


def test_with_body_keeps_an_empty_generator() -> None:
    assert with_body("def f():\n    ", "return\n    yield\n").source == "def f():\n    return\n    yield"


def test_only_function_returns_the_last_statement() -> None:
    assert only_function(parsed("x = 1\ndef f(): pass")) is not None
    assert only_function(parsed("def f(): pass\nx = 1")) is None
    assert only_function(None) is None


@pytest.mark.parametrize(
    "end", ["@a\n    " * 250, "if x:\n    " * 80, "for a in x:\n    @b\n\n", "y = (\n" + "    1,\n" * 300]
)
def test_with_body_keeps_lines_before_an_error(end: str) -> None:
    part = with_body(STUB.beginning, f"y = 1\n    z = 2\n    {end}")
    assert part.source == "def f(x):\n    y = 1\n    z = 2"


@given(st.text(alphabet="@a:\n (try", max_size=2000))
def test_with_body_parses_few_prefixes_of_a_long_body(text: str) -> None:
    with patch.object(parsing, "Scopes", wraps=Scopes) as parse:
        with_body(STUB.beginning, text)
    assert parse.call_count <= parsing.PARSED
