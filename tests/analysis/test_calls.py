import ast
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.calls import (
    MOST,
    Call,
    missing_functions,
    missing_names,
    signature_for,
)
from jupyter_turbopilot.analysis.resolve import EVERYWHERE

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
    firsts = [min(place[1:] for place in expected if place[0] == function.name) for function in found]
    assert firsts == sorted(firsts)
    assert set(missing_names(source, known)) == {name for name, *_ in unresolved}


@given(modules())
@settings(max_examples=40, deadline=None)
def test_signature_for_accepts_every_call(source: str) -> None:
    for function in missing_functions(source, frozenset()):
        signature = inspect.signature(compiled(function.signature))
        for call in function.calls:
            if not call.starred:
                signature.bind(*call.names, **dict.fromkeys(call.keywords))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("print(len([]))", []),
        ("display(get_ipython())", []),  # defined in notebooks
        ("b(a())", ["b", "a"]),
        ("map(helper, [])", []),
        ("[(g := 1) for x in y]\ng()", []),
        ("class A:\n    def m(self): return __hidden()", []),  # the name is mangled
        (
            "async def f():\n    await g()\n    async for x in h(): pass\n    async with i(): pass",
            ["g", "h", "i"],
        ),
        ("try:\n    import g\nexcept ImportError:\n    from x import y as g\ng()", []),
        ("from x import *\ng()", []),
        ("match q:\n    case {'a': h, **rest}: rest(h())", []),
        ("'g()'  # h()", []),
    ],
)
def test_missing_functions_handles_what_random_modules_lack(source: str, expected: list[str]) -> None:
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
        ("@f\ndef g(): pass", "function"),
        ("@f\nclass G: pass", "cls"),
    ],
)
def test_signature_for_fits_all_calls(source: str, signature: str) -> None:
    assert [function.signature for function in missing_functions(source, frozenset())] == [signature]


def test_missing_functions_raises_for_invalid_source() -> None:
    for call in (missing_functions, missing_names):
        with pytest.raises(SyntaxError):
            call("def", frozenset())


def passed(names: tuple[str, ...], keywords: tuple[str, ...], starred: bool) -> Call:
    return Call(keywords, starred, "", names)


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


@given(st.lists(CALLS, min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_signature_for_accepts_every_call_of_a_name(calls: list[Call]) -> None:
    signature = inspect.signature(compiled(signature_for("f", calls)))
    for call in calls:
        signature.bind(*call.names, **dict.fromkeys(call.keywords))
        if call.starred:
            signature.bind(*call.names, *range(3), **dict.fromkeys((*call.keywords, "more")))
    keywords = {word for call in calls for word in call.keywords}
    assert set(signature.parameters) & {"f", "match", "None", "lambda"} <= keywords


@pytest.mark.parametrize(
    ("calls", "signature"),
    [
        ([passed((), (), False)], ""),
        ([passed(("", ""), (), False)], "value, value_2"),
        ([passed(("x", "x"), (), False)], "x, x_2"),
        ([passed(("", "b"), (), False), passed(("a",), (), False)], "a, b=None"),
        ([passed((), ("key",), False), passed((), (), False)], "*, key=None"),
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
    signature = inspect.signature(compiled(written))
    positional = [
        name for name, each in signature.parameters.items() if each.kind is each.POSITIONAL_OR_KEYWORD
    ]
    assert (len(positional), positional[-1]) == (MOST, f"x_{MOST}")
    signature.bind(*range(5000), key=1)
    signature.bind(*range(MOST))
