import ast
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.scopes import Scopes
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


@pytest.mark.parametrize("source", ["x = ", "\0", "(" * 5000, "x" * 70_000])
def test_parsed_rejects_invalid_and_long_source(source: str) -> None:
    assert parsed(source) is None


REFUSED = [
    "return 1",
    "class A:\n    return 1",
    "def f():\n    class A:\n        return 1",
    "yield 1",
    "await x",
    "def f():\n    await x",
    "async def f():\n    lambda: await x",
    "def f():\n    async for a in b: pass",
    "def f():\n    async with a: pass",
    "def f():\n    [await a for a in b]",
    "def f():\n    [a async for a in b]",
    "break",
    "if x:\n    continue",
    "for a in b:\n    def f():\n        break",
    "for a in b:\n    pass\nelse:\n    break",
    "f(a=1, a=2)",
    "def f(a, a): pass",
    "lambda a, *a: 0",
]
ACCEPTED = [
    "lambda: (yield)",
    "def f():\n    [x for x in (yield)]",
    "async def f():\n    yield 1\n    return",
    "async def f():\n    def g():\n        yield\n    return 1",
    "async def f():\n    return [await a for a in b]",
    "def f():\n    return (await a for a in b)",
    "def f():\n    return (a async for a in b)",
    "async def f():\n    async with a as b, c: return [d async for d in e]",
    "while a:\n    with b:\n        try: break\n        finally: continue",
    "for a in b:\n    try: break\n    except* E: pass\n    else: continue",
    "try: x\nexcept* E:\n    for a in b:\n        break",
    "f(*a, *b, **c, **d)",
    "for a in b:\n    if a:\n        match a:\n            case 1: break",
]


@pytest.mark.parametrize("source", [*REFUSED, *ACCEPTED])
def test_parsed_accepts_only_what_compiles(source: str) -> None:
    try:
        compile(source, "", "exec", dont_inherit=True)
    except SyntaxError:
        assert parsed(source) is None
    else:
        assert parsed(source)


RETURNS = "".join(f"{{indent}}if a == {number}: return\n" for number in range(35))
NESTED = "def f(a):\n" + "".join(
    f"{' ' * depth}try:\n{RETURNS.format(indent=' ' * (depth + 1))}{' ' * depth}finally:\n"
    for depth in (1, 2, 3)
)


def test_parsed_does_not_run_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """It copies the body of each `finally` to every `return`: seconds and gigabytes for this source."""
    compiled = compile

    def only_parse(source: str, file: str, mode: str, flags: int = 0, **options: bool) -> Any:
        assert flags & ast.PyCF_ONLY_AST
        return compiled(source, file, mode, flags, **options)

    monkeypatch.setattr("builtins.compile", only_parse)
    assert parsed(f"{NESTED}    a")


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
