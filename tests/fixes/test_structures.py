from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise

import pytest

from jupyter_turbopilot.fixes.structures import Structures

SNIPPETS = [
    "x[a:b:c], x[(a, b)], x[-a], x[~a], x[+a], x[not a], x['a'], x[b'a'], x[u'a'], x[1], x[1.0], x[1j], x[True], x[None], x[...]",
    "x = y = a + b - c * d / e // f % g @ h ** i << j >> k | l ^ m & n",
    "a < b <= c > d >= e == f != g is h is not i in j not in k",
    "(a and b and c), (a or b), (a if b else c), (lambda a, /, b=1, *c, d=2, e, **f: g)",
    "f(a, *b, c=d, **e), f(*a), f(**a), f(a), f(), f(b=a), f(a, b)",
    "[a, *b], {a, b}, {a: b, **c}, (a, b), {}, [], (), (a,)",
    "[a for b in c if d if e for f in g], {a for b in c}, {a: b for c in d}, (a for b in c)",
    "f'{a}', f'{a!r}', f'{a:b}', f'{a:{b}}', f'a', f'{a}b', 'a' 'b'",
    "(a := b)",
    "a.b, a.c, a['b'], a.b.c, a.b()",
    "x: int = 1\nx: int\n(x): int = 1\nx += 1\nx -= 1\ndel x, y\ndel x",
    "import a, b.c as d\nfrom a import b as c, d\nfrom . import a\nfrom .. import a\nfrom a import *",
    "assert a, b\nassert a\nraise a from b\nraise a\nraise",
    "if a:\n    b\nelif c:\n    d\nelse:\n    e\nif a:\n    b\nelse:\n    if c:\n        d",
    "for a in b:\n    break\nelse:\n    c\nwhile a:\n    continue\nelse:\n    b\npass\n",
    "try:\n    a\nexcept b as c:\n    d\nexcept e:\n    f\nexcept:\n    g\nelse:\n    h\nfinally:\n    i",
    "try:\n    a\nexcept* b as c:\n    d",
    "with a as b, c:\n    d\nwith a:\n    b",
    "@a\n@b\ndef f(a: int, /, b: int = 1, *c: int, d: int = 2, **e: int) -> int:\n    global x, y\n    return 1\ndef f(): return",
    "def g():\n    x = 1\n    def f():\n        nonlocal x\ndef f():\n    yield a\n    yield\n    yield from b\n    return (yield)",
    "async def f():\n    await a\n    async with b as c: d\n    async for e in g: h\n    [i async for i in j]",
    "@a\nclass A(B, c=D):\n    x = 1\nclass A: pass",
    ("match a:\n    case 1 | 2: b\n    case [c, *d] if e: f\n    case [c, *_]: f\n    case {1: g, **h}: i\n    case {1: g}: i"
    "\n    case A(j, k=l): m\n    case A(): m\n    case None: n\n    case (1 as o): p\n    case _: q"),
]  # fmt: skip
NEWER = [
    "type A[T: int, *Ts, **P] = B\ntype A = B\ndef f[T](): a\ndef f[T: a](): a\nclass A[T]: a",
    "f'{a=}'",
]

DEPRECATED = {"Num", "Str", "Bytes", "NameConstant", "Ellipsis"}


def is_valid(source: str) -> bool:
    try:
        compile(source, "", "exec", ast.PyCF_ONLY_AST)
    except SyntaxError:
        return False
    return True


def variants(source: str) -> Iterator[str]:
    """Yield a source, and the sources without one optional part or item, or with two items exchanged.

    All variables have the same name, so that parts differ in their positions alone.
    """
    tree = ast.parse(source)
    for each in ast.walk(tree):
        if isinstance(each, ast.Name):
            each.id = "a"
    yield source
    for number, node in enumerate(ast.walk(tree)):
        for name, value in ast.iter_fields(node):
            items = value if isinstance(value, list) else []
            shorter = [[*items[:at], *items[at + 1 :]] for at in range(len(items))]
            exchanged = [
                [*items[:at], two, one, *items[at + 2 :]] for at, (one, two) in enumerate(pairwise(items))
            ]
            for changed in [*shorter, *exchanged, None]:
                other = copy.deepcopy(tree)
                setattr([*ast.walk(other)][number], name, changed)
                with suppress(Exception):  # the part is not optional
                    yield ast.unparse(ast.fix_missing_locations(other))


def dumped(node: ast.AST) -> str:
    """Return the dump of a node without positions, `ctx`, `kind` and `type_comment`."""
    node = copy.deepcopy(node)
    for each in ast.walk(node):
        for name in {"ctx", "kind", "type_comment"} & {*each._fields}:
            setattr(each, name, None)
    return ast.dump(node)


@pytest.mark.parametrize("source", [each for each in [*SNIPPETS, *NEWER] if is_valid(each)])
def test_equal_structures_are_equal_code(source: str) -> None:
    structures, found = Structures(), dict[int, str]()
    for variant in {*filter(is_valid, variants(source))}:
        try:
            cell = structures.cell(variant)
        except SyntaxError:  # of `nonlocal`
            continue
        for node in cell.nodes:
            text = dumped(node)
            assert found.setdefault(cell.structure_of[node], text) == text
    assert len({*found.values()}) == len(found)


def test_all_kinds_of_nodes_are_compared() -> None:
    sources = filter(is_valid, [*SNIPPETS, *NEWER])
    tested = {type(node) for source in sources for node in ast.walk(ast.parse(source))}
    bases = (ast.stmt, ast.expr, ast.pattern, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
    kinds = {each for base in bases for each in base.__subclasses__() if each.__module__ == "ast"}
    assert {each.__name__ for each in kinds - tested} <= DEPRECATED
