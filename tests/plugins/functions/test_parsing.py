from __future__ import annotations

import ast
import builtins
from typing import Any
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
    tree_of,
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
    part = with_body(STUB, text)
    assert (part.source, part.whole, part.left) == (f"def f(x):\n    {kept}", whole, left)


@pytest.mark.parametrize("text", ["", "(", "# nothing", "'''open"])
def test_with_body_returns_nothing_if_nothing_parses(text: str) -> None:
    assert with_body(STUB, text) == ParsedFunction()


@pytest.mark.parametrize(
    ("text", "count"),
    [("pass", 0), ("raise NotImplementedError('f')", 0), ("'doc'", 0), ("...", 0), ("x = 1\n    pass", 1)],
)
def test_is_empty_ignores_statements_without_effect(text: str, count: int) -> None:
    assert with_body(STUB, text).statements == count


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
    part = complete_part(Stub("f", head))
    assert (part == ParsedFunction(head, 1, whole=True)) is complete
    assert (part is None) is not complete


@given(st.text(alphabet="x =(:'#\n\treturn1[]", max_size=80))
def test_with_body_returns_the_function_for_any_text(text: str) -> None:
    part = with_body(STUB, text)
    if part.source:
        (node,) = ast.parse(part.source).body
        assert isinstance(node, ast.FunctionDef)
        assert node.name == "f"
        assert part.statements == sum(not is_empty(each) for each in node.body)


@pytest.mark.parametrize("source", ["return 1", "x = ", "\0", "(" * 5000, "x" * 50_000, "await x"])
def test_parsed_rejects_what_does_not_compile(source: str) -> None:
    assert parsed(source) is None


def test_only_function_returns_the_last_statement() -> None:
    assert only_function(parsed("x = 1\ndef f(): pass")) is not None
    assert only_function(parsed("def f(): pass\nx = 1")) is None
    assert only_function(None) is None


@pytest.mark.parametrize(
    "end", ["@a\n    " * 250, "if x:\n    " * 80, "for a in x:\n    @b\n\n", "y = (\n" + "    1,\n" * 300]
)
def test_with_body_keeps_lines_before_an_error(end: str) -> None:
    part = with_body(STUB, f"y = 1\n    z = 2\n    {end}")
    assert part.source == "def f(x):\n    y = 1\n    z = 2"


@given(st.text(alphabet="@a:\n (try", max_size=2000))
def test_with_body_parses_few_prefixes_of_a_long_body(text: str) -> None:
    with patch.object(parsing, "tree_of", wraps=tree_of) as parse:
        with_body(STUB, text)
    assert parse.call_count <= parsing.PARSED


def test_with_body_keeps_an_empty_generator() -> None:
    stub = Stub("f", "def f():")
    assert with_body(stub, "return\n    yield\n").source == "def f():\n    return\n    yield"


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
    "break",
    "if x:\n    continue",
    "for a in b:\n    def f():\n        break",
    "for a in b:\n    pass\nelse:\n    break",
    "f(a=1, a=2)",
    "def f(a, a): pass",
    "lambda a, *a: 0",
    "def f():\n    x = 1\n    global x",
    "def f():\n    nonlocal x",
    "def f():\n    from a import *",
]
ACCEPTED = [
    "def f():\n    return 1",
    "lambda: (yield)",
    "def f():\n    [x for x in (yield)]",
    "async def f():\n    yield 1\n    return",
    "async def f():\n    def g():\n        yield\n    return 1",
    "async def f():\n    return [await a for a in b]",
    "def f():\n    return (await a for a in b)",
    "async def f():\n    async with a as b, c: return [d async for d in e]",
    "while a:\n    with b:\n        try: break\n        finally: continue",
    "for a in b:\n    try: break\n    except* E: pass\n    else: continue",
    "try: x\nexcept* E:\n    for a in b:\n        break",
    "def f():\n    try: return 1\n    except* E: pass",
    "try: x\nexcept E: pass\nexcept: pass",
    "a, *b = [*c, *d]",
    "f(*a, *b, **c, **d)",
    "x[*a, b]",
    "def f(*args: *a): pass",
    "class A(*a, b=1): pass",
    "print({*a}, (*a,))",
    "def f():\n    def g():\n        nonlocal x\n        x = 1\n    x = 2",
    "class A:\n    def f(self):\n        nonlocal __class__",
    "def f():\n    global x, y\n    x = y = 1",
    "class A:\n    __x = 1\n    def f(self, __y):\n        def g():\n            nonlocal __y",
    "[[x := y for y in z] for w in v]",
    "match x:\n    case [a, *_] | (a, _): pass\n    case {1: a, **b} if a: pass\n    case A(1, b=2) as c: pass\n    case _: pass",
    "match x:\n    case a if a: pass\n    case 1 | _: pass",
]  # fmt: skip


@pytest.mark.parametrize("source", REFUSED)
def test_tree_of_refuses_what_models_get_wrong(source: str) -> None:
    for refuse in (tree_of, lambda source: compile(source, "", "exec", dont_inherit=True)):
        with pytest.raises(SyntaxError):
            refuse(source)


@pytest.mark.parametrize("source", ACCEPTED)
def test_tree_of_accepts_what_compiles(source: str) -> None:
    assert ast.unparse(tree_of(source))


def test_tree_of_never_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    # The compiler copies the body of each `finally`: time and memory double with each of them.
    lines = [f"{' ' * level}try:" for level in range(19)] + [" " * 19 + "x"]
    for level in reversed(range(19)):
        lines += [f"{' ' * level}finally:", f"{' ' * level} y"]
    compiler = compile

    def parser_alone(source: Any, file: str, mode: str, flags: int = 0, **more: Any) -> Any:
        assert flags & ast.PyCF_ONLY_AST
        return compiler(source, file, mode, flags, **more)

    monkeypatch.setattr(builtins, "compile", parser_alone)
    assert len(tree_of("\n".join(lines)).body) == 1
