from __future__ import annotations

import pytest

from jupyter_turbopilot.context.kernel_context import NONE, KernelContext, ObjectInfo
from jupyter_turbopilot.plugins.functions.existing import ABOVE, ExistingNames, existing_names_for
from jupyter_turbopilot.plugins.functions.request import FunctionRequest
from jupyter_turbopilot.protocol.request import Cell
from jupyter_turbopilot.suggestion.calls import Call, missing_functions


def calls(source: str) -> tuple[Call, ...]:
    return missing_functions(source, set())[0].calls


def existing(*sources: str, **more: object) -> ExistingNames:
    cells = [Cell(source=source) for source in sources]
    return existing_names_for(FunctionRequest(source="x", cells=cells, **more), NONE)  # type: ignore[arg-type]


def test_existing_names_come_from_cells_kernel_request_and_code_above() -> None:
    request = FunctionRequest(source="x", cells=[Cell(source="%time a = 1\n!ls\nb = a")], names=["c"])
    names = existing_names_for(request, KernelContext(names={"d": ObjectInfo()}), "import e.f").names
    assert {"b", "c", "d", "e"} <= names


def test_existing_names_exclude_local_names_of_functions() -> None:
    names = existing("def f(a):\n    b = 1\n    return [c for c in a]\nfor d in f(1):\n    e: int = 2").names
    assert names == {"f", "d", "e"}


@pytest.mark.parametrize(
    ("cell", "call", "taken"),
    [
        ("def f(a, b=1): pass", "f(1)", True),
        ("def f(a, b=1): pass", "f(1, 2, 3)", False),
        ("def f(a, b=1): pass", "f(1, c=2)", False),
        ("@wraps(g)\ndef f(a): pass", "f(1, 2, 3)", True),  # a decorator may change it
        ("f = partial(g)", "f(1, 2, 3)", True),
        ("f = [1]", "f(1)", False),
        ("f = 'a'", "f(1)", False),
        ("f = 'a'\ndef f(a): pass", "f(1)", True),
        ("from g import f", "f(1, 2, 3)", True),
        ("import f", "f(1)", False),
        ("import g as f", "f(1)", False),
        ("import f.g", "f(1)", False),
        ("class f: pass", "f(1, 2)", True),
        ("def f(a", "f(1, 2)", True),  # an unfinished cell
    ],
)
def test_takes_checks_signatures_and_rejects_calls_of_values(cell: str, call: str, taken: bool) -> None:
    assert existing(cell).takes("f", calls(call)) is taken


@pytest.mark.parametrize(
    ("fact", "call", "taken"),
    [
        (ObjectInfo(type="function", parameters=["a", "k"], positional=1), "f(1, k=2)", True),
        (
            ObjectInfo(type="function", parameters=["a", "k"], positional=1),
            "f(1, 2)",
            True,
        ),  # may be variadic
        (ObjectInfo(type="function", parameters=["a"], positional=1), "f(1, k=2)", False),
        (ObjectInfo(type="function", parameters=["a"], positional=1, open=True), "f(1, z=2)", True),
        (ObjectInfo(type="DataFrame", columns=[("a", "int64")]), "f(1)", False),
        (ObjectInfo(type="int", module="builtins"), "f(1)", False),
        (ObjectInfo(type="module"), "f(1)", False),
        (ObjectInfo(type="Model", module="mine"), "f(1)", True),
    ],
)
def test_takes_uses_the_signatures_of_the_kernel(fact: ObjectInfo, call: str, taken: bool) -> None:
    kernel_context = KernelContext(names={"f": fact})
    assert existing_names_for(FunctionRequest(source="x"), kernel_context).takes("f", calls(call)) is taken


def test_existing_names_use_the_nearest_cells_of_a_long_notebook() -> None:
    long = existing("first = 1", "x = 1\n" * (ABOVE // 6), "last = 1").names
    assert "last" in long
    assert "first" not in long


def test_existing_names_ignore_cells_in_other_languages() -> None:
    assert "f" not in existing("%%bash\nf=1", "%%R\nf <- 1").names


@pytest.mark.parametrize(
    "later",
    [
        "g = make()", "@cache\ndef g(a, b): return a", "from x import g", "import g", "class g: pass", "del g",
        "for g in x: pass", "with x as g: pass", "try:\n    pass\nexcept E as g:\n    pass", "g(",
        "def init():\n    global g\n    g = len", "match x:\n    case [*g]: pass", "if (g := x): pass", "g = (",
    ],
)  # fmt: skip
def test_takes_ignores_a_definition_that_a_later_cell_replaces(later: str) -> None:
    taken = existing("def g(a): return a", later).takes("g", calls("g(1, 2)"))
    assert taken is (later not in {"g(", "import g"})


DEEP = {
    "operators": "1" + "+1" * 400,
    "calls": "a" + ".b()" * 400,
    "signs": "-" * 400 + "1",
    "more than Python parses": "1" + "+1" * 9_000,
}


@pytest.mark.parametrize("kind", DEEP)
@pytest.mark.parametrize("cell", ["def g(a): c = 1\nx = {}", "def g(a, b={}): c = 1\nx = 1"])
def test_existing_names_accept_deeply_nested_cells(kind: str, cell: str) -> None:
    found = existing(cell.format(DEEP[kind]))
    assert {"g", "x"} <= found.names
    assert found.names <= (
        {"g", "x"} if kind in {"operators", "calls", "signs"} else {"g", "x", "a", "b", "c"}
    )


def test_takes_ignores_the_values_of_defaults() -> None:
    found = existing(f"def f(a: {DEEP['calls']}, /, b={DEEP['signs']}, *, c=1, **d): pass")
    assert found.takes("f", calls("f(1, 2, c=3, e=4)"))
    assert not found.takes("f", calls("f(1, 2, 3)"))
    assert not found.takes("f", calls("f(b=1)"))


def test_existing_names_include_global_names_of_functions() -> None:
    assert "g" in existing("def init():\n    global g\n    g = len").names


def test_existing_names_of_a_session_ignore_executed_cells() -> None:
    cells = [Cell(source="def g(a): pass\ndef h(a): pass", executed=True), Cell(source="k = 1")]
    found = existing_names_for(FunctionRequest(source="x", cells=cells, names=["g"]), NONE)
    assert found.names == {"g", "k"}
    assert not found.takes("g", calls("g(1, 2)"))


@pytest.mark.parametrize("source", ["from a import *", "try:\n    from a import *\nexcept E:\n    pass"])
def test_existing_names_are_open_after_a_star_import(source: str) -> None:
    assert existing(source).open
    assert not existing("from a import b").open
