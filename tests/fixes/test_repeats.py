from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from jupyter_turbopilot.analysis.parsed_cell import ParsedCell
from jupyter_turbopilot.analysis.report import NONE, KernelError, KernelReport, ObjectDescription
from jupyter_turbopilot.fixes.patterns import LONGEST_TEXT
from jupyter_turbopilot.fixes.repeats import RepeatOffer, expressions_to_describe, find, rule_of
from jupyter_turbopilot.protocol.fix import apply
from jupyter_turbopilot.protocol.request import EditedCell, FixCell, RepeatRequest
from jupyter_turbopilot.util.bounds import MOST_OPERATIONS, Operations, counted_operations

Made = tuple[int, str, str]  # cell, old and new text


def request_of(sources: list[str], *made: Made) -> RepeatRequest:
    """Make one or two edits, each at the first occurrence of its old text in a cell."""
    cells, edits = [*sources], []
    for cell, old, new in made:
        before = cells[cell]
        assert old in before
        cells[cell] = before.replace(old, new, 1)
        edits.append(EditedCell(cell=cell, before=before, after=cells[cell]))
    return RepeatRequest(
        cells=[FixCell(source=each) for each in cells],
        active=edits[-1].cell,
        before=edits[-1].before,
        earlier=edits[0] if len(edits) > 1 else None,
    )


def offer_for(request: RepeatRequest, report: KernelReport = NONE) -> RepeatOffer | None:
    return find(request, rule_of(request), report)


def applied(request: RepeatRequest, offer: RepeatOffer | None) -> list[str]:
    """Apply all edits; check that each may also be applied alone."""
    sources = [cell.source or "" for cell in request.cells]
    edits = offer.edits if offer else []
    for each in edits:
        assert sources[each.cell][each.start : each.end] == each.old
        ParsedCell(apply(sources[each.cell], [each]))
    return [apply(source, [e for e in edits if e.cell == at]) for at, source in enumerate(sources)]


def repeated(others: str, *made: Made, sources: tuple[str, ...] = ()) -> str:
    """Return the last cell after the repeated edits of two others."""
    request = request_of([*sources, others], *made)
    return applied(request, offer_for(request))[-1]


def alike(one: str, other: str, old: str, new: str, others: str) -> str:
    return repeated(others, (0, old, new), (1, old, new), sources=(one, other))


def test_find_names_the_kind_and_the_number_of_occurrences() -> None:
    sources = ['df["a"].sum()', 'df["a"].mean()', 'df["a"] + df["a"]', "df['a'] = 1"]
    offer = offer_for(request_of(sources, (0, "a", "b"), (1, '"a"', '"b"')))
    assert offer is not None
    assert (offer.kind, offer.title) == ("literal", "Change 3 more occurrences?")
    assert [(each.cell, each.start, each.old, each.text) for each in offer.edits] == [
        (2, 3, '"a"', '"b"'), (2, 13, '"a"', '"b"'), (3, 3, "'a'", "'b'"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "old", "new", "others", "result"),
    [
        # A literal in the same role.
        ('df["a"]', 'x = df["a"]', '"a"', '"b"', 'df["a"]; d["a"]; df[["a"]]; "a"', 'df["b"]; d["a"]; df[["a"]]; "a"'),
        ('df[["a", "x"]]', 'df[["a", "y"]]', '"a"', '"b"', 'df[["z", "a"]]', 'df[["z", "b"]]'),
        ("plt.f(s=(8, 4))", "plt.f(s=(8, 4))", "8", "9", "plt.f(s=(8,4)); plt.f(s=(8, 5)); plt.g(s=(8, 4))", "plt.f(s=(9, 4)); plt.f(s=(8, 5)); plt.g(s=(8, 4))"),
        ("f(a=0.5)", "f(1, a=0.5)", "0.5", "0.6", "f(a=.5); f(b=0.5); g(a=0.5)", "f(a=0.6); f(b=0.5); g(a=0.5)"),
        ("x[0]", "x[0]", "0", "1", "x[0]", "x[0]"),
        ("x[1:]", "f(x[1:])", "[1:]", "[2:]", "y = x[1:]; x[1:5]; x[1]; z[1:]", "y = x[2:]; x[1:5]; x[1]; z[1:]"),
        ("f(a)[-1:]", "f(b)[-1:]", "-1", "-2", "f(c)[-1:]; f(c)[1:]; f(c)[-1]", "f(c)[-2:]; f(c)[1:]; f(c)[-1]"),
        ("x[:, 0]", "f(x[:, 0])", "0", "1", "y = x[:, 0]", "y = x[:, 0]"),
        ('f(f"{x} a")', 'f(f"{x} a")', " a", " b", 'f(f"{x} a"); f(f"{y} a")', 'f(f"{x} b"); f(f"{y} a")'),
        # An attribute, a function, a prefix of modules.
        ("plt.plot(x)", "plt.plot(y)", "plt", "ax", "plt.plot(z); plt.show(); a.plt.plot(z)", "ax.plot(z); plt.show(); a.plt.plot(z)"),
        ("np.float(1)", "f(np.float)", "np.float", "float", "x: np.float; np.float64", "x: float; np.float64"),
        ("plt.a(1)", "plt.a(2)", "plt.a", "plt.b", "plt.a(3); plt.a; q.plt.a()", "plt.b(3); plt.a; q.plt.a()"),
        ('df["a"].sum()', 'df["b"].sum()', "sum", "mean", 'df["c"].sum(); df.sum(); d["c"].sum()', 'df["c"].mean(); df.sum(); d["c"].sum()'),
        ("x.append(1)", "x.append(2)", "append", "extend", "x.append(3); y.append(3)", "x.extend(3); y.append(3)"),
        ("f(1)", "f(2)", "f(", "g(", "f(3); map(f, x); a.f(1)", "g(3); map(f, x); a.f(1)"),
        ("x = y", "x = y", "y", "z", "x = y; y; w = y", "x = z; y; w = y"),
        # Arguments.
        ("plt.plot(x)", "plt.plot(y, 1)", ")", ", alpha=0.5)", "plt.plot(z, c=1); plt.hist(z); plt.plot(z, alpha=1)", "plt.plot(z, c=1, alpha=0.5); plt.hist(z); plt.plot(z, alpha=1)"),
        ("axes[0].f(x)", "axes[1].f(x)", "(x", "(x, y=1", "axes[2].f(\n    z,\n); axes.f(z)", "axes[2].f(\n    z, y=1,\n); axes.f(z)"),
        ("ax1.f()", "ax2.f()", "()", "(x=1)", "ax3.f(); bx3.f()", "ax3.f(x=1); bx3.f()"),
        ("f(x)", "f(y)", "(", "(0, ", "f(z); f(z, z); f(*z)", "f(0, z); f(z, z); f(*z)"),
        ("f(x, n=1)", "f(y, n=1)", ", n=1", "", "f(n=1); f(n=1, m=2); f(n=2); g(n=1)", "f(); f(m=2); f(n=2); g(n=1)"),
        ("f(x, y)", "f(z, y)", ", y", "", "f(x, y); f(x, z); f(x, y, 1)", "f(x); f(x, z); f(x, y, 1)"),
        ("f(old=1)", "f(old=2)", "old", "new", "f(old=3, x=2); g(old=1)", "f(new=3, x=2); g(old=1)"),
        ("f(old=1)", "f(old=1, x=0)", "old", "new", "f(old=1, x=2); g(old=1)", "f(new=1, x=2); g(old=1)"),
        # Calls.
        ("h(x)", "h(y)", "(", "(np.log(", "h(z)", "h(z)"),
        ('a = pd.read("a")', 'b = pd.read("b")', '")', '").dropna()', 'c = pd.read("c", 1); d = pd.read(e).dropna(); pd.read(e)', 'c = pd.read("c", 1).dropna(); d = pd.read(e).dropna(); pd.read(e)'),
        ("df.head()", "df.head()", "df", "df.dropna()", "df.head(); df.tail(); df.dropna().head()", "df.dropna().head(); df.tail(); df.dropna().head()"),
        ("f(np.log(x))", "f(np.log(y))", "np.log", "", "f(np.log(z)); g(np.log(z)); f(z)", "f(z); g(np.log(z)); f(z)"),
        # From an attribute to a key.
        ("df.price", "df.price + 1", ".price", '["price"]', "df.price.sum(); df.cost; d.price; df.price()", 'df["price"].sum(); df.cost; d.price; df["price"]()'),
        # Statements.
        ("a(1)\nb(2)\nc", "a(1)\nb(2)\nd", "a(1)\nb(2)", "e(3)", "if x:\n    a(1)\n    b(2)\na(1)", "if x:\n    e(3)\na(1)"),
        ("p(x)\nplt.show()", "q(y)\nplt.show()", "plt.show()", "plt.grid()\nplt.show()", "r\nplt.show()\nplt.grid()\nplt.show()", "r\nplt.grid()\nplt.show()\nplt.grid()\nplt.show()"),
    ],
)  # fmt: skip
def test_find_repeats_two_alike_edits(
    one: str, other: str, old: str, new: str, others: str, result: str
) -> None:
    assert alike(one, other, old, new, others) == result


@pytest.mark.parametrize(
    ("made", "others", "result"),
    [
        ([("plt.hist(x)", "x", "np.log(x)"), ("plt.hist(y)", "y", "np.log(y)")],
         "plt.hist(z); plt.hist(np.log(z)); plt.plot(z); plt.hist(z + 1)",
         "plt.hist(np.log(z)); plt.hist(np.log(z)); plt.plot(z); plt.hist(z + 1)"),
        ([('df["a"].mean()', '"a"]', '"a"].dropna()'), ('df["b"].mean()', '"b"]', '"b"].dropna()')],
         'df["c"].mean(); df["c"].sum()', 'df["c"].dropna().mean(); df["c"].sum()'),
        ([("df.price.sum()", ".price", '["price"]'), ("df.city", ".city", '["city"]')],
         "df.cost; df.shape; df.head(); d.cost", 'df["cost"]; df.shape; df.head(); d.cost'),
        ([('df["a"]', '["a"]', ".a"), ('df["b"]', '["b"]', ".b")], 'df["c"]; df["d e"]', 'df.c; df["d e"]'),
        ([("f(x, 1)", "f(x, 1)", "g(1, x)"), ("f(y, 2)", "f(y, 2)", "g(2, y)")], "f(z, 3)", "g(3, z)"),
        ([("f(a)", "a", "b"), ("f(c)", "c", "d")], "f(a); f(c); f(e)", "f(a); f(c); f(e)"),
        ([("x", "x", "f(x)"), ("y", "y", "g(y)")], "x; y", "x; y"),
        ([("x > 5", "5", "6"), ("y > 5", "5", "6")], "z > 5", "z > 5"),
        # Comments stay, statements are indented, strings are not.
        ([("f(x, 1)", "f(x, 1)", "g(1, x)")] * 2, "f(  # first\n    x,  # second\n    1\n)\nf(x, 1)",
         "f(  # first\n    x,  # second\n    1\n)\ng(1, x)"),
        ([("a(1)\nb(2)", "a(1)\nb(2)", "c(\n    1\n)\nd(2)")] * 2, "if x:\n    a(1)\n    b(2)",
         "if x:\n    c(\n        1\n    )\n    d(2)"),
        ([("a(1)\nb(2)", "a(1)\nb(2)", 'c("""\n1""")\nd(2)')] * 2, "if x:\n    a(1)\n    b(2)", "if x:\n    a(1)\n    b(2)"),
        # Parentheses are added where they are needed, and only to a single part.
        ([("f(x, 1)", "f(x, 1)", "x.f(1)"), ("f(y, 2)", "f(y, 2)", "y.f(2)")], "f(a + b, 3)", "f(a + b, 3)"),
        ([("f(x[0])", "f(x[0])", "x[0].f()"), ("f(y.z)", "f(y.z)", "y.z.f()")], "f(a + b)", "(a + b).f()"),
        ([("plt.plot('a')", "'a'", "np.log('a')"), ("plt.plot(y)", "y", "np.log(y)")], "plt.plot(x ** 2)", "plt.plot(np.log(x ** 2))"),
        # What is there already is not added again, and all parts of a slice are needed.
        ([("f(a[0])", "a[0]", "a.iloc[0]"), ("g(b.exog[0])", "b.exog[0]", "b.exog.iloc[0]")],
         "f(a.iloc[0])\ng(c.exog.iloc[0])", "f(a.iloc[0])\ng(c.exog.iloc[0])"),
        ([("v[1:10:2].mean()", "v[1:10:2].mean()", "g(v[1:10:2])"), ("v[2:20:3].mean()", "v[2:20:3].mean()", "g(v[2:20:3])")],
         "v[5:].mean(); v[3:7:1].mean()", "v[5:].mean(); g(v[3:7:1])"),
        # A positional argument is added to calls with as many.
        ([("np.linspace(1, 2)", "1, 2", "1, 2, 200"), ("y = np.linspace(a, b)", "a, b", "a, b, 200")],
         "np.linspace(c.a, d, k=1); np.linspace(1); np.linspace(1, 2, 3); np.linspace(*x, 1); linspace(1, 2)",
         "np.linspace(c.a, d, 200, k=1); np.linspace(1); np.linspace(1, 2, 3); np.linspace(*x, 1); linspace(1, 2)"),
        # A long number.
        ([(f"a[0x{'f' * 5000}].plot(x)", "(x", "(x, y=1")] * 2, "a.plot(x)", "a.plot(x)"),
    ],
)  # fmt: skip
def test_find_generalizes_two_edits(made: list[tuple[str, str, str]], others: str, result: str) -> None:
    sources = tuple(source for source, _, _ in made)
    edits = [(cell, old, new) for cell, (_, old, new) in enumerate(made)]
    assert repeated(others, *edits, sources=sources) == result


KEY = ('df["a"].sum()', 'df["a"].mean()')


@pytest.mark.parametrize(
    "other",
    [
        'def f(df): return df["a"]',
        'df = f()\ndf["a"]',
        'for df in tables:\n    df["a"]',
        '[df["a"] for df in x]',
        '# df["a"]',
        "'df[\"a\"]'",
        '%%bash\ndf["a"]',
        '!echo df["a"]',
        'df["a"]\nf(',
        'other.df["a"]',
        'df1["a"]',
    ],
)
def test_find_ignores_another_meaning(other: str) -> None:
    assert alike(*KEY, '"a"', '"b"', other) == other


def test_find_ignores_cells_above_the_binding_of_a_new_name() -> None:
    sources = ["plt.plot(1)", "ax = f()\nplt.plot(2)", "plt.plot(3)", "plt.plot(4)"]
    request = request_of(sources, (1, "plt.", "ax."), (2, "plt.", "ax."))
    assert applied(request, offer_for(request))[::3] == ["plt.plot(1)", "ax.plot(4)"]


def test_find_keeps_the_same_table_apart_from_later_ones() -> None:
    table, other = 'df = load("a")', 'df = load("b")'
    sources = [table, *KEY, other, 'df["a"]', table, 'df["a"]', "df = df.dropna()", 'df["a"]']
    request = request_of(sources, (1, '"a"', '"b"'), (2, '"a"', '"b"'))
    assert applied(request, offer_for(request))[4::2] == ['df["a"]', 'df["b"]', 'df["b"]']


def test_find_repeats_edits_of_local_names_in_their_function_alone() -> None:
    function = 'def f(df):\n    df["a"]\n    df["a"]\n    df["a"]\n\ndef g(df): df["a"]'
    request = request_of([function, 'df["a"]'], (0, '"a"', '"b"'), (0, '"a"', '"b"'))
    assert applied(request, offer_for(request)) == [function.replace('"a"', '"b"', 3), 'df["a"]']


def test_find_takes_several_changes_of_one_edit_as_examples() -> None:
    request = request_of(['df["a"]\ndf["a"]', 'df["a"]'], (0, 'df["a"]\ndf["a"]', 'df["b"]\ndf["b"]'))
    assert applied(request, offer_for(request))[1] == 'df["b"]'
    assert expressions_to_describe(rule_of(request)) is None


def test_find_compares_the_changed_lines_of_a_cell_that_does_not_parse() -> None:
    sources = ['df["a"]\nf(', 'if:\ndf["a"]', 'df["a"]', 'for:\n    df["a"]']
    request = request_of(sources, (0, '"a"', '"b"'), (1, '"a"', '"b"'))
    assert applied(request, offer_for(request))[2] == 'df["b"]'
    assert offer_for(request_of(sources, (0, '"a"', '"b"'), (3, '"a"', '"b"'))) is None


@pytest.mark.parametrize(
    ("made", "sources"),
    [
        ([(0, "x", "y")], ["x", "x"]),
        ([(0, "1", "2"), (1, "3", "4")], ["f(1)", "f(3)", "f(1); f(3)"]),
        ([(0, "a", "b"), (0, "b", "a")], ["f('a')", "f('a')"]),
        ([(0, "# a", "# b"), (1, "# a", "# b")], ["x # a", "y # a", "z # a"]),
        ([(0, "x = 1", "y = 1"), (1, "x = 1", "y = 1")], ["x = 1", "x = 1", "x = 1"]),
        ([(0, "a()\n", ""), (1, "a()\n", "")], ["a()\nb()", "a()\nb()", "a()\nb()"]),
        ([(0, "", "x"), (1, "", "x")], ["", "", ""]),
        ([(0, ", z=1", ""), (1, ")", ", y=2)")], ["f.g(x=1, z=1)", "f.g(x=2, z=1)", "f.g(x=3, z=1)"]),
        ([(0, "x=1, ", ""), (1, ")", ", y=2)")], ["f.g(x=1, z=1)", "f.g(z=2)", "f.g(1)"]),
        ([(0, "x", "f(x)"), (1, "x", "g(x)")], ["h(x)", "h(x)", "h(x)"]),
        ([(0, "f(1)", "f(1)\ng(1)"), (1, "h(2)", "h(2)\ng(2)")], ["f(1)", "h(2)", "f(1)\nh(2)"]),
    ],
)
def test_find_offers_nothing_for_unlike_edits(made: list[Made], sources: list[str]) -> None:
    assert offer_for(request_of(sources, *made)) is None


@pytest.mark.parametrize(
    ("source", "old", "new", "report", "is_proved"),
    [
        ('df["a"]', '"a"', '"b"', {"labels": ["b"]}, True),
        ('df["a"]', '"a"', '"b"', {"labels": ["a", "b"]}, False),
        ('df["a"]', '"a"', '"b"', {"keys": ["b"]}, True),
        ('df["a"]', '"a"', '"b"', {}, False),
        ("df.a", "a", "b", {"attributes": ["b"]}, True),
        ("df.a", "a", "b", {"attributes": ["a", "b"]}, False),
        ("df.a", "a", "b", {"attributes": None}, False),
    ],
)
def test_find_repeats_a_single_edit_if_the_kernel_lacks_the_old_name(
    source: str, old: str, new: str, report: dict[str, list[str]], is_proved: bool
) -> None:
    request = request_of([source, source], (0, old, new))
    rule = rule_of(request)
    assert expressions_to_describe(rule) == ["df"]
    found = KernelReport(objects={"df": ObjectDescription(**report)})  # type: ignore[arg-type]
    assert (find(request, rule, found) is not None) == is_proved
    assert find(request, rule) is None


@pytest.mark.parametrize(
    ("source", "old", "new", "error", "is_proved"),
    [
        ('pd.read_csv("a.csv")', "a.csv", "b.csv", {"type": "FileNotFoundError", "path": "a.csv"}, True),
        ('pd.read_csv("a.csv")', "a.csv", "b.csv", {"type": "FileNotFoundError", "path": "c.csv"}, False),
        ("np.float(1)", "np.float", "float", {"type": "AttributeError", "name": "float"}, True),
        ("np.float(1)", "np.float", "float", {"type": "NameError", "name": "float"}, False),
        ("f(x)", "x", "y", {"type": "AttributeError", "name": "x"}, False),
    ],
)
def test_find_repeats_a_single_edit_of_what_failed(
    source: str, old: str, new: str, error: dict[str, str], is_proved: bool
) -> None:
    request = request_of([source, source], (0, old, new))
    found = offer_for(request, KernelReport(error=KernelError(**error)))  # type: ignore[arg-type]
    assert (found is not None) == is_proved


def test_find_repeats_edits_of_deeply_nested_code() -> None:
    chain = "x" + ".a" * 1500
    assert alike(chain, f"w = {chain}", chain, "y", f"z = {chain}") == "z = y"


def test_find_takes_an_assignment_after_other_uses_in_a_line() -> None:
    uses = "df == 1; df = df == 2; df = g('other')"
    assert (
        repeated('df["a"]', (0, '"a"', '"b"'), (1, '"a"', '"b"'), sources=('df["a"]', 'df["a"]', uses))
        == 'df["a"]'
    )


LINES = (
    'df = load("{0}")', 'df["{0}"].sum()', 'df["{1}"] = df["{0}"] + 1', "df.{0}.mean()", "plt.plot(df.{0}, lw={2})", "x{2} = f({0}, {1}={2})",
    "for {0} in range({2}):\n    plt.plot({0}, lw={2})\n    plt.show()", "def g{2}({0}, df):\n    return df[{0}]", "np.log({0})", "plt.show()",
    'data = pd.read_csv("{0}.csv")  # {1}', "%%time\nf({0})", "f(", "[{0} for {0} in df]", 'f"{{df.{0}}} {1}"', "x = f(f({0}), y={1})",
)  # fmt: skip
WORDS = ("a", "b", "price", "total", "df")
EDITS = (
    ("df", "sales"), ('["{0}"]', ".{0}"), (".{0}", '["{0}"]'), ('"{0}"', '"{1}"'), ("plt.", "ax."), ("{0})", "{0}, c=1)"), ("{0}", "np.log({0})"),
    ("lw={2}", "lw=7"), (", lw={2}", ""), ("f(", "g("), ("f({0})", "{0}.f()"), ("plt.show()", "plt.grid()\nplt.show()"), ("sum", "mean"),
    (".mean()", ".dropna().mean()"), ("\n", "\n\n"), ("{0}", "{1}"), ("(", "(("), ("df", ""), (" + 1", ""), ('"{0}"]', '"{0}"].abs()'),
)  # fmt: skip


def edits_of(rng: random.Random, cells: list[str]) -> Iterator[EditedCell]:
    """Make two random edits, often alike."""
    old, new = rng.choice(EDITS)
    for _ in range(2):
        if rng.random() < 0.2:
            old, new = rng.choice(EDITS)
        values = filling(rng)
        cell = rng.choice([at for at, source in enumerate(cells) if old.format(*values) in source] or [0])
        before = cells[cell]
        cells[cell] = before.replace(old.format(*values), new.format(*values), rng.choice((1, 1, 2)))
        yield EditedCell(cell=cell, before=before, after=cells[cell])


def filling(rng: random.Random) -> tuple[str, str, int]:
    return rng.choice(WORDS), rng.choice(WORDS), rng.randrange(3)


def is_parsed(source: str) -> bool:
    try:
        ParsedCell(source)
    except SyntaxError:
        return False
    return True


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_applications_change_only_the_offered_occurrences(seed: int) -> None:
    rng = random.Random(seed)
    cells = [
        "\n".join(rng.choice(LINES).format(*filling(rng)) for _ in range(rng.randrange(4)))
        for _ in range(rng.choice((3, 30, 300)))
    ]
    earlier, last = edits_of(rng, cells)
    found = [FixCell(source=source) for source in cells]
    request = RepeatRequest(cells=found, active=last.cell, before=last.before, earlier=earlier)
    operations = Operations(MOST_OPERATIONS)
    with counted_operations(operations):
        offer = offer_for(request)
    edits = offer.edits if offer else []
    assert edits == sorted(edits, key=lambda each: (each.cell, each.start))
    assert {each.cell for each in edits} <= {cell for cell, source in enumerate(cells) if is_parsed(source)}
    shown = applied(request, offer)
    changed, open_edits = [*cells], [*edits]
    while open_edits:  # in any order
        each = open_edits.pop(rng.randrange(len(open_edits)))
        source = changed[each.cell]
        assert source[each.start : each.end] == each.old
        changed[each.cell] = apply(source, [each])
        assert is_parsed(changed[each.cell])
        shift = len(each.text) - len(each.old)
        open_edits = [
            structs.replace(other, start=other.start + shift, end=other.end + shift)
            if other.cell == each.cell and other.start > each.start
            else other
            for other in open_edits
        ]
    assert changed == shown


def test_values_of_a_variable_do_not_matter_if_they_differ_in_the_examples() -> None:
    one, other, others = (f'm = Model({name})\nm.fit(method="x")' for name in "abc")
    assert alike(one, other, '"x"', '"y"', others) == others.replace('"x"', '"y"')


def test_an_earlier_example_whose_cell_has_changed_keeps_values_apart() -> None:
    request = request_of(
        ["df = read('a')\ndf['x']", "df['x']", "df = read('b')\ndf['x']"],
        (0, "'x'", "'y'"),
        (1, "'x'", "'y'"),
    )
    assert applied(request, offer_for(request))[2] == "df = read('b')\ndf['x']"
    request.cells[0] = FixCell(source=f"{'# longer' * 5}\n{request.cells[0].source}")
    assert applied(request, offer_for(request))[2] == "df = read('b')\ndf['x']"


@pytest.mark.parametrize(
    ("one", "other", "old", "new", "others"),
    [
        ("X[n:].mean(axis=0)", "y = X[n:].mean(axis=0)", "X[n:].mean(axis=0)", "average(X[n:])", "X[:n].mean(axis=0); X[::n].mean(axis=0)"),
        ("x = n - 10", "x = n - 10", "10", "12", "x = 10 - n"),
        ('f({"a": 5, "c": x})', 'f({"a": 5, "c": y})', "5", "6", 'f({"b": 5, "c": x})'),
    ],
)  # fmt: skip
def test_find_keeps_the_position_of_each_part(one: str, other: str, old: str, new: str, others: str) -> None:
    assert alike(one, other, old, new, others) == others


def test_find_bounds_the_length_of_new_texts() -> None:
    new = "g([" + "x, " * 400 + "])"
    made = [(0, "f(x)", new), (1, "f(y)", new.replace("x", "y"))]
    request = request_of(["f(x)", "f(y)", f"f(z{'z' * 2000}); h", "f(z)"], *made)
    offer = offer_for(request)
    assert offer is not None
    assert [each.old for each in offer.edits] == ["f(z)"]
    rule = rule_of(request)
    assert rule is not None
    cell = rule.last.after.structures.cell(request.cells[2].source or "")
    assert max(len(text) for each in rule.occurrences(cell) for text in each.texts) < 2 * LONGEST_TEXT


@pytest.mark.parametrize(
    ("first", "is_renamed"),
    [
        ("tax_rate = 0.2", True),
        ("from m import tax_rate", True),
        ("tax_rate = 0.2; rate = 1", False),
        ("tax_rate = 0.2\nfrom m import *", False),
        ("x = 1", False),
    ],
)
def test_uses_of_a_renamed_variable_follow_its_binding(first: str, is_renamed: bool) -> None:
    made = (1, "rate", "tax_rate"), (2, "rate", "tax_rate")
    others = "p * rate\nf(rate=1, x=rate, y=a.rate)"
    result = "p * tax_rate\nf(rate=1, x=tax_rate, y=a.rate)" if is_renamed else others
    assert repeated(others, *made, sources=(first, "price * rate", "print(rate, 2)")) == result


@pytest.mark.parametrize(
    ("one", "other", "others"),
    [
        # Applied again, the edit would be undone.
        (("f(x, y)", "f(y, x)"), ("f(a, b)", "f(b, a)"), "f(c, d)"),
        (("z = x - y", "z = y - x"), ("z = a - b", "z = b - a"), "z = c - d"),
        # All texts would become the same.
        (("df['a']", "df['c']"), ("df['b']", "df['c']"), "df['x']; df['y'] = 1"),
        # The new statements are there, around the old ones.
        (("g(x)", "g(x)\nh(g, x)"), ("g(y)", "g(y)\nh(g, y)"), "g(z)\nh(g, z)"),
        (("a(1)\nb(2)", "c(0)\na(1)\nb(2)\nd(0)"), ("a(1)\nb(2)", "c(0)\na(1)\nb(2)\nd(0)"), "c(0)\na(1)\nb(2)\nd(0)"),
        # Code on the same line would belong to the new statement.
        (("t(1)\nu(2)", "if e(3): w(4)"), ("t(1)\nu(2)", "if e(3): w(4)"), "t(1)\nu(2); v(3)\nif e(3): w(4)"),
        # Indenting the new statement would change its multi-line string.
        (("t(1)\nu(2)", 'e("""\nx\n""")'), ("t(1)\nu(2)", 'e("""\nx\n""")'), 'def f():\n    t(1)\n    u(2)\ne("""\nx\n""")'),
        # The edit would replace another comment.
        (("f(a, # one\n 1)", "g(a, # one\n 1, 2)"), ("f(b, # two\n 1)", "g(b, # two\n 1, 2)"), "f(c, # three\n 1)"),
        # The new code binds the name.
        (("agg(a)", "agg([a for i in rows])"), ("agg(b)", "agg([b for i in rows])"), "agg(i)"),
        (("f(a)", "f(lambda x: a)"), ("f(b)", "f(lambda x: b)"), "f(x)"),
    ],
)  # fmt: skip
def test_find_changes_nothing(one: tuple[str, str], other: tuple[str, str], others: str) -> None:
    made = [(0, *one), (1, *other)]
    request = request_of([one[0], other[0], others], *made)
    assert applied(request, offer_for(request)) == [one[1], other[1], others]


@pytest.mark.parametrize(
    ("one", "one_after", "other", "other_after", "others", "result"),
    [
        ('hot = df[df["temp"] > 30]', 'hot = df.loc[df["temp"] > 30]', 'cold = df[df["city"] == "Bonn"]', 'cold = df.loc[df["city"] == "Bonn"]', 'wet = df[df["rain"] == 5]', 'wet = df.loc[df["rain"] == 5]'),
        ('a = df[df["city"] == "Bonn"]', 'a = df.loc[df["city"] == "Bonn"]', 'b = df[df["city"] == "Ulm"]', 'b = df.loc[df["city"] == "Ulm"]', 'c = df[df["city"] == "Trier"]', 'c = df.loc[df["city"] == "Trier"]'),
        ('shops = pd.read_csv("shops.csv")', 'shops = pd.read_csv("data/shops.csv")', 'sales = pd.read_csv("sales.csv")', 'sales = pd.read_csv("data/sales.csv")', 'staff = pd.read_csv("staff.csv", sep=";")', 'staff = pd.read_csv("data/staff.csv", sep=";")'),
        ('df["city"].value_counts()', 'df["city"].value_counts(normalize=True)', 'df["kind"].value_counts()', 'df["kind"].value_counts(normalize=True)', 'df["shop"].value_counts()', 'df["shop"].value_counts(normalize=True)'),
        ("df.city.value_counts()", "df.city.value_counts(normalize=True)", "df.kind.value_counts()", "df.kind.value_counts(normalize=True)", "df.shop.value_counts().plot()", "df.shop.value_counts(normalize=True).plot()"),
        ('hot = df[df["temp"] > 30]', 'hot = df[df["temp"] > 30].copy()', 'cold = df[df["temp"] < 5]', 'cold = df[df["temp"] < 5].copy()', 'wet = df[df["rain"] == 5]', 'wet = df[df["rain"] == 5].copy()'),
        ('plt.savefig("hist.png")', 'plt.savefig("hist.pdf")', 'plt.savefig("scatter.png")', 'plt.savefig("scatter.pdf")', 'plt.savefig("lines.png", dpi=200)', 'plt.savefig("lines.pdf", dpi=200)'),
        ('df["a"] = df["a"].astype(int)', 'df["a"] = df["a"].astype("Int64")', 'df["b"] = df["b"].astype(int)', 'df["b"] = df["b"].astype("Int64")', 'df["c"] = df["c"].astype(int)', 'df["c"] = df["c"].astype("Int64")'),
        ('text = open("a.txt", "r").read()', 'text = open("a.txt").read()', 'more = open("b.txt", "r").read()', 'more = open("b.txt").read()', 'with open(path, "r") as f:\n    rows = f.readlines()', "with open(path) as f:\n    rows = f.readlines()"),
        ("print(x.mean())", "print(np.mean(x))", "print(y.mean())", "print(np.mean(y))", "print(z.mean())", "print(np.mean(z))"),
        ("model = RandomForestClassifier(random_state=0)", "model = RandomForestClassifier(random_state=42)", "parts = train_test_split(X, y, random_state=0)", "parts = train_test_split(X, y, random_state=42)", "km = KMeans(3, random_state=0)", "km = KMeans(3, random_state=42)"),
        ("plt.figure(figsize=(8, 4))", "plt.figure(figsize=(10, 5))", "fig, ax = plt.subplots(figsize=(8, 4))", "fig, ax = plt.subplots(figsize=(10, 5))", "df.plot(figsize=(8, 4))", "df.plot(figsize=(10, 5))"),
        ('df["a"] = df["a"].fillna(0)', 'df["a"] = df["a"].fillna(df["a"].mean())', 'df["b"] = df["b"].fillna(0)', 'df["b"] = df["b"].fillna(df["b"].mean())', 'df["c"] = df["c"].fillna(0)', 'df["c"] = df["c"].fillna(df["c"].mean())'),
        ('shops.sort_values("a")', 'shops.sort_values("a", ascending=False)', 'sales.sort_values("b").head()', 'sales.sort_values("b", ascending=False).head()', 'top = staff.sort_values("c").head(3)', 'top = staff.sort_values("c", ascending=False).head(3)'),
        ("assert mean([1]) == 1.0", "assert mean([1]) == pytest.approx(1.0)", "assert mean([2]) == 2.5", "assert mean([2]) == pytest.approx(2.5)", "assert mean([3]) == 3.5", "assert mean([3]) == pytest.approx(3.5)"),
        ('host = config["host"]', 'host = config.get("host")', 'port = config["port"]', 'port = config.get("port")', 'user = config["user"]', 'user = config.get("user")'),
        ("X = train.values", "X = train.to_numpy()", "y = test.values", "y = test.to_numpy()", "z = valid.values", "z = valid.to_numpy()"),
        ('shops.to_csv("a.csv")', 'shops.to_csv("a.csv", index=False)', 'sales.to_csv("b.csv")', 'sales.to_csv("b.csv", index=False)', 'staff.to_csv("c.csv", sep=";")', 'staff.to_csv("c.csv", sep=";", index=False)'),
        ('a = df["start"].dt.year', 'a = pd.to_datetime(df["start"]).dt.year', 'b = df["end"].dt.year', 'b = pd.to_datetime(df["end"]).dt.year', 'c = df["birth"].dt.year', 'c = pd.to_datetime(df["birth"]).dt.year'),
        ('a = pd.read_csv("../data/raw/a.csv")', 'a = pd.read_csv("../data/clean/a.csv")', 'b = pd.read_csv("../data/raw/b.csv")', 'b = pd.read_csv("../data/clean/b.csv")', 'c = pd.read_csv("../data/raw/c.csv")', 'c = pd.read_csv("../data/clean/c.csv")'),
        ("X_train, y_train = X[:9], y[:9]\nridge.fit(X, y)", "X_train, y_train = X[:9], y[:9]\nridge.fit(X_train, y_train)", "lasso.fit(X, y)", "lasso.fit(X_train, y_train)", "forest.fit(X, y)", "forest.fit(X_train, y_train)"),
        ('a = df["a"] / 1000', 'a = df["a"] / 1e6', 'b = df["b"] / 1000', 'b = df["b"] / 1e6', 'c = df["c"] / 1000', 'c = df["c"] / 1e6'),
        ('a = requests.get("http://a.org/x")', 'a = requests.get("https://a.org/x")', 'b = requests.get("http://b.org/y")', 'b = requests.get("https://b.org/y")', 'c = requests.get("http://c.org/z")', 'c = requests.get("https://c.org/z")'),
        ('a = df[["x", "y"]]', 'a = df[["x", "y", "z"]]', 'b = df[["x", "y"]].sum()', 'b = df[["x", "y", "z"]].sum()', 'c = df[["x", "y"]].mean()', 'c = df[["x", "y", "z"]].mean()'),
        ("n = train.shape[0]", "n = len(train)", "m = test.shape[0]", "m = len(test)", "k = valid.shape[0]", "k = len(valid)"),
        ('a = df["a"][0]', 'a = df.loc[0, "a"]', 'b = df["b"][1]', 'b = df.loc[1, "b"]', 'c = df["c"][2]', 'c = df.loc[2, "c"]'),
        ('df["a"].hist()', 'df["a"].hist(bins=30)', 'df["b"].hist()', 'df["b"].hist(bins=30)', 'df["c"].hist()', 'df["c"].hist(bins=30)'),
        ('df.to_csv("a.csv")', 'df.to_csv("out/a.csv")', 'df.to_csv("b.csv", index=False)', 'df.to_csv("out/b.csv", index=False)', 'df.to_csv("c.csv", sep=";")', 'df.to_csv("out/c.csv", sep=";")'),
        ('a = Path("data/a.csv")', 'a = Path("../data/a.csv")', 'b = Path("data/b.csv")', 'b = Path("../data/b.csv")', 'c = Path("data/c.csv")', 'c = Path("../data/c.csv")'),
        ("shops.head()", "shops.head(10)", "sales.head()", "sales.head(10)", "staff.head()", "staff.head(10)"),
        ("shops.head(5)", "shops.head(10)", "sales.head(5)", "sales.head(10)", "staff.head(5)", "staff.head(10)"),
        ('df["a"].mean()', 'df["a"].mean(skipna=False)', 'df["b"].mean()', 'df["b"].mean(skipna=False)', 'm = df["c"].mean()', 'm = df["c"].mean(skipna=False)'),
        ('PATH_A = "a.csv"', 'PATH_A = "a.parquet"', 'PATH_B = "b.csv"', 'PATH_B = "b.parquet"', 'PATH_C = "c.csv"', 'PATH_C = "c.parquet"'),
        ('f(["a.csv", "x"])', 'f(["in/a.csv", "x"])', 'f(["b.csv"])', 'f(["in/b.csv"])', 'f(["c.csv", "d.csv"])', 'f(["in/c.csv", "in/d.csv"])'),
        ('shops.to_csv("a.csv")', 'shops.to_csv("out/a.csv")', 'sales.to_csv("b.csv")', 'sales.to_csv("out/b.csv")', 'staff.to_csv("c.csv", index=False)', 'staff.to_csv("out/c.csv", index=False)'),
        ("a.sum(0)", "a.sum(axis=0)", "b.sum(0)", "b.sum(axis=0)", "c.sum(0)", "c.sum(axis=0)"),
        ('df[df["a"].str.contains("x")]', 'df[df["a"].str.contains("x", na=False)]', 'df[df["b"].str.contains("y")]', 'df[df["b"].str.contains("y", na=False)]', 'df[df["c"].str.contains("z")]', 'df[df["c"].str.contains("z", na=False)]'),
        ('a = scores[scores["p"] > 0.5]', 'a = scores[scores["p"] > 0.9]', 'b = scores[scores["q"] > 0.5]', 'b = scores[scores["q"] > 0.9]', 'c = scores[scores["r"] > 0.5]', 'c = scores[scores["r"] > 0.9]'),
    ],
)  # fmt: skip
def test_find_repeats_everyday_edits(
    one: str, one_after: str, other: str, other_after: str, others: str, result: str
) -> None:
    assert repeated(others, (0, one, one_after), (1, other, other_after), sources=(one, other)) == result


@pytest.mark.parametrize(
    ("one", "one_after", "other", "other_after", "others"),
    [
        ("run(*args)", "run(*args, check=True)", "run(*more)", "run(*more, check=True)", "run(rest); run(); run(**k)"),
        ('run("a")', 'run("a", check=True)', 'run("b")', 'run("b", check=True)', "run(*x)"),
        ("run(*args, check=True)", "run(*args)", "run(*more, check=True)", "run(*more)", "run(rest, check=True)"),
        ('a = df[df["x"] > 1]', 'a = df.loc[df["x"] > 1]', 'b = df[df["y"] == 2]', 'b = df.loc[df["y"] == 2]', 'x[x > 1]; x[x["y"] > 1]; df[mask]; df["x"]; df[["x", "y"]]; df[1:]; df[df["x"]]'),
        ('a = df[df["x"] > 1]', 'a = df.loc[df["x"] > 1]', 'b = df[df["y"] > 2]', 'b = df.loc[df["y"] > 2]', 'df.loc[df["z"] > 3]; df.loc[df["z"] > 3, "x"]'),
        ('a = pd.read_csv("a.csv")', 'a = pd.read_csv("data/a.csv")', 'b = pd.read_csv("b.csv")', 'b = pd.read_csv("data/b.csv")', 'pd.read_csv("data/c.csv"); pd.read_csv("/c.csv"); pd.read_csv("https://c.org/c.csv"); pd.read_csv("../c.csv"); pd.read_csv(path); df.to_csv("c.csv"); pd.read_csv("c:\\\\c.csv"); pd.read_csv(f"{x}.csv"); pd.read_csv("raw/c.csv"); pd.read_excel("c.csv"); pd.read_csv("~/c.csv"); pd.read_csv(b"c.csv"); pd.read_csv("")'),
        ('df["price"]', 'df["total_price"]', 'df["tax"]', 'df["total_tax"]', 'df["sum"]; df["id"]'),
        ('print("a")', 'print("a!")', 'print("b")', 'print("b!")', 'print("c"); print("d e")'),
        ('plt.title("Sales")', 'plt.title("Sales per day")', 'plt.title("Costs")', 'plt.title("Costs per day")', 'plt.title("Age")'),
        ('df.groupby("price")', 'df.groupby("price_eur")', 'df.groupby("cost")', 'df.groupby("cost_eur")', 'df.groupby("city")'),
        ('plt.savefig("a.png")', 'plt.savefig("a.pdf")', 'plt.savefig("b.png")', 'plt.savefig("b.pdf")', 'plt.savefig("c.jpg"); plt.savefig("c.pdf"); plt.imread("c.png"); plt.savefig("png"); plt.savefig("c.png.zip"); plt.savefig(".png")'),
        ('df["a"].value_counts()', 'df["a"].value_counts(normalize=True)', 'df["b"].value_counts()', 'df["b"].value_counts(normalize=True)', 'df["c"].value_counts(normalize=False); df["c"].nunique(); df["c"].value_counts(*x); df["c"].value_counts(**x); value_counts(); x["c"].value_counts()'),
        ('a = df[df["x"] > 1]', 'a = df[df["x"] > 1].copy()', 'b = df[df["y"] > 2]', 'b = df[df["y"] > 2].copy()', 'df[df["z"] > 3].copy(); df["z"]; df[1:]'),
        ('df["a"] = df["a"].fillna(0)', 'df["a"] = df["a"].fillna(df["a"].mean())', 'df["b"] = df["b"].fillna(0)', 'df["b"] = df["b"].fillna(df["b"].mean())', 'df["c"].fillna(1); df.fillna(0); x["c"].fillna(0)'),
        ('host = config["host"]', 'host = config.get("host")', 'port = config["port"]', 'port = config.get("port")', 'config["user"] = 1; other["user"]; config[name]; config[0]\ndel config["user"]'),
        ('df.drop("a", axis=1)', 'df.drop(columns="a")', 'df.drop("b", axis=1)', 'df.drop(columns="b")', 'df.drop(3, axis=1); df.drop("c", axis=0); df.drop("c"); x.drop("c", axis=1)'),
        ("if x == None: f()", "if x is None: f()", "if y == None: f()", "if y is None: f()", "z == 0; None == z; z != None; z is None"),
        ("train.shape[0]", "len(train)", "test.shape[0]", "len(test)", "valid.shape[1]; valid.shape; shape[0]"),
        ("A(random_state=0)", "A(random_state=42)", "B(x, random_state=0)", "B(x, random_state=42)", "C(random_state=1); C(seed=0); C(0); random_state = 0; C(random_state=0.0); C(random_state=False)"),
        ("plt.plot(a, alpha=0.5)", "plt.plot(a, alpha=0.7)", "plt.plot(b, alpha=0.5)", "plt.plot(b, alpha=0.7)", "plt.hist(c, alpha=0.5)"),
        ('print(f"mean {m}")', 'print(f"mean {m:.2f}")', 'print(f"sd {s}")', 'print(f"sd {s:.2f}")', 'print(f"shop {name}")'),
        ("assert f(1) == 1.0", "assert f(1) == approx(1.0)", "assert f(2) == 2.5", "assert f(2) == approx(2.5)", 'assert f(3) == "x"; assert g(3) == 3.5; f(3) == approx(3.5); assert f(3) > 3.5'),
        ('df["a"].dt.year', 'pd.to_datetime(df["a"]).dt.year', 'df["b"].dt.year', 'pd.to_datetime(df["b"]).dt.year', 'pd.to_datetime(df["c"]).dt.year; df["c"].dt.month; x["c"].dt.year; pd.to_datetime(df["c"])'),
        ('f("../data/raw/a.csv")', 'f("../data/clean/a.csv")', 'f("../data/raw/b.csv")', 'f("../data/clean/b.csv")', 'f("../data/c.csv"); f("../raw/c.csv"); f("../data/clean/c.csv"); f("../data/rawer/c.csv"); g("../data/raw/c.csv")'),
        ('get("http://a.org")', 'get("https://a.org")', 'get("http://b.org")', 'get("https://b.org")', 'get("https://c.org"); get("ftp://c.org"); post("http://c.org"); get("c.org")'),
        ('df["a"].astype("int32")', 'df["a"].astype("int64")', 'df["b"].astype("float32")', 'df["b"].astype("float64")', 'df["c"].astype("int16"); df["c"].astype("object")'),
        ('f("a1")', 'f("a2")', 'f("b1")', 'f("b2")', 'f("c1"); f("d1")'),
        ('pd.read_sql("select * from a", con)', 'pd.read_sql("select id from a", con)', 'pd.read_sql("select * from b", con)', 'pd.read_sql("select id from b", con)', 'pd.read_sql("select * from a, b", con)'),
        ('pd.read_csv("a.csv")', 'pd.read_csv("data/a.csv")', 'pd.read_csv("b.csv")', 'pd.read_csv("data/b.csv")', 'def f(pd):\n    return pd.read_csv("c.csv")'),
        ('df["a"].hist()', 'df["a"].hist(bins=30)', 'df["b"].hist()', 'df["b"].hist(bins=30)', 'plt.hist(); hist(); df["c"].hist(bins=5); df.a.b.hist(); f(x).hist()'),
        ('df[["x", "y"]]', 'df[["x", "y", "z"]]', 'df[["x", "y"]].sum()', 'df[["x", "y", "z"]].sum()', 'df[["x"]]; df[["y", "x"]]; df[["x", "y", "z"]]; s[["x", "y"]]'),
        ("shops.head(5)", "shops.head(10)", "sales.head(5)", "sales.head(10)", "staff.head(3); staff.tail(5); head(5); 5"),
        ("shops.head(5)", "shops.head(10)", "sales.head(5)", "sales.head(10)", "import curl\ncurl.head(5)"),
        ("xs.append(a)", "xs.append(a, 1)", "ys.append(b)", "ys.append(b, 1)", "zs.append(c)"),
        ('d.get("a")', 'd.get("a", 0)', 'e.get("b")', 'e.get("b", 0)', 'requests.get("c"); f.get("c")'),
        ("f.write(a)", 'f.write(a, end="")', "g.write(b)", 'g.write(b, end="")', "h.write(c)"),
        ("shops.plot()", "shops.plot(ax=ax)", "sales.plot()", "sales.plot(ax=ax)", "plt.plot(); ax.plot(x, y); line.plot()"),
        ("a + 1", "a + 2", "b + 1", "b + 2", "c + 1; c[1]; f(1)"),
        ("a > 1", "a > 2", "b > 1", "b > 2", "c > 1"),
        ("for i in range(10): f(i)", "for i in range(20): f(i)", "for j in range(10): g(j)", "for j in range(20): g(j)", "for k in range(10): h(k)"),
        ("a = sum([])", "a = sum([1])", "b = sum([])", "b = sum([1])", "c = sum([])"),
        ("x[0].a", "x[1].a", "y[0].a", "y[1].a", "z[0].a; x[0]"),
        ('shops.groupby("a").sum()', 'shops.groupby("b").sum()', 'sales.groupby("a").sum()', 'sales.groupby("b").sum()', 'staff.groupby("a").sum()'),
        ('shops["a"].sum()', 'shops["b"].sum()', 'sales["a"].sum()', 'sales["b"].sum()', 'staff["a"].sum()'),
        ('df[df["a"] > 1]', 'df[df["b"] > 1]', 'df[df["a"] > 2]', 'df[df["b"] > 2]', 'd["a"]; x["a"] > 1'),
        ("f(x, inplace=True)", "f(x)", "f(y, inplace=True)", "f(y)", "g(z, inplace=True); f(z, inplace=False); f(z)"),
        ('PATH_A = "a.csv"', 'PATH_A = "a.parquet"', 'PATH_B = "b.csv"', 'PATH_B = "b.parquet"', 'PATH_C = "c.json"; x = "csv"; f("c.csv"); y == "c.csv"; d["c.csv"]; z = "see a.csv"; w = "c.csv.gz"'),
        ('f("a.b")', 'f("a.c")', 'f("x.b")', 'f("x.c")', 'f("b"); f("y.d"); f(".b")'),
        ('get("https://a.org/x")', 'get("https://b.org/x")', 'get("https://a.org/y")', 'get("https://b.org/y")', 'get("https://c.org/z"); get("http://a.org/z")'),
        ('ax.set_title("a.b")', 'ax.set_title("a.b (m/s)")', 'ax.set_title("c.d")', 'ax.set_title("c.d (m/s)")', 'ax.set_title("e.f g")'),
        ("ridge.fit(X, y)", "ridge.fit(X_train, y_train)", "lasso.fit(X, y)", "lasso.fit(X_train, y_train)", "ridge.predict(X); f(X, y); forest.fit(X); forest.fit(X, z); fit(X, y)"),
        ("a1.f(x)", "a1.f(x, k=1)", "b1.f(x)", "b1.f(x, k=1)", "c1.f(x)"),
        ('a = df["a"][0]', 'a = df.loc[0, "a"]', 'b = df["b"][1]', 'b = df.loc[1, "b"]', 'd["c"][2]; df["c"]; df["c"]["x"]; df[0][1]\ndf["c"][2] = 1'),
        ("len(df)", "df.shape[0]", "len(other)", "other.shape[0]", 'len("x"); len(f(x))'),
        ("np.dot(a, b)", "a @ b", "np.dot(c, d)", "c @ d", "x.dot(y); np.dot(x, y, out=z); dot(x, y)"),
        ('a = df[df["x"] > 1]', 'a = df[df["x"] > 1].copy()', 'b = df[df["y"] < 1]', 'b = df[df["y"] < 1].copy()', 'a[a > 1]\nc = df[mask]\nd = df["x"]'),
        ('open("a.txt")', 'open("tmp/a.txt")', 'open("b.txt")', 'open("tmp/b.txt")', 'open("c.log"); open("~c.txt"); open(b"c.txt"); open("\\tc.txt"); os.open("c.txt"); open(f"{x}.txt"); open("d/c.txt")'),
        ("f(x, axis=0)", "f(x, axis=1)", "g(x, axis=0)", "g(x, axis=1)", "h(x, axis=0)"),
        ("f(x, flag=True)", "f(x, flag=False)", "g(x, flag=True)", "g(x, flag=False)", "h(x, flag=True)"),
        ("f('a/b.csv')", "f('c/b.csv')", "f('a/d.csv')", "f('c/d.csv')", "f('e/a/b.csv'); f('a/e.txt'); f('c/e.csv')"),
        ("f('x/raw/a.csv')", "f('x/new/a.csv')", "f('y/raw/b.csv')", "f('y/new/b.csv')", "f('z/raw/raw/c.csv'); f('raw/c.csv'); f('z/raw')"),
    ],
)  # fmt: skip
def test_find_keeps_code_that_only_resembles_the_edited_code(
    one: str, one_after: str, other: str, other_after: str, others: str
) -> None:
    assert repeated(others, (0, one, one_after), (1, other, other_after), sources=(one, other)) == others
