from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.bounds import STATEMENT
from jupyter_turbopilot.suggestion.parameters import MOST, Names, Passed, fits, parameters_of, signature_for

WORDS = st.sampled_from(["a", "b", "key", "match", "f", "args", "kwargs", "value", "value_2"])
CALLS = st.builds(
    Passed,
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
def test_the_parameters_take_every_call(calls: list[Passed]) -> None:
    written = signature_for("f", calls)
    function = compiled(written)
    for call in calls:
        assert binds(function, len(call.positional), call.keywords)
        if call.starred:
            assert binds(function, len(call.positional) + 3, (*call.keywords, "more"))
    keywords = {word for call in calls for word in call.keywords}
    assert set(inspect.signature(function).parameters) & {"f", "match", "None", "lambda"} <= keywords
    read = parameters_of(f"def f({written}):")
    assert read
    assert all(fits(read, len(call.positional), call.keywords, starred=call.starred) for call in calls)


@pytest.mark.parametrize(
    ("calls", "signature"),
    [
        ([Passed((), (), False)], ""),
        ([Passed(("values", "start"), (), False)], "values, start"),
        ([Passed(("", ""), (), False)], "value, value_2"),
        ([Passed(("x", "x"), (), False)], "x, x_2"),
        ([Passed(("", "b"), (), False), Passed(("a",), (), False)], "a, b=None"),
        ([Passed((), ("key",), False), Passed((), (), False)], "*, key=None"),
        ([Passed((), ("key", "key"), False), Passed((), (), False)], "*, key=None"),
        ([Passed(("a",), ("key",), False)], "a, *, key"),
        ([Passed(("a", "size"), (), False), Passed(("a",), ("size",), False)], "a, size"),
        ([Passed(("a", "size"), (), False), Passed(("a", "b"), ("size",), False)], "a, size_2, *, size=None"),
        ([Passed(("f", "match", "__debug__"), (), False)], "f_2, match_2, __debug___2"),
        ([Passed(("a",), (), True), Passed(("b", "c"), ("key",), False)], "a, *args, key=None, **kwargs"),
        ([Passed(("args",), ("kwargs",), True)], "args, *args_2, kwargs, **kwargs_2"),
    ],
)
def test_parameters_are_named_after_what_is_passed(calls: list[Passed], signature: str) -> None:
    assert signature_for("f", calls) == signature


def test_a_signature_names_a_limited_number_of_arguments() -> None:
    written = signature_for("f", [Passed(("x",) * 5000, ("key",), False), Passed(("x",) * MOST, (), False)])
    parameters = parameters_of(written)
    assert parameters
    assert [parameter.arg for parameter in parameters.args][-1] == f"x_{MOST}"
    assert len(parameters.args) == MOST
    assert parameters.vararg
    assert fits(parameters, 5000, ("key",), starred=False)
    assert fits(parameters, MOST, (), starred=False)


@given(st.lists(WORDS, max_size=60), st.sets(WORDS | st.sampled_from(["a_2", "a_4", "b_2"])))
def test_each_name_that_is_taken_is_looked_for_once_only(words: list[str], taken: set[str]) -> None:
    class Counted(set[str]):
        asked = 0

        def __contains__(self, name: object) -> bool:
            self.asked += 1
            return super().__contains__(name)

    known = Counted(taken)
    names = Names(known)
    made = [names.new(word) for word in words]
    assert len({*made, *taken}) == len(made) + len(taken)
    assert all(re.fullmatch(rf"{word}(_\d+)?", name) for word, name in zip(words, made, strict=True))
    assert known.asked <= 3 * len(words) + len(taken) + 2 * len({*words})


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
def test_a_call_fits_if_python_can_bind_it(written: str, positional: int, keywords: tuple[str, ...]) -> None:
    parameters = parameters_of(f"({written})")
    assert parameters
    expected = binds(compiled(written), positional, keywords)
    assert fits(parameters, positional, keywords, starred=False) is expected
    assert fits(parameters, positional, keywords, starred=True) >= expected


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("def f(a, b=1): ...", "ab"),
        ("def f(a, b=1):", "ab"),
        ("async def f(a) -> int", "a"),
        ("    @cache\n    def f(a):\n        return a", "a"),
        ("def f(a):  # a comment", "a"),
        ("(a, /, b: int = <object object at 0x7f>) -> int", "ab"),
        ("a, b", "ab"),
        ("", ""),
        ("()", ""),
        ("f(a)", "a"),
    ],
)
def test_parameters_are_read_however_a_function_is_given(text: str, names: str) -> None:
    parameters = parameters_of(text)
    assert parameters
    assert [one.arg for one in (*parameters.posonlyargs, *parameters.args)] == [*names]


@pytest.mark.parametrize("text", ["def f(", "class A: pass", "a b", "\0", "(" * 300, "a, " * STATEMENT])
def test_what_is_no_signature_is_not_read(text: str) -> None:
    assert parameters_of(text) is None
