from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.context.kernel_context import KernelContext, ObjectInfo
from jupyter_turbopilot.plugins.functions.function_generator import (
    NO_BODY,
    NO_CLASS,
    TOO_MANY,
    generate_functions,
)
from jupyter_turbopilot.plugins.functions.model_requests import (
    CHARACTERS,
    SPENT,
    TOO_LONG,
    ModelQuestion,
    ModelResponse,
)
from jupyter_turbopilot.plugins.functions.request import Event, FunctionRequest
from jupyter_turbopilot.protocol.request import Cell
from jupyter_turbopilot.suggestion.calls import missing_names

from .play import bodies, play


def kinds(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.event, event.name) for event in events if event.event != "writing"]


def test_grow_generates_callees_and_puts_them_first() -> None:
    events = play(
        "def total(rows):\n    '''Add up.'''",
        bodies(total="return sum(price(row) for row in rows)", price="return digits(row, 2)"),
    )
    assert kinds(events) == [
        ("found", "total"),
        ("finished", "total"),
        ("found", "price"),
        ("finished", "price"),
        ("found", "digits"),
        ("finished", "digits"),
        ("done", "total"),
    ]
    defined = [node.name for node in ast.parse(events[-1].source).body if isinstance(node, ast.FunctionDef)]
    assert defined == ["digits", "price", "total"]
    assert [event.depth for event in events if event.event == "found"] == [0, 1, 2]
    assert events[-1].undefined == ()
    assert events[-1].tokens == 30


def test_grow_requests_a_callee_below_its_caller_with_a_call_as_comment() -> None:
    asked: list[ModelQuestion] = []

    def answer(ask: ModelQuestion) -> str:
        asked.append(ask)
        return "return price(rows[0], tax=1)" if ask.name == "total" else "return 1"

    play("def total(rows):", answer, cells=[Cell(source="x = 1")])
    completion = asked[1].completion
    assert [cell.source for cell in completion.cells] == [
        "x = 1",
        "def total(rows):\n    return price(rows[0], tax=1)",
        "# Called as price(rows[0], tax=1)\ndef price(value, *, tax):\n    ",
    ]
    assert (completion.trigger, completion.lines, completion.offset) == (
        "invoke",
        "multi",
        len(completion.prefix),
    )
    assert (completion.max_lines or 0) > 8


def test_grow_renames_a_generated_head_with_an_existing_name() -> None:
    events = play("Load.", lambda ask: "return x" if ask.name else " load(x):", names=["load", "load_2"])
    assert events[-1].name == "load_3"
    assert "def load_3(x):\n    return x" in events[-1].source


@pytest.mark.parametrize("name", ["print", "load", "e"])
def test_grow_renames_an_instruction_with_an_existing_name(name: str) -> None:
    events = play(f"{name}(x) does it.", bodies(), names=["load", "e"])
    assert f"def {name}_2(x):\n    return None" in events[-1].source


def test_grow_reuses_existing_functions() -> None:
    events = play(
        "def f(x):",
        bodies(f="return helper(x) + known(x)"),
        cells=[Cell(source="def helper(a):\n    return a")],
        names=["known"],
    )
    assert kinds(events) == [
        ("found", "f"),
        ("finished", "f"),
        ("reused", "helper"),
        ("reused", "known"),
        ("done", "f"),
    ]
    assert events[-1].source == "def f(x):\n    return helper(x) + known(x)\n"
    assert events[-1].undefined == ()


@pytest.mark.parametrize(
    ("cell", "kernel_context"),
    [
        ("def helper(a, b):\n    return a", {}),
        ("helper = [1, 2]", {}),
        ("", {"helper": ObjectInfo(type="int", module="builtins")}),
    ],
)
def test_grow_renames_calls_that_an_existing_function_does_not_accept(
    cell: str, kernel_context: dict[str, ObjectInfo]
) -> None:
    growth = generate_functions(
        FunctionRequest(source="def f(x):", cells=[Cell(source=cell)]),
        KernelContext(names=kernel_context),
        clock=lambda: 0.0,
    )
    answers = bodies(f="return helper(x, 2, 3) + sum(map(helper, x))\n", helper_2="return 1")
    events: list[Event] = []
    step = next(growth, None)
    while step:
        if isinstance(step, Event):
            events.append(step)
            step = next(growth, None)
        else:
            text = answers(step)
            assert isinstance(text, str)
            step = growth.send(ModelResponse(text))
    assert ("renamed", "helper_2") in kinds(events)
    source = events[-1].source
    assert "return helper_2(x, 2, 3) + sum(map(helper_2, x))" in source
    assert source.count("def helper") == source.count("def helper_2") == 1


@pytest.mark.parametrize("source", ["def f(a):", "def f(a):\n    return Weird(a)"])
def test_grow_lists_existing_classes_that_do_not_accept_a_call(source: str) -> None:
    events = play(source, bodies(f="return Weird(a)"), cells=[Cell(source="Weird = 5")])
    assert [event.message for event in events if event.name == "Weird"] == [NO_CLASS]
    assert (
        events[-1].source
        == "# These exist, and do not take the calls here: Weird.\n\n\ndef f(a):\n    return Weird(a)\n"
    )


def test_grow_generates_a_helper_for_each_incompatible_caller() -> None:
    events = play(
        "def f(x):",
        bodies(f="return g(x) + h(x)", g="return part(x)", h="return part(x, 1, 2) + part(x, 1, 2)"),
    )
    renamed = next(event for event in events if event.event == "renamed")
    assert (renamed.name, renamed.former, renamed.caller) == ("part_2", "part", "h")
    assert "return part_2(x, 1, 2) + part_2(x, 1, 2)" in events[-1].source
    assert {"part", "part_2"} <= {event.name for event in events if event.event == "finished"}


def test_grow_generates_the_callees_of_a_complete_stub() -> None:
    nested = "def helper(y):\n        return y"
    events = play("def f(x):\n    return helper(x) * 2", bodies(f=nested, helper="return x"))
    assert kinds(events)[-2:] == [("finished", "helper"), ("done", "f")]
    assert events[-1].source.endswith("return x\n\n\ndef f(x):\n    return helper(x) * 2\n")


@pytest.mark.parametrize(("depth", "written"), [(0, 1), (3, 4)])
def test_grow_lists_calls_beyond_the_depth(depth: int, written: int) -> None:
    def answer(ask: ModelQuestion) -> str:
        return f"return {ask.name}x(1)"

    events = play("def f(x):", answer, depth=depth)
    assert sum(event.event == "finished" for event in events) == written
    last = f"f{'x' * written}"
    assert events[-1].undefined == (last,)
    assert events[-1].source.startswith(f"# Not defined here: {last}.\n")
    assert [event.message for event in events if event.event == "given_up"] == [TOO_MANY]


def test_grow_generates_no_more_functions_than_requested() -> None:
    events = play("def f(x):", bodies(f="return [a(x), b(x), c(x), d(x)]"), functions=3)
    assert [name for kind, name in kinds(events) if kind == "finished"] == ["f", "a", "b"]
    assert events[-1].undefined == ("c", "d")


@pytest.mark.parametrize("limit", [{"max_tokens": 15}, {"seconds": 12.0}])
def test_grow_lists_names_when_the_budget_is_spent(limit: dict[str, float]) -> None:
    seconds: Iterator[int] = count(0, 4)
    events = play(
        "def f(x):",
        bodies(f="return [a(x), b(x), c(x), d(x)]"),
        clock=lambda: float(next(seconds)),
        **limit,
    )
    assert SPENT in [event.message for event in events]
    assert events[-1].undefined
    ast.parse(events[-1].source)


@pytest.mark.parametrize("text", ["", "return (", "pass", "\x00", f"return {'a + ' * 2000}a"])
def test_grow_replaces_a_missing_body(text: str) -> None:
    events = play("def f(x):\n    '''Do it.'''", lambda _: text)
    assert [event.message for event in events if event.event == "given_up"] == [NO_BODY]
    assert "raise NotImplementedError" in events[-1].source
    assert "# The model generated no body." in events[-1].source
    ast.parse(events[-1].source)


def test_grow_imports_the_standard_library_and_lists_classes() -> None:
    events = play(
        "from __future__ import annotations\n\ndef f(x):",
        bodies(f="y = math.pi + Counter(x).total()\n    return Node(y, defaultdict(int))"),
    )
    source = events[-1].source
    ast.parse(source)
    assert "import math" in source
    assert "from collections import Counter" in source
    assert events[-1].undefined == ("Node",)
    compile(source, "", "exec")


def test_grow_imports_module_aliases_unless_they_exist() -> None:
    body = "return plt.plot(np.mean(x))"
    source = play("def f(x):", bodies(f=body), names=["np"])[-1].source
    assert source == f"import matplotlib.pyplot as plt\n\n\ndef f(x):\n    {body}\n"


def test_grow_generates_coroutines_for_awaited_callees() -> None:
    events = play("async def f(x):", bodies(f="return await get(x)"))
    assert "async def get(x):" in events[-1].source


def test_grow_keeps_code_above_the_stub() -> None:
    events = play(
        "import math\n\ndef area(r):\n    return math.pi * r\n\n# Volume.\ndef volume(r):",
        bodies(volume="return area(r) * r"),
    )
    assert ("reused", "area") in kinds(events)
    assert events[-1].source == (
        "import math\n\ndef area(r):\n    return math.pi * r\n\n\n# Volume.\ndef volume(r):\n    return area(r) * r\n"
    )


LINES = st.sampled_from(
    [
        "return helper(x)", "    return other(x, k=1)", "    x = [helper(1)", "    ]", "'''", "    if x:",
        "        pass", "print(f(1))", "def g():", "    yield from parts(x)", "    class A:", "    import os",
        "    helper = 1", "    return helper(x, x, *x)", "\tx", "    match(x)", "    lambda: nope", "# c", "",
        "    nonlocal q", "    global z", "    return await y(x)", "    del helper", "    \x0c",
    ]
)  # fmt: skip


@given(st.lists(st.lists(LINES, max_size=6).map("\n".join), min_size=1, max_size=8))
def test_grow_returns_parsable_source_for_any_answer(
    texts: list[str],
) -> None:
    text = iter(texts * 60)
    done = play("def f(x):\n    'Do it.'", lambda _: next(text), names=["known"])[-1]
    ast.parse(done.source)
    compile(done.source, "", "exec")
    assert set(missing_names(done.source, {"known"})) == set(done.undefined)
    if done.undefined:
        assert done.source.startswith("# Not defined here:")
    names = [node.name for node in ast.parse(done.source).body if isinstance(node, ast.FunctionDef)]
    assert len(names) == len(set(names))


DEEP = {
    "sum": "return " + "a + " * 400 + "a",
    "chain": "return a" + ".b()" * 300,
    "list": "return " + "[" * 90 + "]" * 90,
    "not": "return " + "not " * 300 + "a",
    "elif": "if a: pass\n" + "    elif a: pass\n" * 300,
}


@pytest.mark.parametrize("kind", DEEP)
def test_grow_handles_deeply_nested_code(kind: str) -> None:
    events = play("def f(a):", bodies(f=f"b = g(a)\n    {DEEP[kind]}"))
    assert events[-1].event == "done"
    assert "b = g(a)" in events[-1].source
    assert "def g(a):" in events[-1].source
    ast.parse(events[-1].source)


def test_grow_limits_the_characters_of_all_functions() -> None:
    line = "x = [a, (a, a)]\n    "

    def answer(ask: ModelQuestion) -> ModelResponse:
        return ModelResponse(f"{line * 400}return {ask.name}a(a) + nowhere", tokens=10)

    events = play("def f(a):", answer, depth=8, functions=64)
    written = [event for event in events if event.event == "finished"]
    assert len(written) > 5
    assert "nowhere" in events[-1].undefined
    assert len(events[-1].source) < CHARACTERS + 20_000
    many = play("def f(a):", lambda ask: answer(ask) if ask.name != "f" else CALLS, functions=64)
    assert TOO_LONG in [event.message for event in many]
    assert events[-1].event == many[-1].event == "done"


CALLS = "return " + " + ".join(f"g{number}(a)" for number in range(20))


@pytest.mark.parametrize("place", ["above", "cell"])
def test_grow_generates_no_callees_after_a_star_import(place: str) -> None:
    star = "from math import *"
    source, cells = (f"{star}\n\ndef f(x):", []) if place == "above" else ("def f(x):", [Cell(source=star)])
    events = play(source, bodies(f="return sqrt(x)"), cells=cells)
    assert [event.name for event in events if event.event == "found"] == ["f"]
    assert events[-1].source.startswith("# May come from a star import: sqrt.\n")
    assert events[-1].undefined == ()


def test_grow_generates_names_missing_in_the_session() -> None:
    cells = [
        Cell(source="def g(a): return a", executed=True),
        Cell(source="del g", executed=True),
        Cell(source="def h(a", executed=True),
        Cell(source="1 / 0; k = len", executed=True),
    ]
    events = play("def f(x):", bodies(f="return g(x) + h(x) + k(x)"), cells=cells, names=["x"])
    assert [event.name for event in events if event.event == "found"] == ["f", "g", "h", "k"]


def test_grow_accepts_magics_above_the_stub() -> None:
    events = play(
        "'''Doc.'''\n%matplotlib inline\nlines = !ls\nx = [1]\n\ndef f(r):",
        bodies(f="return x + lines + math.pi * x(r)"),
    )
    assert ("renamed", "x_2") in kinds(events)
    assert events[-1].source.startswith(
        "'''Doc.'''\nimport math\n\n%matplotlib inline\nlines = !ls\nx = [1]\n"
    )
    assert events[-1].undefined == ()


def test_grow_never_imports_over_an_existing_name() -> None:
    events = play("def f(x):", bodies(f="return Path(x)"), cells=[Cell(source='Path = "/data"')])
    source = events[-1].source
    assert "import" not in source
    assert source.startswith("# These exist, and do not take the calls here: Path.\n")
    assert events[-1].undefined == ()


def test_grow_keeps_a_function_named_like_a_class() -> None:
    events = play("def Foo(x):", bodies(Foo="return helper(x)", helper="return Foo(x, 1, 2)"))
    assert ("finished", "Foo") in kinds(events)
    assert "def Foo(x):" in events[-1].source
