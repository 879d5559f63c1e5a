from __future__ import annotations

import symtable
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.lexer import lex
from jupyter_turbopilot.fixes.renames import Rename, find
from jupyter_turbopilot.protocol.request import FixCell, RenameRequest

from ..analysis.modules import modules

NEW = "renamed"


def offer(*sources: str | None, old: str, new: str = NEW, active: int = 0, nth: int = 0) -> Rename | None:
    """Rename the n-th occurrence of a name in a cell, and find the other uses."""
    before = sources[active] or ""
    at = [lexeme.start for lexeme in lex(before) if lexeme.text == old][nth]
    cells = [FixCell(source=source) for source in sources]
    cells[active] = FixCell(source=before[:at] + new + before[at + len(old) :])
    return find(RenameRequest(cells=cells, active=active, before=before))


def applied(*sources: str, old: str, new: str = NEW, active: int = 0, nth: int = 0) -> list[str] | None:
    rename = offer(*sources, old=old, new=new, active=active, nth=nth)
    if rename is None:
        return None
    results = list(sources)
    at = [lexeme.start for lexeme in lex(sources[active]) if lexeme.text == old][nth]
    results[active] = sources[active][:at] + new + sources[active][at + len(old) :]
    for edit in reversed(rename.edits):
        cell = results[edit.cell]
        assert cell[edit.start : edit.end] == edit.old == old
        results[edit.cell] = cell[: edit.start] + edit.text + cell[edit.end :]
    return results


def test_find_renames_a_variable_in_all_cells() -> None:
    rename = offer("df = load()\ndf.head()", "# df\nprint(df['df'], x.df)", "%%time\ndf.plot(df=1)", old="df")
    assert rename is not None
    assert rename.title == "Rename 3 uses of 'df' to 'renamed' in 3 cells?"
    assert rename.run == [0]
    assert [(edit.cell, edit.start) for edit in rename.edits] == [(0, 17), (1, 11), (2, 7)]


@pytest.mark.parametrize(
    ("before", "nth", "after"),
    [
        ("@d\nasync def x(): pass\nx()", 0, "@d\nasync def renamed(): pass\nrenamed()"),
        ("import a.x as x\nx.y", 1, "import a.x as renamed\nrenamed.y"),
        ("for x in y: print(x, 'x')", 0, "for renamed in y: print(renamed, 'x')"),
        ("try: y\nexcept (E) as x: x", 0, "try: y\nexcept (E) as renamed: renamed"),
        ("[x for x in y if x]; x", 1, "[renamed for renamed in y if renamed]; x"),
        ("[(x := y) for y in z]; x", 0, "[(renamed := y) for y in z]; renamed"),
        ("match y:\n case [*x]: x", 0, "match y:\n case [*renamed]: renamed"),
        ("match y:\n case {'x': 1, **x}: x", 0, "match y:\n case {'x': 1, **renamed}: renamed"),
        ("match y:\n case A() as x: x", 0, "match y:\n case A() as renamed: renamed"),
        ("x = 1\ndef f(x=x): return x", 0, "renamed = 1\ndef f(x=renamed): return x"),
        ("x = 1\ndef f():\n global x\n x += 1", 0, "renamed = 1\ndef f():\n global renamed\n renamed += 1"),
        (
            "def f():\n x = 1\n def g():\n  nonlocal x\n  x += 1\nx",
            0,
            "def f():\n renamed = 1\n def g():\n  nonlocal renamed\n  renamed += 1\nx",
        ),
        ("def f(x): return x, y.x\nf(1); x", 0, "def f(renamed): return renamed, y.x\nf(1); x"),
        ("def f(x): return x\nf(x=x); g(x=x)", 0, "def f(renamed): return renamed\nf(renamed=x); g(x=x)"),
        ("def f(id): return id", 0, None),
        ("def f(*, x=0): return f(x=x)", 0, "def f(*, renamed=0): return f(renamed=renamed)"),
        ("def f(*x): return x\nf(x=1)", 0, "def f(*renamed): return renamed\nf(x=1)"),
        ("class A:\n def g(self, x): return x\ng(x=1)", 0, "class A:\n def g(self, renamed): return renamed\ng(x=1)"),
        (
            "class A:\n def __init__(self, x): self.x = x\nA(x=1)",
            0,
            "class A:\n def __init__(self, renamed): self.x = renamed\nA(renamed=1)",
        ),
        ("lambda x: x", 0, "lambda renamed: renamed"),
        ("x = 1\nclass A:\n x = 2\n def f(self): return x", 0, "renamed = 1\nclass A:\n x = 2\n def f(self): return renamed"),
        ("x = 1; f'{x} x {{x}} {x=:>{x}}'", 0, "renamed = 1; f'{renamed} x {{x}} {renamed=:>{renamed}}'"),
        ("x = 1; é = 'é'; f'é{x}' 'x'; x", 0, "renamed = 1; é = 'é'; f'é{renamed}' 'x'; renamed"),
        ("x = !ls x\n%matplotlib x\n%cd x\n!ls x\nx", 0, "renamed = !ls x\n%matplotlib x\n%cd x\n!ls x\nrenamed"),
        ("\r\nx = 1\r\n%ls\r\nx", 0, "\r\nrenamed = 1\r\n%ls\r\nrenamed"),
    ],
)  # fmt: skip
def test_find_renames_all_uses_and_nothing_else(before: str, nth: int, after: str | None) -> None:
    old = "x" if after else "id"
    result = applied(before, old=old, nth=nth)
    assert result == [after or "def f(renamed): return renamed"]
    if all(lexeme.text != old for lexeme in lex(result[0])) and old != "id":
        start = [lexeme.start for lexeme in lex(before) if lexeme.text == old][nth]
        binding = [lexeme.start for lexeme in lex(result[0]) if lexeme.text == NEW]
        shift = len(NEW) - len(old)
        count = sum(at - shift * n < start for n, at in enumerate(binding))
        assert applied(*result, old=NEW, new=old, nth=count) == [before]


@pytest.mark.parametrize(
    ("before", "nth"),
    [
        ("x = 1\ny", 0),  # no other use
        ("import x\nx = 1\nx", 1),
        ("import x\nx.y", 0),
        ("x = 1\nprint(x)", 1),
        ("x = 1\nf(x=x)", 1),
        ("class A:\n x = 1\n y = x", 0),
        ("class A:\n def x(self): return self.x()", 0),
        ("x = 1\nclass A:\n x = x", 0),
        ("x = 1; renamed = 2; x", 0),
        ("x = 1\ndef f(renamed): return x", 0),
        ("def f():\n global x\n x = 1\nx = 2\nx", 2),
        ("class A:\n def f(self, x): return x\na.f(x=1)", 0),
        ("class A:\n def __init__(self, x): x\nclass B(A): pass\nB(x=1)", 0),
        ("def f(x): return x\npartial(f, x=1)", 0),
        ("def f(x): return x\ng = f\ng(x=1)", 0),
        ("def f(x): return x\nf(**{'x': 1})", 0),
        ("def f(x): return x\ndf.apply(f, x=1)", 0),
        ("@interact(x=1)\ndef f(x): return x", 1),
        ("@parametrize('x', [])\ndef f(x): return x", 0),
        ("f = lambda x: x\nf(x=1)", 0),
        ("x = 1\nf'{x}' f'{'", 0),
        ("%time x = 1\nx", 0),
        ("%%bash\nx = 1\nx", 0),
        ("x = 'x'; 'x'", 0),
        ("def f():\n x = 1\n %store x\n x", 0),
    ],
)
def test_find_offers_nothing(before: str, nth: int) -> None:
    assert offer(before, old="x", nth=nth) is None


def test_find_offers_nothing_for_a_builtin_of_the_notebook() -> None:
    assert offer("list = [1]", "list(y)", old="list") is None


@pytest.mark.parametrize("other", ["x = 2", "renamed", "x +", "renamed +", None])
def test_find_offers_nothing_for_other_cells(other: str | None) -> None:
    assert offer("x = 1\nx", other, old="x") is None


@pytest.mark.parametrize(
    "other",
    [
        "y +",
        "%%bash\nx",
        "y.renamed",
        "plt.title('x')",
        "'@x y'",
        "f('x')",
        "df['x']",
        "!ls x",
    ],
)
def test_find_is_independent_of_other_cells(other: str) -> None:
    assert applied("x = 1\nx", other, old="x") == ["renamed = 1\nrenamed", other]


@pytest.mark.parametrize(
    "other",
    ["!echo $x", "!echo {x}", "y = !echo {x}", "%timeit x", "%%timeit x", "%%capture x", "%store x", "x?",
     "%%bash -s {x}\necho", "%%R -i x\nplot(x)", "%%sql\nselect * from x", "eval('x + 1')", "pd.eval('x + 1')", "timeit('x', globals=g)", "f = eval; f('x')", "globals()['x']",
     "__all__ = ['x']", "df.query('y > @x')", "'{x}'.format(**locals())", "smf.ols('y ~ x')",
     "duckdb.sql('select * from x')", "q = f'from x limit {n}'; sql(q)", "def f(y: 'list[x]'): pass"],
)  # fmt: skip
def test_find_offers_nothing_for_a_variable_in_a_magic_or_string(other: str) -> None:
    assert applied("x = 1\nx", "title('x')", "y", old="x") is not None
    assert applied("x = 1\nx", other, old="x") is None


def test_find_leaves_locals_in_other_cells_alone() -> None:
    cells = ["def f():\n x = 1\n return x", "x = 1\nx"]
    assert applied(*cells, old="x") == ["def f():\n renamed = 1\n return renamed", cells[1]]


def test_find_renames_keyword_arguments_in_other_cells() -> None:
    cells = ["def f(x): return x", "x = 1\nf(x=x)\ndef g(f): f(x=1)"]
    assert applied(*cells, old="x") == [
        "def f(renamed): return renamed",
        "x = 1\nf(renamed=x)\ndef g(f): f(x=1)",
    ]


def test_find_requires_a_single_change() -> None:
    cells = [FixCell(source="y = 2\ny")]
    assert find(RenameRequest(cells=cells, active=0, before="x = 1\nx")) is None
    assert find(RenameRequest(cells=cells, active=0, before="y = 2\ny")) is None
    assert find(RenameRequest(cells=cells, active=0, before="x = 2\nx")) is None


FREE = False, False, True, False


def _symbols(table: symtable.SymbolTable) -> Iterator[dict[str, tuple[bool, ...]]]:
    """Yield how each scope uses its names."""
    yield {
        each.get_name(): (each.is_local(), each.is_global(), each.is_free(), each.is_parameter())
        for each in table.get_symbols()
    }
    for child in table.get_children():
        yield from _symbols(child)


def _scopes(source: str) -> list[dict[str, tuple[bool, ...]]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(_symbols(symtable.symtable(source, "", "exec")))


@given(modules(), st.sampled_from(["f", "g", "helper", "é", "value"]))
@settings(max_examples=60, deadline=None)
def test_a_rename_keeps_the_meaning_and_its_inverse_restores_the_names(source: str, old: str) -> None:
    before = [lexeme.start for lexeme in lex(source) if lexeme.text == old]
    for nth in range(len(before)):
        result = applied(source, old=old, nth=nth)
        if result is None:
            continue
        renamed = result[0]
        scopes = _scopes(renamed)
        for one, other in zip(_scopes(source), scopes, strict=True):
            kept = {name: uses for name, uses in other.items() if name != NEW}
            # A class may bind the old name around a function that uses the new one.
            if NEW in other and (old not in kept or other[NEW] != FREE):
                kept[old] = other[NEW]
            assert one == kept
        if NEW in scopes[0]:
            assert not any(old in scope and scope[old][1] for scope in scopes)
        if not any(old in scope for scope in scopes):
            pairs = zip(lex(source), lex(renamed), strict=True)
            changed = [new.text for other, new in pairs if other.text == old]
            back = applied(renamed, old=NEW, new=old, nth=changed[:nth].count(NEW))
            # An import of the old name under the new one cannot always be renamed back.
            assert back == [source] or (back is None and f"{old} as {NEW}" in renamed)
