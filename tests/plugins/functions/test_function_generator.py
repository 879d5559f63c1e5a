import ast
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.calls import missing_names
from jupyter_turbopilot.analysis.kernel_context import KernelContext, ObjectInfo
from jupyter_turbopilot.plugins.functions import function_generator
from jupyter_turbopilot.plugins.functions.function_generator import (
    DEPTH,
    FUNCTIONS,
    LONGEST,
    NO_BODY,
    SPENT,
    TOO_MANY,
    TRIES,
    WIDTH,
    ModelQuestion,
    combine,
    imports_for,
)
from jupyter_turbopilot.plugins.functions.request import Event
from jupyter_turbopilot.protocol.reply import Reply
from jupyter_turbopilot.protocol.request import Cell
from jupyter_turbopilot.util.bounds import MOST_CODE

from .play import bodies, play, reply


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
    assert [event.caller for event in events if event.event == "found"] == ["", "total", "price"]
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
        bodies(f="return helper(x) + known(x) + other(x) + g(x)", g="return f(x, 1)"),
        KernelContext(names={"other": ObjectInfo()}),
        cells=[Cell(source="%time a = 1\ndef helper(a"), Cell(source="%%bash\ng=1")],
        names=["known"],
    )
    assert [name for kind, name in kinds(events) if kind == "finished"] == ["f", "g"]
    assert events[-1].undefined == ()


def test_grow_uses_the_nearest_cells_of_a_long_notebook() -> None:
    cells = [Cell(source="first = 1"), Cell(source="x = 1\n" * (MOST_CODE // 6)), Cell(source="last = 1")]
    events = play("def f(a):", bodies(f="return first(a) + last(a)"), cells=cells)
    assert [name for kind, name in kinds(events) if kind == "found"] == ["f", "first"]


def test_grow_generates_the_callees_of_a_complete_stub() -> None:
    nested = "def helper(y):\n        return y"
    events = play("def f(x):\n    return helper(x) * 2", bodies(f=nested, helper="return x"))
    assert kinds(events)[-2:] == [("finished", "helper"), ("done", "f")]
    assert events[-1].source.endswith("return x\n\n\ndef f(x):\n    return helper(x) * 2\n")


def test_grow_lists_calls_beyond_the_depth() -> None:
    events = play("def f(x):", lambda ask: f"return {ask.name}x(1)")
    assert sum(event.event == "finished" for event in events) == DEPTH + 1
    last = f"f{'x' * (DEPTH + 1)}"
    assert events[-1].undefined == (last,)
    assert events[-1].source.startswith(f"# Not defined here: {last}.\n")
    assert [event.message for event in events if event.event == "given_up"] == [TOO_MANY]


def test_grow_generates_a_limited_number_of_functions() -> None:
    names = [f"g{number}" for number in range(1, FUNCTIONS + 2)]
    events = play("def f(x):", bodies(f=f"return [{', '.join(f'{name}(x)' for name in names)}]"))
    assert [name for kind, name in kinds(events) if kind == "finished"] == ["f", *names[: FUNCTIONS - 1]]
    assert events[-1].undefined == tuple(names[FUNCTIONS - 1 :])


@pytest.mark.parametrize("limit", ["tokens", "seconds"])
def test_grow_lists_names_when_the_budget_is_spent(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if limit == "seconds":
        seconds = count(0, 40)
        monkeypatch.setattr(function_generator.time, "monotonic", lambda: next(seconds))
    events = play(
        "def f(x):",
        bodies(f="return [a(x), b(x), c(x), d(x)]"),
        max_tokens=15 if limit == "tokens" else 2048,
    )
    assert SPENT in [event.message for event in events]
    assert events[-1].undefined
    ast.parse(events[-1].source)


@pytest.mark.parametrize("text", ["", "return (", "pass", "\x00", f"return {'a + ' * 20_000}a"])
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


def test_grow_keeps_code_above_the_stub() -> None:
    events = play(
        "import math\n\ndef area(r):\n    return math.pi * r\n\n# Volume.\ndef volume(r):",
        bodies(volume="return area(r) * r"),
    )
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


@pytest.mark.parametrize("place", ["above", "cell"])
def test_grow_generates_no_callees_after_a_star_import(place: str) -> None:
    star = "from math import *"
    source, cells = (f"{star}\n\ndef f(x):", []) if place == "above" else ("def f(x):", [Cell(source=star)])
    events = play(source, bodies(f="return sqrt(x)"), cells=cells)
    assert [event.name for event in events if event.event == "found"] == ["f"]
    assert events[-1].source.endswith("def f(x):\n    return sqrt(x)\n")
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
        bodies(f="return x + lines + math.pi * r"),
    )
    assert events[-1].source.startswith("'''Doc.'''\nimport math\n%matplotlib inline\nlines = !ls\nx = [1]\n")
    assert events[-1].undefined == ()


def test_grow_never_imports_over_an_existing_name() -> None:
    events = play("def f(x):", bodies(f="return Path(x)"), cells=[Cell(source='Path = "/data"')])
    assert events[-1].source == "def f(x):\n    return Path(x)\n"
    assert events[-1].undefined == ()


def test_grow_keeps_a_function_named_like_a_class() -> None:
    events = play("def Foo(x):", bodies(Foo="return helper(x)", helper="return Foo(x, 1, 2)"))
    assert ("finished", "Foo") in kinds(events)
    assert "def Foo(x):" in events[-1].source


# Requests -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "class", " def():", " class(x):", " 1(x):", " while True:", "(x):"])
def test_head_retries_and_then_uses_a_default_name(text: str) -> None:
    heads = iter([text] * 2 + [" fine(x):"])
    done = play("Do it.", lambda ask: "pass\n    return x" if ask.name else next(heads))[-1]
    assert "def fine(x):" in done.source
    done = play("Do it.", lambda ask: "return 1" if ask.name else text)[-1]
    assert "def generated(*args, **kwargs):" in done.source


def test_function_retries_with_another_seed() -> None:
    asked: list[ModelQuestion] = []

    def answer(ask: ModelQuestion) -> str:
        asked.append(ask)
        return "return (" if len(asked) < TRIES else "return 1"

    events = play("def f(x):", answer)
    assert events[-1].source == "def f(x):\n    return 1\n"
    assert [ask.completion.seed for ask in asked] == [0, 1, 2]
    assert asked[0].completion.temperature == 0.0 < asked[1].completion.temperature


def test_function_continues_a_truncated_body() -> None:
    parts = iter([reply("a = 1\n    b = 2", "length"), reply("    return a + b")])
    asked: list[ModelQuestion] = []

    def answer(ask: ModelQuestion) -> Reply:
        asked.append(ask)
        return next(parts)

    assert play("def f():", answer)[-1].source == "def f():\n    a = 1\n    b = 2\n    return a + b\n"
    assert asked[1].completion.prefix == "def f():\n    a = 1\n    b = 2\n"


def test_function_requests_again_after_a_late_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    late = Reply("1", finish_reason="deadline", done=True)
    answers: Iterator[Reply] = iter([late] * 2 * TRIES + [reply("return 1")])
    assert play("def f(x):", lambda _: next(answers))[-1].source == "def f(x):\n    return 1\n"
    seconds = count()
    monkeypatch.setattr(function_generator.time, "monotonic", lambda: next(seconds))
    events = play("def f(x):", lambda _: late)
    assert [event.message for event in events if event.event == "given_up"] == [SPENT]


def test_function_ends_an_attempt_at_a_continuation_without_text() -> None:
    empty = Reply("1", finish_reason="deadline", done=True)
    answers: Iterator[Reply] = iter([reply("y = x", "length"), empty, reply("return x")])
    assert play("def f(x):", lambda _: next(answers))[-1].source == "def f(x):\n    return x\n"
    asked: list[ModelQuestion] = []

    def answer(ask: ModelQuestion) -> Reply:
        asked.append(ask)
        return empty if ask.completion.prefix.endswith("y = x") else reply("y = x", "length")

    assert play("def f(x):", answer)[-1].source == "def f(x):\n    y = x\n"
    assert len(asked) == 2 * TRIES


def test_function_limits_tokens_over_all_attempts() -> None:
    events = play("def f(x):", lambda _: reply("return (\n", "length", 192))
    assert events[-1].tokens <= LONGEST + 192


def test_take_normalizes_carriage_returns() -> None:
    events = play("def f(x):", bodies(f="y = g(x)\r    return y\rdef print(): pass\rimport os"))
    assert "\r" not in events[-1].source
    assert events[-1].source.endswith("def f(x):\n    y = g(x)\n    return y\n")


def define(name: str, *uses: str) -> str:
    return f"def {name}(x):\n    return [{', '.join(uses)}]"


@pytest.mark.parametrize("head", ["@h\ndef g(x):", "def g(x, y=h(1)):"])
def test_combine_puts_functions_that_a_head_calls_above_it(head: str) -> None:
    functions = {"f": define("f", "h(x)", "g(x)"), "h": define("h"), "g": f"{head}\n    return x"}
    exec(combine("", functions, set())[0], {})  # noqa: S102


def test_combine_contains_every_function_once_in_cycles() -> None:
    functions = {
        "a": define("a", "b", "a"),
        "b": define("b", "c", "a"),
        "c": define("c", "b"),
        "d": define("d"),
    }
    source, _ = combine("", functions, set())
    names = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    assert names == ["c", "b", "a", "d"]


def test_combine_lists_undefined_names_in_short_lines() -> None:
    uses = [f"name_{number}" for number in range(40)]
    source, undefined = combine("", {"a": define("a", *uses)}, {"name_3"})
    assert set(undefined) == {*uses} - {"name_3"}
    comment = [line for line in source.split("\n") if line.startswith("#")]
    assert len(comment) > 1
    assert max(map(len, comment)) <= WIDTH + 12
    assert comment[-1].endswith("name_39.")


def test_combine_keeps_functions_that_cannot_be_analysed() -> None:
    deep = "def f(a):\n    return " + "a + " * 20_000 + "a"
    assert deep in combine("", {"f": deep}, set())[0]


@pytest.mark.parametrize(
    ("source", "name", "statement"),
    [
        ("math.sqrt(2)", "math", "import math"),
        ("Counter(x)", "Counter", "from collections import Counter"),
        ("x: List[int]", "List", "from typing import List"),
        ("np.mean(x)", "np", "import numpy as np"),
        ("f: Callable", "Callable", "from collections.abc import Callable"),
        ("datetime.now()", "datetime", "from datetime import datetime"),
        ("f'{math.pi}'", "math", "import math"),
    ],
)
def test_imports_for_covers_well_known_names(source: str, name: str, statement: str) -> None:
    assert imports_for(source, [name]) == {name: statement}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("string + 1", "string"),  # not the module
        ("string + string.x", "string"),
        ("np(x)", "np"),
        ("helper(x)", "helper"),
        ("product(x)", "product"),  # may be a helper
    ],
)
def test_imports_for_skips_ambiguous_names(source: str, name: str) -> None:
    assert imports_for(source, [name]) == {}
