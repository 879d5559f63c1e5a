from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.suggestion.calls import (
    MOST,
    Call,
    fits,
    missing_functions,
    missing_names,
    parameters_of,
    renamed,
    signature_for,
    takes,
)
from jupyter_turbopilot.suggestion.resolve import EVERYWHERE

from .modules import NAMES, free_places, modules


def names(source: str, *known: str) -> list[str]:
    return [function.name for function in missing_functions(source, frozenset(known))]


@given(modules(), st.sets(NAMES, max_size=2))
@settings(max_examples=60, deadline=None)
def test_exactly_the_calls_of_what_python_cannot_resolve_are_listed(source: str, known: set[str]) -> None:
    unresolved = {place for place in free_places(source) if place[0] not in EVERYWHERE | known}
    called = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    called += [
        decorator for node in ast.walk(ast.parse(source)) for decorator in getattr(node, "decorator_list", ())
    ]
    expected = {
        (name.id, name.lineno, name.col_offset) for name in called if isinstance(name, ast.Name)
    } & unresolved
    found = missing_functions(source, known)
    assert sorted(function.name for function in found for _ in function.calls) == sorted(
        name for name, *_ in expected
    )
    firsts = [function.calls[0].start for function in found]
    assert firsts == sorted(firsts)
    assert set(missing_names(source, known)) == {name for name, *_ in unresolved}


@given(modules())
@settings(max_examples=40, deadline=None)
def test_signature_for_accepts_every_call(source: str) -> None:
    for function in missing_functions(source, frozenset()):
        written = f"def {function.name}({function.signature}): pass"
        assert takes(written, function.calls)
        made: dict[str, Any] = {}
        exec(compile(written, "", "exec"), made)  # noqa: S102
        signature = inspect.signature(made[function.name])
        for call in function.calls:
            assert source[call.start :].startswith(function.name)
            if not call.starred:
                signature.bind(*range(call.positional), **dict.fromkeys(call.keywords))


@given(modules(), NAMES)
@settings(max_examples=40, deadline=None)
def test_renamed_changes_only_the_free_name(source: str, old: str) -> None:
    class Renaming(ast.NodeTransformer):
        def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
            return node if isinstance(node.value, ast.Name) else self.generic_visit(node)  # type: ignore[return-value]

        def visit_Name(self, node: ast.Name) -> ast.Name:
            place = (node.id, node.lineno, node.col_offset)
            return ast.Name("fresh", node.ctx) if node.id == old and place in free else node

    free = free_places(source)
    expected = ast.dump(Renaming().visit(ast.parse(source)))
    result = renamed(source, {old: "fresh"})
    assert ast.dump(ast.parse(result)) == expected
    assert renamed(result, {"fresh": old}) == source
    assert old not in names(result)  # except before a dot


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("helper(1)", ["helper"]),
        ("print(len([]))", []),
        ("display(get_ipython())", []),  # defined in notebooks
        ("b(a())", ["b", "a"]),
        ("x.helper(1)\nhelper.x(1)", []),
        ("helper", []),
        ("map(helper, [])", []),
        ("f(1)\ndef f(x): return f(x)", []),
        ("def f(): return g()\ndef g(): return h()", ["h"]),
        ("def f():\n    def g(): pass\ng()", ["g"]),
        ("def f(g): return g()\ng()", ["g"]),
        ("def f(x=g()): pass", ["g"]),
        ("[g() for g in h()]", ["h"]),
        ("[g for g in g()]", ["g"]),
        ("lambda g: g(h())", ["h"]),
        ("if (g := 1): g()", []),
        ("[(g := 1) for x in y]\ng()", []),
        ("class A:\n    def g(self): pass\n    def m(self): return g()", ["g"]),
        ("class A:\n    def g(): pass\n    g()", []),
        ("class A:\n    def m(self): return __hidden()", []),  # the name is mangled
        ("class A(base()): pass", ["base"]),
        ("def f():\n    global g\n    def g(): pass\ng()", []),
        ("def f():\n    global g\n    g()", ["g"]),
        ("def f():\n    g = 1\n    def h():\n        nonlocal g\n        g()", []),
        (
            "async def f():\n    await g()\n    async for x in h(): pass\n    async with i(): pass",
            ["g", "h", "i"],
        ),
        ("try:\n    import g\nexcept ImportError:\n    from x import y as g\ng()", []),
        ("if x:\n    def g(): pass\ng()", []),
        ("del g\ng()", []),
        ("from x import *\ng()", []),
        ("match g():\n    case Point(x=h) if i(h): h()", ["g", "i"]),
        ("match q:\n    case {'a': h, **rest}: rest(h())", []),
        ("@memo\n@other(1)\n@a.b\ndef f(): pass", ["memo", "other"]),
        ("try: pass\nexcept E as e: e()", []),
        ("with g() as h: h()", ["g"]),
        ("f'{g(1)!r:>{h(2)}} i(3) {{j(4)}}'", ["g", "h"]),
        ("import a.b\na()", []),
        ("'g()'  # h()", []),
        ("", []),
    ],
)
def test_missing_functions_lists_undefined_calls(source: str, expected: list[str]) -> None:
    assert names(source) == expected


@pytest.mark.skipif("sys.version_info < (3, 12)", reason="type parameters came with Python 3.12")
def test_missing_functions_knows_type_parameters() -> None:
    assert names("def f[T](x): return T(g(x))\nclass A[K]:\n    def m(self): return K()") == ["g"]


def test_missing_functions_excludes_known_names() -> None:
    assert names("a(b(1))", "b") == ["a"]


@pytest.mark.parametrize(
    ("source", "signature"),
    [
        ("f(values, start, key=None)", "values, start, *, key"),
        ("f(self.items, x[0])", "items, value"),
        ("f(a)\nf(a, b)", "a, b=None"),
        ("f(1)\nf(width)", "width"),
        ("@f\ndef g(): pass", "function"),
        ("@f\nclass G: pass", "cls"),
        ("f()", ""),
    ],
)
def test_signature_for_fits_all_calls(source: str, signature: str) -> None:
    assert [function.signature for function in missing_functions(source, frozenset())] == [signature]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("old(1, old)", "new(1, new)"),
        ("x.old(1)  # old(1)\n'old'", "x.old(1)  # old(1)\n'old'"),
        ("def f(old): return old()\nold()", "def f(old): return old()\nnew()"),
        ("def f():\n    global old\n    old()", "def f():\n    global old\n    new()"),
        ("f(old=1)", "f(old=1)"),
        ("def old(): return old()", "def old(): return old()"),
        ("é = f'é {old(é)} old'", "é = f'é {new(é)} old'"),
        ("@old\ndef f(): pass", "@new\ndef f(): pass"),
        ("old(old.loads(x))", "new(old.loads(x))"),
    ],
)
def test_renamed_changes_every_use(source: str, expected: str) -> None:
    assert renamed(source, {"old": "new"}) == expected


def test_missing_functions_raises_for_invalid_source() -> None:
    for call in (missing_functions, missing_names):
        with pytest.raises(SyntaxError):
            call("def", frozenset())
    with pytest.raises(SyntaxError):
        renamed("def", {"old": "new"})


def passed(names: tuple[str, ...], keywords: tuple[str, ...], starred: bool) -> Call:
    return Call(0, len(names), keywords, starred, "", names)


WORDS = st.sampled_from(["a", "b", "key", "match", "f", "args", "kwargs", "value", "value_2"])
CALLS = st.builds(
    passed,
    st.lists(WORDS | st.sampled_from(["", "None", "__debug__", "lambda"]), max_size=4).map(tuple),
    st.lists(WORDS, max_size=3, unique=True).map(tuple),
    st.booleans(),
)


def compiled(signature: str) -> Callable[..., None]:
    made: dict[str, Any] = {}
    exec(compile(f"def f({signature}): pass", "", "exec"), made)  # noqa: S102
    function: Callable[..., None] = made["f"]
    return function


def binds(function: Callable[..., None], positional: int, keywords: tuple[str, ...]) -> bool:
    try:
        function(*range(positional), **dict.fromkeys(keywords))
    except TypeError:
        return False
    return True


@given(st.lists(CALLS, min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_takes_accepts_every_call_of_the_signature(calls: list[Call]) -> None:
    written = signature_for("f", calls)
    function = compiled(written)
    for call in calls:
        assert binds(function, call.positional, call.keywords)
        if call.starred:
            assert binds(function, call.positional + 3, (*call.keywords, "more"))
    keywords = {word for call in calls for word in call.keywords}
    assert set(inspect.signature(function).parameters) & {"f", "match", "None", "lambda"} <= keywords
    read = parameters_of(f"def f({written}): pass")
    assert read
    assert all(fits(read, call.positional, call.keywords, starred=call.starred) for call in calls)


@pytest.mark.parametrize(
    ("calls", "signature"),
    [
        ([passed((), (), False)], ""),
        ([passed(("values", "start"), (), False)], "values, start"),
        ([passed(("", ""), (), False)], "value, value_2"),
        ([passed(("x", "x"), (), False)], "x, x_2"),
        ([passed(("", "b"), (), False), passed(("a",), (), False)], "a, b=None"),
        ([passed((), ("key",), False), passed((), (), False)], "*, key=None"),
        ([passed((), ("key", "key"), False), passed((), (), False)], "*, key=None"),
        ([passed(("a",), ("key",), False)], "a, *, key"),
        ([passed(("a", "size"), (), False), passed(("a",), ("size",), False)], "a, size"),
        ([passed(("a", "size"), (), False), passed(("a", "b"), ("size",), False)], "a, size_2, *, size=None"),
        ([passed(("f", "match", "__debug__"), (), False)], "f_2, match_2, __debug___2"),
        ([passed(("a",), (), True), passed(("b", "c"), ("key",), False)], "a, *args, key=None, **kwargs"),
        ([passed(("args",), ("kwargs",), True)], "args, *args_2, kwargs, **kwargs_2"),
    ],
)
def test_signature_for_names_parameters_after_arguments(calls: list[Call], signature: str) -> None:
    assert signature_for("f", calls) == signature


def test_signature_for_limits_the_number_of_parameters() -> None:
    written = signature_for("f", [passed(("x",) * 5000, ("key",), False), passed(("x",) * MOST, (), False)])
    parameters = parameters_of(f"def f({written}): pass")
    assert parameters
    assert [parameter.arg for parameter in parameters.args][-1] == f"x_{MOST}"
    assert len(parameters.args) == MOST
    assert parameters.vararg
    assert fits(parameters, 5000, ("key",), starred=False)
    assert fits(parameters, MOST, (), starred=False)


DEFAULTS = st.sampled_from(["", "=1"])


@st.composite
def signatures(draw: st.DrawFn) -> str:
    names = iter("abcdefgh")
    written = [next(names) for _ in range(draw(st.integers(0, 4)))]
    required = draw(st.integers(0, len(written)))
    written = [*written[:required], *(f"{name}=1" for name in written[required:])]
    if written and draw(st.booleans()):
        written.insert(draw(st.integers(1, len(written))), "/")
    only = [next(names) + draw(DEFAULTS) for _ in range(draw(st.integers(0, 2)))]
    star = draw(st.sampled_from(["*args", "*"] if only else ["*args", ""]))
    more = draw(st.sampled_from(["**more", ""]))
    return ", ".join(filter(None, [*written, star, *only, more]))


@given(
    signatures(), st.integers(0, 5), st.lists(st.sampled_from("abcdefz"), max_size=4, unique=True).map(tuple)
)
@settings(max_examples=200, deadline=None)
def test_fits_agrees_with_python(written: str, positional: int, keywords: tuple[str, ...]) -> None:
    parameters = parameters_of(f"def f({written}): pass")
    assert parameters
    expected = binds(compiled(written), positional, keywords)
    assert fits(parameters, positional, keywords, starred=False) is expected
    assert fits(parameters, positional, keywords, starred=True) >= expected


@pytest.mark.parametrize(
    "definition",
    [
        "def f(a, b=1): ...",
        "async def f(a, b) -> int: pass",
        "    @cache\n    def f(a, b):\n        return a",
    ],
)
def test_parameters_of_reads_a_definition(definition: str) -> None:
    parameters = parameters_of(definition)
    assert parameters
    assert [one.arg for one in parameters.args] == ["a", "b"]


@pytest.mark.parametrize("text", ["def f(", "class A: pass", "a b", "\0", "(" * 300])
def test_parameters_of_is_none_without_a_definition(text: str) -> None:
    assert parameters_of(text) is None
