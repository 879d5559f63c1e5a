from __future__ import annotations

import pytest

from jupyter_turbopilot.analysis.report import ObjectDescription
from jupyter_turbopilot.fixes.conversions import find
from jupyter_turbopilot.fixes.failed_cell import FailedCell
from jupyter_turbopilot.fixes.find import FINDERS
from jupyter_turbopilot.protocol.fix import Fix
from tests.fixes.failing import applied, failure

TEXT_FIRST = 'TypeError: can only concatenate str (not "int") to str'
NUMBER_FIRST = "TypeError: unsupported operand type(s) for +: 'int' and 'str'"
NUMPY_FIRST = (
    "UFuncTypeError: ufunc 'add' did not contain a loop with signature matching types "
    "(dtype('float64'), dtype('<U6')) -> None"
)
OBJECTS = {
    "unit": ObjectDescription(type="str", module="builtins"),
    "share": ObjectDescription(type="float64", module="numpy"),
    "shares": ObjectDescription(type="ndarray", module="numpy"),
    "tax": ObjectDescription(type="int", module="builtins"),
}
NO_DATES = "AttributeError: Can only use .dt accessor with datetimelike values"
SERIES = ObjectDescription(type="Series", module="pandas", strings=True)
PANDAS = ObjectDescription(type="module", module="pandas", name="pandas")


def message(kind: str) -> str:
    return TEXT_FIRST.replace("int", kind)


@pytest.mark.parametrize(
    ("source", "expression", "error", "fixed"),
    [
        ('"Total: " + total', "", TEXT_FIRST, '"Total: " + str(total)'),
        ('name + ": " + n + "!"', 'name + ": " + n', TEXT_FIRST, 'name + ": " + str(n) + "!"'),
        ('"Total: " + total + unit', '"Total: " + total', TEXT_FIRST, '"Total: " + str(total) + unit'),
        ('print("a" + (b + c))', '"a" + (b + c)', TEXT_FIRST, 'print("a" + str(b + c))'),
        ('"a" + -b * 2', '"a" + -b * 2', message("float"), '"a" + str(-b * 2)'),
        ("'ä' + df['x'].max()", "'ä' + df['x'].max()", message("numpy.int64"), "'ä' + str(df['x'].max())"),
        ('"-" * 10 + n', '"-" * 10 + n', message("decimal.Decimal"), '"-" * 10 + str(n)'),
        ('f"{a}" + n', 'f"{a}" + n', message("bool"), 'f"{a}" + str(n)'),
        ("f\"{'a' + n}\"", "'a' + n", TEXT_FIRST, "f\"{'a' + str(n)}\""),
        ('", ".join(names) + n', '", ".join(names) + n', TEXT_FIRST, '", ".join(names) + str(n)'),
        ('"5 of " + n', '"5 of " + n', TEXT_FIRST, '"5 of " + str(n)'),
        ('count + " items"', 'count + " items"', NUMBER_FIRST, 'str(count) + " items"'),
        ('n + sep + "x"', "n + sep", NUMBER_FIRST, 'str(n) + sep + "x"'),
        ('(a - b) + " items"', '(a - b) + " items"', NUMBER_FIRST, 'str(a - b) + " items"'),
        ('df["x"].mean() + " kg"', "", NUMPY_FIRST, 'str(df["x"].mean()) + " kg"'),
        ('round(df.x.mean(), 2) + " kg"', "", NUMPY_FIRST, 'str(round(df.x.mean(), 2)) + " kg"'),
        ('share + " %"', "", NUMPY_FIRST, 'str(share) + " %"'),
    ],
)
def test_find_converts_a_number_to_a_string(source: str, expression: str, error: str, fixed: str) -> None:
    failed = failure(source, error, expression, objects=OBJECTS)
    (fix,) = find(failed)
    assert applied(failed, fix) == fixed
    assert (fix.source, fix.run) == ("kernel", [0])


@pytest.mark.parametrize(
    ("source", "expression", "error"),
    [
        ('"5" + 3', "", TEXT_FIRST),
        ('" -1,5 " + x', "", TEXT_FIRST),
        ("answer + 1", "", TEXT_FIRST),
        ("1 + answer", "", NUMBER_FIRST),
        ('input("Age? ") + 1', "", TEXT_FIRST),
        ('"%d items" + n', "", TEXT_FIRST),
        ('"{} items" + n', "", TEXT_FIRST),
        ('"Total: " + price + tax', '"Total: " + price', TEXT_FIRST),
        ('"Total: " + price + 1', '"Total: " + price', TEXT_FIRST),
        ('"a" + b + ("c" + d)', "", TEXT_FIRST),  # which one failed is unknown
        ('"a" + items', "", message("list")),
        ('"a" + None', "", message("NoneType")),
        ('"a" + n', "", message("mine.int")),
        ('text += "a"', "", "TypeError: unsupported operand type(s) for +=: 'int' and 'str'"),
        ('sum(["a"])', "", NUMBER_FIRST),
        ('shares + " %"', "", NUMPY_FIRST),
        ('df["x"].mean(axis=0) + " %"', "", NUMPY_FIRST),
        ('"a" + n', "", 'TypeError: can only concatenate list (not "str") to list'),
    ],
)
def test_find_skips_an_uncertain_sum(source: str, expression: str, error: str) -> None:
    assert [*find(failure(source, error, expression, objects=OBJECTS))] == []


def test_find_skips_sums_with_another_str_or_in_a_library() -> None:
    source = '"Total: " + total'
    assert [*find(failure(source, TEXT_FIRST, source))]
    assert not [*find(failure(source, TEXT_FIRST, source, names=["str"]))]
    assert not [*find(failure(source, TEXT_FIRST, source, library=True))]


def test_find_converts_a_number_in_a_sum_of_many_terms() -> None:
    terms = " + ".join(['"a"', *(f"b{n}" for n in range(300)), '"c"'])
    source = f'"x" + n + {terms}'
    failed = failure(source, TEXT_FIRST, '"x" + n')
    (fix,) = find(failed)
    assert applied(failed, fix) == f'"x" + str(n) + {terms}'


def failed_dates(source: str, expression: str, **options: object) -> FailedCell:
    fields = {"name": "dt", "object": SERIES, "objects": {"pd": PANDAS}, "library": True, **options}
    return failure(source, NO_DATES, expression, **fields)  # type: ignore[arg-type]


def dates(source: str, expression: str, **options: object) -> list[Fix]:
    return [*find(failed_dates(source, expression, **options))]


@pytest.mark.parametrize(
    ("source", "expression", "fixed"),
    [
        ('df["day"].dt.year', 'df["day"].dt', 'pd.to_datetime(df["day"]).dt.year'),
        ('x = f(df["day"].dropna().dt.hour)', 'df["day"].dropna().dt', 'x = f(pd.to_datetime(df["day"].dropna()).dt.hour)'),
        (
            'x = df["day"].dt.year\ny = df["day"].dt.month + df["end"].dt.year',
            'df["day"].dt',
            'x = pd.to_datetime(df["day"]).dt.year\ny = pd.to_datetime(df["day"]).dt.month + df["end"].dt.year',
        ),
        (
            'def f(df): return df["day"].dt.year\nx = df["day"].dt.year',
            'df["day"].dt',
            'def f(df): return pd.to_datetime(df["day"]).dt.year\nx = df["day"].dt.year',
        ),
    ],
)  # fmt: skip
def test_find_converts_strings_to_dates(source: str, expression: str, fixed: str) -> None:
    failed = failed_dates(source, expression)
    (fix,) = find(failed)
    assert applied(failed, fix) == fixed
    assert fix.run == [0]


@pytest.mark.parametrize(
    ("source", "expression"),
    [
        ('df["day"].dt.days', 'df["day"].dt'),  # of a duration
        ('x = df["day"].dt', 'df["day"].dt'),
        ('df["day"].dt.year + df["day"].dt.month', ""),  # which one failed is unknown
        ('getattr(df["day"], "dt")', ""),
    ],
)
def test_find_skips_an_uncertain_use_of_dates(source: str, expression: str) -> None:
    assert dates(source, expression) == []


@pytest.mark.parametrize("source", ["days.dt.year", "%%time\nx = days.dt.year"])
def test_find_adds_the_import_of_pandas(source: str) -> None:
    failed = failed_dates(source, "days.dt", objects={})
    (fix,) = find(failed)
    fixed = source.replace("days", "pd.to_datetime(days)")
    head, magic, rest = fixed.rpartition("%%time\n")
    results = [source]
    for edit in reversed(fix.edits):
        results.append(results[-1][: edit.start] + edit.text + results[-1][edit.end :])
    assert results[-1] == f"{head}{magic}import pandas as pd\n{rest}"
    assert dates(source, "days.dt", objects={}, names=["pd"]) == []  # perhaps another object


SALES = "import pandas as pd\ndf = pd.DataFrame({'city': ['Oslo', 'Bergen'], 'year': [1, 1], 'price': [2.0, 3.0]})\n"
TABLE = ObjectDescription(type="DataFrame", module="pandas", labels=["city", "year", "price"])


def failed_calculation(source: str, expression: str = "", **objects: ObjectDescription) -> FailedCell:
    """Return the failure of a cell as pandas reports it."""
    with pytest.raises((TypeError, ValueError)) as caught:
        exec(SALES + source)  # noqa: S102
    error = f"{caught.type.__name__}: {caught.value}"
    return failure(source, error, expression or source, objects={"df": TABLE, **objects}, library=True)


@pytest.mark.parametrize(
    ("source", "expression", "fixed"),
    [
        ("df.mean()", "", "df.mean(numeric_only=True)"),
        ("df.corr()", "", "df.corr(numeric_only=True)"),
        ("df.corr('kendall')", "", "df.corr('kendall', numeric_only=True)"),
        ("df.std(ddof=0)", "", "df.std(ddof=0, numeric_only=True)"),
        ("df.mean(axis=1)", "", "df.mean(axis=1, numeric_only=True)"),
        ("df.groupby('year').median()", "", "df.groupby('year').median(numeric_only=True)"),
        ("x = df[df.price > 1].mean().round(1)", "df[df.price > 1].mean()", "x = df[df.price > 1].mean(numeric_only=True).round(1)"),
        ("df.mean(\n)", "", "df.mean(\nnumeric_only=True)"),
    ],
)  # fmt: skip
def test_find_omits_columns_of_strings_from_a_calculation(source: str, expression: str, fixed: str) -> None:
    failed = failed_calculation(source, expression)
    (fix,) = FINDERS[failed.name][-1](failed)
    assert applied(failed, fix) == fixed
    exec(SALES + fixed)  # noqa: S102


@pytest.mark.parametrize(
    "error",
    [
        "agg function failed [how->mean,dtype->object]",
        "Could not convert ['OsloBergen'] to numeric",
        "Could not convert string 'OsloBergen' to numeric",
        "Cannot perform reduction 'mean' with string dtype",
    ],
)
def test_find_knows_the_errors_of_several_versions(error: str) -> None:
    failed = failure("df.mean()", f"TypeError: {error}", "df.mean()", objects={"df": TABLE}, library=True)
    assert [applied(failed, fix) for fix in find(failed)] == ["df.mean(numeric_only=True)"]


@pytest.mark.parametrize(
    "source",
    [
        "df['city'].mean()",
        "df[['city', 'price']].mean()",
        "df.groupby('year')['city'].mean()",
        "df.mean(numeric_only=False)",
        "df.mean(**{'axis': 1})",
        "df.agg('mean')",
        "df.apply(lambda column: column.mean())",
        "df.city.mean()",
    ],
)
def test_find_adds_no_argument_for_other_objects(source: str) -> None:
    assert [*find(failed_calculation(source))] == []


def test_find_adds_no_argument_to_tables_that_are_unknown() -> None:
    polars = ObjectDescription(type="DataFrame", module="polars", labels=["city"])
    for other in (polars, ObjectDescription(type="Frame", module="own", labels=["city"])):
        assert [*find(failed_calculation("df.mean()", df=other))] == []
    assert [*find(failure("df.mean()", NUMBER_FIRST, "df.mean()", objects={"df": TABLE}, library=True))] == []
