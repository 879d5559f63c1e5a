import pytest
from msgspec.structs import replace

from jupyter_turbopilot.analysis.kernel_context import KernelContext, ObjectInfo
from jupyter_turbopilot.analysis.resolve import bindings
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.suggestion.names import Names, scope_of

FACTS = KernelContext(
    names={
        "df": ObjectInfo(type="DataFrame", columns=["price"], all=True, attributes=frozenset({"head"})),
        "load": ObjectInfo(type="function", parameters=["path"]),
        "more": ObjectInfo(type="function", parameters=["path"], open=True),
    },
    all=True,
)


def request(*cells: tuple[str, bool | None], text: str = "x = ") -> Completion:
    made = [Cell(source=source, executed=executed) for source, executed in cells]
    return Completion(cells=[*made, Cell(source=text)], active=len(made), offset=len(text))


def test_scope_of_combines_kernel_and_cells_that_have_not_run() -> None:
    scope = scope_of(request(("later = 1", None)), FACTS)
    assert scope.names == {"df", "load", "more", "later"}


def test_scope_of_a_fresh_kernel_has_no_names() -> None:
    scope = scope_of(request(("import numpy as np", None)), KernelContext(all=True))
    assert scope.names == {"np"}
    assert not Names(request(), scope).fit("pd.read_csv(1)")
    assert scope_of(request(), KernelContext()).names is None


@pytest.mark.parametrize(
    "cell",
    [
        "from pylab import *",
        "if x:\n  from .a import *",
        "%run b.py",
        "x = 1\n%pylab",
        "%%cython\ndef f(): 1",
        "%%bigquery sales\nSELECT 1",
        "%%capture out\nprint(1)",
        "%%R -o frame\nframe",
    ],
)
def test_scope_of_is_open_below_a_cell_that_binds_anything(cell: str) -> None:
    assert scope_of(request((cell, None)), FACTS).names is None
    assert scope_of(request((cell, True)), FACTS).names == FACTS.names.keys() | ({*bindings(cell)} - {"*"})
    is_magic = cell.startswith("%%")  # a magic binds names when the cell has run
    assert (scope_of(request(text=f"{cell}\nx = "), FACTS).names is None) is not is_magic


@pytest.mark.parametrize("names", [{}, {"np": ObjectInfo()}])
def test_scope_of_is_open_after_a_restart_below_such_a_cell(
    names: dict[str, ObjectInfo],
) -> None:
    asks = request(("from pylab import *\nimport numpy as np", True))
    assert scope_of(asks, KernelContext(names, all=True)).names is None
    assert scope_of(asks, KernelContext({**names, "plot": ObjectInfo()}, all=True)).names is not None


@pytest.mark.parametrize("cell", ["%%time\nx = 1", "%%capture\nx = 1", "%%writefile a.py\nx", "%load_ext a"])
def test_scope_of_stays_closed_after_other_magics(cell: str) -> None:
    assert scope_of(request((cell, None)), FACTS).names is not None


def test_scope_of_includes_columns_as_attributes() -> None:
    assert scope_of(request(), FACTS).attributes["df"] == {"head", "price"}


def test_scope_of_excludes_polars_columns_from_attributes() -> None:
    table = replace(FACTS.names["df"], module="polars.dataframe.frame")
    assert scope_of(request(), KernelContext(names={"df": table})).attributes["df"] == {"head"}


def test_scope_of_excludes_names_that_a_cell_may_change() -> None:
    for executed in (None, False):
        scope = scope_of(request(("df = other()", executed)), FACTS)
        assert "df" not in scope.attributes
        assert "df" not in scope.columns
    assert "df" in scope_of(request(("df = other()", True)), FACTS).columns


@pytest.mark.parametrize("executed", [None, False])
@pytest.mark.parametrize(
    ("cell", "columns"),
    [
        ("df['prise'] *= 2", {"price"}),
        ("df['prise'] = df['prise'].abs()", {"price"}),
        ("df['price'] = df['price'] * 2", {"price"}),
        ("df['tax'] = df['price'] / 5\ndf['tax'] += 1", {"price", "tax"}),
    ],
)
def test_scope_of_has_no_column_whose_value_an_assignment_needs(
    cell: str, columns: set[str], executed: bool | None
) -> None:
    assert scope_of(request((cell, executed)), FACTS).columns["df"] == columns


def test_scope_of_includes_keywords_of_closed_signatures() -> None:
    assert set(scope_of(request(), FACTS).keywords) == {"load"}


@pytest.mark.parametrize(
    ("text", "fits", "lacks_name"),
    [
        ('df["price"].sum()', True, False),
        ('df["prise"].sum()', False, True),
        ("df)", False, False),
        ("unknown", False, True),
    ],
)
def test_fit_requires_valid_syntax_and_existing_names(text: str, fits: bool, lacks_name: bool) -> None:
    names = Names(request(), scope_of(request(), FACTS))
    assert names.fit(text) is fits
    assert names.lacks_name is lacks_name


def test_fit_without_facts_checks_only_syntax() -> None:
    fits = Names(request(), scope_of(request(), KernelContext())).fit
    assert fits("unknown.value")
    assert not fits("unknown)")


def test_fit_checks_only_brackets_in_other_languages() -> None:
    other = Completion(cells=[Cell(source="SELECT (")], offset=8, language="sql")
    fits = Names(other, scope_of(other, FACTS)).fit
    assert fits("a + b) FROM c")
    assert not fits("a]")


def test_fit_accepts_a_magic_for_its_language() -> None:
    cell = Completion(cells=[Cell(source="%%sql\nSELECT name FROM sales ")], offset=29)
    fits = Names(cell, scope_of(cell, FACTS)).fit
    assert fits("WHERE amount > 100")
    assert not fits("FROM FROM")


def test_scope_of_ignores_text_cells() -> None:
    cells = [Cell(type="markdown", source="df = other()"), Cell(source="x = ")]
    scope = scope_of(Completion(cells=cells, active=1, offset=4), FACTS)
    assert "df" in scope.columns


def test_fit_accepts_any_name_in_an_open_scope() -> None:
    assert scope_of(request(), KernelContext(names=FACTS.names)).names is None
    some = replace(FACTS.names["df"], all=False)
    assert scope_of(request(), KernelContext(names={"df": some}, all=True)).columns == {}


def test_fit_ignores_the_line_of_a_cell_magic() -> None:
    cell = Completion(cells=[Cell(source="%%klingon --ends ]\nf(a")], offset=22)
    assert not Names(cell, scope_of(cell, FACTS)).fit("]")


def test_fit_accepts_names_bound_after_the_cursor() -> None:
    cell = Completion(cells=[Cell(source="x = \nlater = 1")], offset=4)
    assert Names(cell, scope_of(cell, FACTS)).fit("later")


@pytest.mark.parametrize(
    ("before", "text", "after", "fits"),
    [
        ('x = df["pr', "i", 'ce"]', True),
        ('x = df["pr', "inc", 'ce"]', False),
        ("x = df.he", "a", "d", True),
        ("print(lo", "a", "d)", True),
        ("pr", "in", "t(1)", True),
    ],
)
def test_a_suggestion_within_a_word_completes_a_known_name(
    before: str, text: str, after: str, fits: bool
) -> None:
    cells = [Cell(source="total = 1", executed=True), Cell(source=before + after)]
    asks = Completion(cells=cells, active=1, offset=len(before))
    names = Names(asks, scope_of(asks, FACTS))
    assert (names.joins(text), names.fit(text)) == (fits, fits)


@pytest.mark.parametrize(
    ("before", "text", "fits"),
    [
        ("df.sort_values(", '"price")', True),
        ("df.sort_values(", 'by="weight")', False),
        ("df.sort_values(", '["price", "weight"', False),
        ("x = ", 'df.head().groupby("wei', False),
        ("x = df", '[["weight"]]', False),
        ("x = ", 'df.rename(columns={"price": "cost"}).sort_values("cost")', True),
        ("x = ", 'other.sort_values("weight")', True),
        ("", 'df["weight"] = 1\ndf.sort_values("weight")', True),
        ("df = load(1)\ndf.sort_values(", '"weight")', True),
        ("", 'df[["weight", "week"]] = 1', True),
        ("x = ", 'df.sort_values("we" + rest)', True),
        ("df.agg(", 'total=("weight", "sum"))', False),
    ],
)
def test_a_suggestion_names_only_columns_of_its_table(before: str, text: str, fits: bool) -> None:
    facts = replace(FACTS, names=FACTS.names | {"df": replace(FACTS.names["df"], attributes=None)}, all=False)
    asks = request(("other = 1", True), text=before)
    assert Names(asks, scope_of(asks, facts)).fit(text) is fits


LOG = "def log(text, city):\n    print(text, city)"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (LOG, "log("),
        (f"%matplotlib inline\n{LOG}", "log("),
        ("x = [city for city in df]", "x = "),
        ("class A:\n    city = 1", "x = "),
        (None, f"{LOG}\nlog("),
        (None, 'df.agg(city=("x", "max"))\nprint('),
        (None, "df.city = 2\nprint("),
        (None, "f = lambda city: 1\nprint("),
        (None, "x = [city for city in df]\nprint("),
        (None, "class A:\n    city = 1\nprint("),
    ],
)
def test_names_of_parameters_and_columns_do_not_exist_elsewhere(cell: str | None, text: str) -> None:
    asks = request(*([(cell, True)] if cell else []), text=text)
    assert not Names(asks, scope_of(asks, FACTS)).fit("city)")


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("city = 1", "x = "),
        ("%matplotlib inline\ncity = 1", "x = "),
        ("%%time\ncity = 1", "x = "),
        ('%time city = load("a")', "x = "),
        ("import os\n%timeit -n 1 city = 1\n", "x = "),
        ("if x:\n    %prun -s time city = 1", "x = "),
        ("%memit city, x = 1, 2\n%time y = 1", "x = "),
        (None, '%time city = load("a")\nprint('),
        ("def f():\n    global city\n    city = 1", "x = "),
        (None, "def f(city):\n    print("),
        (None, "def f(city):\n    if x:\n        print(1)\n    print("),
        (None, "f = lambda city: print("),
        (None, "for city in df:\n    pass\nprint("),
        (None, "if x:\n    city = 1\nprint("),
        (None, "x = [print(city) for city in df if "),
    ],
)
def test_names_that_the_line_of_the_cursor_sees_exist(cell: str | None, text: str) -> None:
    asks = request(*([(cell, True)] if cell else []), text=text)
    assert Names(asks, scope_of(asks, FACTS)).fit("city")


@pytest.mark.parametrize(
    ("prefix", "text", "fits"),
    [
        ("def summa", "ss(self):", False),
        ("async def summa", "ss(cls, x):", False),
        ("def f(", "self):", False),
        ("def outer():\n    def f", "oo(self):", False),
        ("class A:\n    def g(self):\n        return 1\n\ndef f", "oo(self):", False),
        ("x = 1\n", "class A: pass\n\ndef f(self): pass", False),
        ("def f(self", ", x):", True),
        ("def summa", "ry(selfish):", True),
        ("class A:\n    def summa", "ss(self):", True),
        ("class A:\n    def g(self):\n        return 1\n\n    @property\n    def f", "oo(self):", True),
        ("class A(\n    B,\n):\n    if C:\n        def f", "oo(cls):", True),
        ("x = 1\n", "class A:\n    def f(self): pass", True),
        ("@patch\ndef f", "(self: Path):", True),
        ("", "@app.task(bind=True)\ndef run(self, x):", True),
        ("@app.task(\n    bind=True,\n)\nasync def run", "(self, x):", True),
        ("if x:\n    @patch\n    def f", "(self):", True),
        ("def f(self):\n    return 1\n\nA.f = f\n\ndef g", "(self):", True),
        ("def make():\n    def f(self):\n        return 1\n    def g", "(self):", True),
        ("@patch\ndef f(x):\n    return 1\n\ndef g", "(self):", False),
        ("print(\n    1\n)\n\ndef g", "(self):", False),
        ("if x:\n    y = 1\n    def g", "(self):", False),
    ],
)
def test_methods_are_suggested_only_in_classes(prefix: str, text: str, fits: bool) -> None:
    asks = request(text=prefix)
    assert Names(asks, scope_of(asks, KernelContext())).fit(text) is fits
