from __future__ import annotations

import ast
import builtins
import warnings
from typing import Any

import pytest

from jupyter_turbopilot.plugins.functions.compilable import BLOCKS
from jupyter_turbopilot.plugins.functions.parsing import tree_of

REFUSED = [
    "return 1",
    "class A:\n    return 1",
    "def f():\n    class A:\n        return 1",
    "yield 1",
    "lambda: [(yield) for _ in x]",
    "class A:\n    yield 1",
    "await x",
    "def f():\n    await x",
    "async def f():\n    lambda: await x",
    "async def f():\n    class A:\n        await x",
    "def f():\n    async for a in b: pass",
    "def f():\n    async with a: pass",
    "def f():\n    [a async for a in b]",
    "def f():\n    [await a for a in b]",
    "def f():\n    (a for a in await b)",
    "async def f():\n    yield from x",
    "async def f():\n    yield 1\n    return 2",
    "break",
    "if x:\n    continue",
    "for a in b:\n    def f():\n        break",
    "for a in b:\n    class A:\n        continue",
    "for a in b:\n    pass\nelse:\n    break",
    "for a in b:\n    try: x\n    except* E:\n        break",
    "def f():\n    try: x\n    except* E:\n        return",
    "def f():\n    try: x\n    except* E:\n        for a in b:\n            return",
    "try: x\nexcept: pass\nexcept E: pass",
    "*a",
    "*a = b",
    "a = *b",
    "del *a",
    "return *a",
    "a, *b, *c = d",
    "[*a, [*b, *c]] = d",
    "for *a in b: pass",
    "f(a=1, a=2)",
    "class A(a=1, a=2): pass",
    "def f(a, a): pass",
    "def f(a, *, b, **a): pass",
    "lambda a, *a: 0",
    "def f():\n    x = 1\n    global x",
    "def f(x):\n    global x",
    "def f():\n    print(x)\n    global x",
    "nonlocal x",
    "def f():\n    nonlocal x",
    "x = 1\ndef f():\n    nonlocal x",
    "class A:\n    x = 1\n    def f(self):\n        nonlocal x",
    "def f():\n    from a import *",
    "class A:\n    from a import *",
    "[x := 1 for x in y]",
    "[x for y in (z := w)]",
    "class A:\n    [x := y for y in z]",
    "__debug__ = 1",
    "match x:\n    case a: pass\n    case 1: pass",
    "match x:\n    case _: pass\n    case 1: pass",
    "match x:\n    case (a | 1): pass",
    "match x:\n    case (1 | a): pass",
    "match x:\n    case [a, a]: pass",
    "match x:\n    case [*a, *b]: pass",
    "match x:\n    case {1: a, 1: b}: pass",
    "match x:\n    case A(a=1, a=2): pass",
    "match x:\n    case {**a} as a: pass",
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


def _python_refuses(source: str) -> SyntaxError | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "", "exec", dont_inherit=True)
    except SyntaxError as error:
        return error
    return None


@pytest.mark.parametrize("source", REFUSED)
def test_tree_of_refuses_what_the_compiler_refuses(source: str) -> None:
    expected = _python_refuses(source)
    assert expected
    with pytest.raises(SyntaxError) as refused:
        tree_of(source)
    if refused.value.lineno and expected.lineno:
        assert refused.value.lineno == expected.lineno


@pytest.mark.parametrize("source", ACCEPTED)
def test_tree_of_accepts_what_compiles(source: str) -> None:
    assert _python_refuses(source) is None
    assert ast.unparse(tree_of(source))


def test_tree_of_refuses_too_many_nested_blocks() -> None:
    def nested(count: int) -> str:
        return "".join(" " * level + "for a in b:\n" for level in range(count)) + " " * count + "pass"

    assert tree_of(nested(BLOCKS))
    with pytest.raises(SyntaxError):
        tree_of(nested(BLOCKS + 1))


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
