"""The rows of `library_facts.toml`, compared with the installed libraries."""

import collections
import contextlib
import copy
import functools
import importlib
import inspect
import itertools
import logging
import pathlib
import re
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, get_args

import pytest
from packaging.specifiers import SpecifierSet

from jupyter_turbopilot.analysis.library_facts import (
    CLASSES,
    FILES,
    MEMBERS,
    PARAMETERS,
    ROWS,
    Fact,
    Meaning,
    Row,
    files_read,
    functions,
    methods,
    names_columns,
    values_of,
)

# Facts that are not compared with a result, with the reason.
NOT_COMPARED = {
    "accessor": "compared with the columns of `plot`, and as `locates`",
    "axis": "compared with the parameters",
    "condition": "compared as `code`",
    "element": "it depends on the elements",
    "formula": "compared as `code`",
    "joins": "compared with the columns",
    "label": "compared as `changes`",
    "new": "it holds for most functions of a module",
    "of_values": "compared with the attributes",
    "others": "compared with the parameters",
    "passes": "compared as `calls`",
    "text": "it is the meaning of an argument",
}
ROWS_NOT_COMPARED = {
    ("context", "code"): "it would import a module",
    ("option_context", "code"): "it would import a module",
    ("plot", "more"): "it draws a plot",
    ("reload_library", "changes"): "it reads files of the user",
    ("set_option", "code"): "it would import a module",
    ("sort_index", "of_rows"): "its arguments are levels",
    ("switch_backend", "code"): "it would import a module",
    ("use", "code"): "it would import a module",
}


# The table -----------------------------------------------------------------------------------------------


def test_rows_have_known_facts_of_which_each_occurs() -> None:
    assert {fact for row in ROWS for fact in row.facts} == {*get_args(Fact)}
    assert {meaning for _, meanings in PARAMETERS.values() for meaning in meanings} == {*get_args(Meaning)}


def test_rows_are_sorted_and_differ() -> None:
    names = [("." in row.name, row.name, row.libraries) for row in ROWS]
    assert names == sorted(names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("method", "argument", "options", "expected"),
    [
        ("groupby", "0", {}, True),
        ("groupby", "by", {}, True),
        ("groupby", "0", {"is_dict": True}, False),
        ("agg", "func", {"is_dict": True}, True),
        ("agg", "func", {}, False),
        ("head", "0", {}, False),
        ("total", "", {}, False),
        ("join", "on", {"of_other": True}, True),
        ("join", "on", {"of_other": True, "library": "pandas"}, False),
        ("merge", "right_on", {}, False),
    ],
)
def test_names_columns_finds_the_arguments_of_a_method(
    method: str, argument: str, options: dict[str, Any], expected: bool
) -> None:
    assert names_columns(method, argument, **options) == expected


def test_methods_have_no_modules() -> None:
    assert "sorted" in methods("calls")
    assert "builtins.sorted" in functions("calls")
    assert "insert" in methods("changes", library="pandas")
    assert "insert" not in methods("changes", library="polars")
    assert values_of("label") == {"insert": ("1",), "setdefault": ("0",)}


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("pandas.io.parsers.readers.read_csv", ("0", "filepath_or_buffer")),
        ("polars.io.csv.functions.read_csv", ("0", "source")),
        ("builtins.open", ("0", "file")),
        ("os.open", ()),
        ("pandas.concat", ()),
    ],
)
def test_files_read_are_those_of_the_library(function: str, arguments: tuple[str, ...]) -> None:
    assert files_read(function) == arguments


# The libraries -------------------------------------------------------------------------------------------


def _module(name: str) -> Any:
    return pytest.importorskip(name)


@functools.cache
def _owners(library: str) -> list[Any]:  # noqa: PLR0911 - one for each library
    """Return the classes and modules whose attributes the rows of a library name."""
    match library:
        case "builtins":
            return [dict, list, set]
        case "collections":
            return [collections.deque]
        case "logging":
            return [logging, logging.Logger]
        case "IPython":
            return [_module("IPython.display")]
        case "re":
            return [re, re.Pattern]
        case "numpy":
            return [_module("numpy"), _module("numpy").ndarray]
        case "pandas":
            pandas, groups = _module("pandas"), _module("pandas.core.groupby")
            owners = [pandas.DataFrame, pandas.Series, groups.DataFrameGroupBy, groups.SeriesGroupBy, pandas]
            return [*owners, pandas.plotting.PlotAccessor]
        case "polars":
            polars = _module("polars")
            owners = [polars.DataFrame, polars.LazyFrame, polars.Series, polars.Expr, polars]
            return [*owners, _module("polars.dataframe.group_by").GroupBy]
        case "matplotlib":
            names = ("pyplot", "style", "axes", "figure")
            pyplot, style, axes, figure = (_module(f"matplotlib.{name}") for name in names)
            return [pyplot, style, getattr(style, "core", style), style.library, axes.Axes, figure.Figure]
        case "seaborn":
            return [_module("seaborn"), _module("seaborn").FacetGrid]
        case "plotly":
            return [_module("plotly.express"), _module("plotly.graph_objects").Figure]
    return [importlib.import_module(library)]


def _of(row: Row, library: str) -> list[Any]:
    """Return the methods with the name of a row."""
    return [getattr(owner, row.name) for owner in _owners(library) if hasattr(owner, row.name)]


def _cases() -> list[Any]:
    """Return the rows of methods with their libraries, of which some are installed in another version."""
    found = []
    for row in ROWS:
        for text in row.libraries:
            library, versions = re.fullmatch(r"(\w+)(.*)", text).groups()  # type: ignore[union-attr]
            is_other = bool(versions) and not _is_installed(library, versions)
            mark = pytest.mark.skipif(is_other, reason=f"{text} is not installed")
            found.append(pytest.param(row, library, id=f"{row.name}-{library}", marks=mark))
    return found


def _is_installed(library: str, versions: str) -> bool:
    try:
        return version(library) in SpecifierSet(versions)
    except PackageNotFoundError:
        return False


def _object(path: str) -> Any:
    """Return the object with a full name."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        with contextlib.suppress(ImportError):
            found = importlib.import_module(".".join(parts[:end]))
            for name in parts[end:]:
                found = getattr(found, name)
            return found
    pytest.skip(f"{parts[0]} is not installed")


METHODS = _cases()
FUNCTIONS = [pytest.param(row.name, id=row.name) for row in ROWS if not row.libraries]


@pytest.mark.parametrize(("row", "library"), METHODS)
def test_row_names_an_attribute_of_the_library(row: Row, library: str) -> None:
    assert _of(row, library)


@pytest.mark.parametrize(
    ("row", "library"), [pytest.param(*case.values, id=case.id) for case in METHODS if case.marks[0].args[0]]
)
def test_row_of_another_version_names_no_attribute(row: Row, library: str) -> None:
    assert not _of(row, library)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_row_names_a_function(name: str) -> None:
    found = _object(name.removesuffix(".*"))
    assert inspect.ismodule(found) if name.endswith(".*") else callable(found)


def _taking(attribute: str) -> list[Any]:
    return [case for case in METHODS if getattr(case.values[0], attribute)]


@pytest.mark.parametrize(("row", "library"), METHODS)
def test_row_names_parameters(row: Row, library: str) -> None:
    facts = ("axis", "by_name", "others", "reads")
    names = {*row.columns, *row.keys, *(name for fact in facts for name in row.facts.get(fact, ()))}
    names |= {"axis"} if "axis" in row.facts else set()
    if names and row.name != "plot":  # it takes any arguments
        found = [_parameters(each) for each in _of(row, library) if callable(each)]
        assert any(names <= each for each in found), found


def _parameters(function: Callable[..., Any]) -> set[str]:
    """Return the positions and names of the parameters without `self`."""
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    return {*names, *map(str, range(len(names)))}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_is_one_of_its_function(name: str) -> None:
    path, _ = PARAMETERS[name]
    function = _object(path)
    if path.endswith("PlotAccessor"):
        assert re.search(rf"^ *{name} : ", function.__doc__, re.MULTILINE)
    else:
        assert name in inspect.signature(function).parameters


@pytest.mark.parametrize("name", CLASSES)
def test_classes_are_behind_the_attributes_of_a_column(name: str) -> None:
    assert getattr(_module("pandas").Series, name) is _object(CLASSES[name])


@pytest.mark.parametrize("name", FILES)
def test_function_of_files_exists(name: str) -> None:
    assert callable(_object(name))


@pytest.mark.parametrize("owner", MEMBERS)
def test_members_belong_to_the_object(owner: str) -> None:
    pandas = _module("pandas")
    match owner:
        case "pandas.DataFrame":
            known = {*dir(pandas.DataFrame), *dir(pandas.Series), "select"}
        case "pandas.Series.dt":
            known = {*dir(pandas.Series(pandas.to_datetime(["2024-01-01"])).dt), "week", "weekofyear"}
        case "pandas.DataFrame.plot":
            known = {*re.findall(r"^ +(\w+(?:, \w+)*) : ", pandas.DataFrame.plot.__doc__, re.MULTILINE)}
            known = {name for names in known for name in names.split(", ")}
        case "matplotlib.collections.Collection":
            collection = _module("matplotlib.collections").PathCollection
            known = {name.removeprefix("set_") for name in dir(collection)}
        case _:
            pytest.skip("the names come and go with versions")
    assert MEMBERS[owner] - known == set()


# Results -------------------------------------------------------------------------------------------------


def _table(library: str) -> Any:
    """Return a table of polars, or one of pandas for it and for the libraries that take its tables."""
    columns = {"a": [1, 2, 2], "b": [2.0, None, 1.0]}
    if library == "polars":
        return _module("polars").DataFrame(columns)
    pandas = _module("pandas")
    return pandas.DataFrame(columns, index=pandas.date_range("2024-01-01", periods=3, name="level"))


def _levels() -> Any:
    index = _module("pandas").MultiIndex.from_tuples([(1, 2), (1, 3)], names=["i", "j"])
    return _module("pandas").DataFrame({"a": [1, 2]}, index=index)


def _other(library: str) -> Any:
    return _table(library).rename(
        **({"columns": {"b": "c"}} if library == "pandas" else {"mapping": {"b": "c"}})
    )


def _columns(table: Any) -> list[str]:
    return [*table.collect_schema().names()] if hasattr(table, "collect_schema") else [*table.columns]


# The arguments of methods that need some.
ARGUMENTS: dict[tuple[str, str], tuple[Any, ...]] = {
    ("fillna", "pandas"): (0,),
    ("filter", "pandas"): (["a"],),
    ("filter", "polars"): (True,),
    ("group_by", "polars"): ("a",),
    ("groupby", "pandas"): ("a",),
    ("nlargest", "pandas"): (2, "a"),
    ("nsmallest", "pandas"): (2, "a"),
    ("query", "pandas"): ("a > 0",),
    ("resample", "pandas"): ("D",),
    ("rolling", "pandas"): (2,),
    ("sort", "polars"): ("a",),
    ("sort_values", "pandas"): ("a",),
}


def _result(row: Row, library: str) -> Any:
    table = _table(library)
    method = getattr(table if hasattr(table, row.name) else table.lazy(), row.name)
    return method(*ARGUMENTS.get((row.name, library), ()))


def check_same(row: Row, library: str) -> None:
    assert _columns(_result(row, library)) == ["a", "b"]


def check_part(row: Row, library: str) -> None:
    assert {*_columns(_result(row, library))} <= {"a", "b"}


def check_more(row: Row, library: str) -> None:
    assert {*_columns(_result(row, library))} > {"a", "b"}


def check_group(row: Row, library: str) -> None:
    (_, part), *_ = _result(row, library)
    assert _columns(part) == ["a", "b"]


def check_window(row: Row, library: str) -> None:
    assert len(_result(row, library)["a"].sum()) == 3
    with pytest.raises(KeyError):
        _result(row, library)["missing"]


def check_rows(row: Row, library: str) -> None:
    assert [*next(_result(row, library))[1].index] == ["a", "b"]


def check_tuples(row: Row, library: str) -> None:
    assert next(iter(_result(row, library)))._fields[-2:] == ("a", "b")


def check_number(row: Row, library: str) -> None:
    numbers = _table("pandas")["a"] if library == "pandas" else _module("numpy").arange(3.0)
    assert _module("numpy").ndim(getattr(numbers, row.name)()) == 0


def check_size(row: Row, library: str) -> None:
    found = getattr({1: 2, 3: 4}, row.name)() if library else _object(row.name)([1, 2])
    assert len([*found]) == 2


def check_expression(row: Row, library: str) -> None:
    column = getattr(_module(library), row.name)("a")
    assert _columns(_table(library).select(column)) == ["a"]


# Columns -------------------------------------------------------------------------------------------------

# What is given before the column.
BEFORE: dict[str, Callable[[str], tuple[Any, ...]]] = {
    "join": lambda library: (_other(library),),
    "join_asof": lambda library: (_other(library),),
    "merge": lambda library: (_other(library),),
    "merge_asof": lambda library: (_table(library), _other(library)),
    "merge_ordered": lambda library: (_table(library), _other(library)),
    "nlargest": lambda _: (1,),
    "nsmallest": lambda _: (1,),
}


@pytest.mark.parametrize(("row", "library"), _taking("columns"))
def test_row_names_arguments_that_are_columns(row: Row, library: str) -> None:
    table, first = _table(library), row.columns[0]
    owners = (table, table.plot if library == "pandas" else None, _module(library))
    method = next(getattr(owner, row.name) for owner in owners if hasattr(owner, row.name))
    before = BEFORE.get(row.name, lambda _: ())(library)
    given = {"scatter": ("missing", "a")}.get(row.name, ("missing",)) if first.isdigit() else ()
    named = {} if first.isdigit() else {first: "missing"} | ({"y": "a"} if row.name == "plot" else {})
    with pytest.raises(Exception, match="missing"):
        method(*before, *given, **named)


@pytest.mark.parametrize(("row", "library"), _taking("keys"))
def test_strict_methods_refuse_other_keys(row: Row, library: str) -> None:
    value = {"agg": "sum", "aggregate": "sum", "astype": "float64", "fillna": 0, "rename": "c"}[row.name]
    method = getattr(_table(library), row.name)
    for name in row.keys:
        given = ({"missing": value},) if name.isdigit() else ()
        named = {} if name.isdigit() else {name: {"missing": value}}
        with pytest.raises(KeyError) if "strict" in row.facts else contextlib.nullcontext():
            method(*given, **named)


# Effects -------------------------------------------------------------------------------------------------


def check_strict(row: Row, _: str) -> None:
    assert row.keys


def check_aggregation(row: Row, library: str) -> None:
    table = _table(library)
    for owner in (table["a"], table, table.groupby("a")["b"]):
        with contextlib.suppress(AttributeError, TypeError, ValueError):
            return owner.agg(row.name)
    pytest.fail("no object has it")


def check_lacks(row: Row, library: str) -> None:
    table = _table(library)
    owners = {"DataFrame": table, "GroupBy": table.groupby("a")}
    for owner in row.facts["lacks"]:
        method = getattr(owners[owner], row.name, None)
        if callable(method):  # pandas 2 has others with these names, which need an argument
            with pytest.raises(TypeError):
                method()


def check_aggregates(row: Row, library: str) -> None:
    assert "total" in getattr(_table(library), row.name)(total=("a", "sum")).index


def check_by_name(row: Row, library: str) -> None:
    table = _table(library)
    given = {"transform": {"func": "abs"}, "pivot_table": {"index": "a", "aggfunc": "sum"}}
    assert len(getattr(table, row.name)(**given.get(row.name, {"func": "sum"})))


NAMED: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("agg", "pandas"): lambda table: table.agg(c=("a", "sum")).T,
    ("agg", "polars"): lambda table: table.group_by("a").agg(c=_module("polars").len()),
    ("aggregate", "pandas"): lambda table: table.aggregate(c=("a", "sum")).T,
    ("assign", "pandas"): lambda table: table.assign(c=1),
    ("select", "pandas"): lambda table: table.select(c=lambda each: each["a"]),
}


def check_named(row: Row, library: str) -> None:
    if library:
        assert "c" in _columns(NAMED[row.name, library](_table(library)))
    else:
        assert _object(row.name)(c=1) == {"c": 1}


def check_numeric(row: Row, library: str) -> None:
    method = getattr(_table(library).assign(text="x"), row.name)
    with pytest.raises((TypeError, ValueError)):
        method()
    assert [*method(numeric_only=True).index] == ["a", "b"]


def check_levels(row: Row, library: str) -> None:
    table, method = _table(library), getattr(_table(library), row.name)
    if "joins" in row.facts:
        assert len(method(_other(library)[["c"]], on="level"))
    elif row.name == "pivot_table":
        assert len(method(index="level"))
    else:
        assert len(method("level")) == len(table)


def check_groups(row: Row, library: str) -> None:
    labels, table = ["x", "y", "x"], _table(library)
    match row.name:
        case "boxplot" | "hist":
            with _module("matplotlib").rc_context({"backend": "agg"}):
                getattr(table, row.name)("a", by=labels)
        case "pivot_table":
            assert len(table.pivot_table(index=labels)) == 2
        case "value_counts":
            assert len(table.value_counts(labels)) == 2
        case _:
            assert len(getattr(table, row.name)(labels)) == 2


def check_of_levels(row: Row, _: str) -> None:
    with pytest.raises(KeyError, match="missing"):
        getattr(_levels(), row.name)("missing")


def check_of_rows(row: Row, library: str) -> None:
    table = _table(library)
    label = table.index[1]
    if row.name == "get_group":
        assert len(table.groupby("a").get_group(1)) == 1
    else:
        assert len(getattr(table, row.name)([label] if row.name == "reindex" else label)) <= 2


def check_locates(row: Row, library: str) -> None:
    table = _table(library)
    assert getattr(table, row.name)[table.index[0], "a"] == 1


def check_positions(row: Row, library: str) -> None:
    assert getattr(_table(library), row.name)[0, 0] == 1


def check_code(row: Row, library: str) -> None:
    limit = 1  # noqa: F841 - the text names it
    assert "@" in row.facts["code"]
    assert getattr(_table(library), row.name)("a > @limit").sum().sum() > 0
    with pytest.raises(Exception, match="missing"):
        getattr(_table(library), row.name)("a > @missing")


# The arguments of methods and functions that change an object: the object itself if it is a builtin one.
CHANGES: dict[tuple[str, str], Callable[[], tuple[Any, ...]]] = {
    ("__setitem__", "pandas"): lambda: ("c", 1),
    ("__setitem__", "polars"): lambda: ((0, "a"), 5),
    ("drop_in_place", "polars"): lambda: ("a",),
    ("insert", "pandas"): lambda: (1, "c", 1),
    ("insert_column", "polars"): lambda: (1, _module("polars").Series("c", [1, 2, 3])),
    ("isetitem", "pandas"): lambda: (0, 5),
    ("pop", "pandas"): lambda: ("a",),
    ("replace_column", "polars"): lambda: (1, _module("polars").Series("c", [1, 2, 3])),
    ("update", "pandas"): lambda: (2 * _table("pandas"),),
    ("clear", "builtins"): lambda: ([1, 2],),
    ("difference_update", "builtins"): lambda: ({1, 2}, {1}),
    ("discard", "builtins"): lambda: ({1, 2}, 1),
    ("extend", "builtins"): lambda: ([1], [2]),
    ("insert", "builtins"): lambda: ([1], 0, 2),
    ("intersection_update", "builtins"): lambda: ({1, 2}, {1}),
    ("pop", "builtins"): lambda: ({1: 2}, 1),
    ("popitem", "builtins"): lambda: ({1: 2},),
    ("popleft", "collections"): lambda: (collections.deque([1]),),
    ("remove", "builtins"): lambda: ([1], 1),
    ("setdefault", "builtins"): lambda: ({}, 1, 2),
    ("symmetric_difference_update", "builtins"): lambda: ({1, 2}, {1}),
    ("update", "builtins"): lambda: ({}, {1: 2}),
    ("operator.delitem", ""): lambda: ([1], 0),
    ("operator.iand", ""): lambda: ({1, 2}, {1}),
    ("operator.imul", ""): lambda: ([1], 0),
    ("operator.ior", ""): lambda: ({}, {1: 2}),
    ("operator.isub", ""): lambda: ({1, 2}, {1}),
    ("operator.ixor", ""): lambda: ({1, 2}, {1}),
    ("operator.setitem", ""): lambda: ([1], slice(1), []),
}


def _changed(row: Row, library: str) -> tuple[Any, Any]:
    """Return an object before and after a change."""
    given = CHANGES[row.name, library]()
    if library in {"pandas", "polars"}:
        given = _table(library), *given
    before = given[0].clone() if library == "polars" else copy.copy(given[0])
    (getattr(given[0], row.name) if library else _object(row.name))(*(given[1:] if library else given))
    return before, given[0]


def check_changes(row: Row, library: str) -> None:
    before, after = _changed(row, library)
    assert not before.equals(after) if library in {"pandas", "polars"} else before != after
    if library == "pandas" and "label" in row.facts:
        (at,) = row.facts["label"]
        assert CHANGES[row.name, library]()[int(at)] in after


def check_empties(row: Row, library: str) -> None:
    before, after = _changed(row, library)
    assert len([*after]) < len([*before])


F = Callable[..., Any]
CALLS: dict[tuple[str, str], Callable[[Any, F], Any]] = {
    ("agg", "pandas"): lambda table, f: table.agg(f),
    ("aggregate", "pandas"): lambda table, f: table.aggregate(f),
    ("apply", "pandas"): lambda table, f: table.apply(f, axis=1),
    ("applymap", "pandas"): lambda table, f: table.applymap(f),
    ("assign", "pandas"): lambda table, f: table.assign(c=lambda each: f(each)["a"]),
    ("filter", "pandas"): lambda table, f: table.groupby("a").filter(lambda group: f(group) is group),
    ("groupby", "pandas"): lambda table, f: table.groupby(f),
    ("loc", "pandas"): lambda table, f: table.loc[lambda each: f(each)["a"] > 1],
    ("map", "pandas"): lambda table, f: table["a"].map(f),
    ("map_batches", "polars"): lambda table, f: (
        table.lazy().map_batches(lambda each: (f(each), each)[1]).collect()
    ),
    ("map_elements", "polars"): lambda table, f: table["a"].map_elements(
        f, return_dtype=_module("polars").Int64
    ),
    ("map_dataframe", "seaborn"): lambda table, f: (
        _module("seaborn").FacetGrid(table).map_dataframe(lambda data, **_: f(data))
    ),
    ("pipe", "pandas"): lambda table, f: table.pipe(f),
    ("pipe", "polars"): lambda table, f: table.pipe(f),
    ("select", "pandas"): lambda table, f: table.select(c=lambda each: f(each)["a"]),
    ("sort", "builtins"): lambda _, f: [1, 2].sort(key=f),
    ("sub", "re"): lambda _, f: re.sub("a", lambda found: str(f(found[0])), "a"),
    ("transform", "pandas"): lambda table, f: table.transform(f),
    ("builtins.max", ""): lambda _, f: max([1, 2], key=f),
    ("builtins.min", ""): lambda _, f: min([1, 2], key=f),
    ("builtins.sorted", ""): lambda _, f: sorted([1, 2], key=f),
    ("functools.reduce", ""): lambda _, f: functools.reduce(lambda first, last: f(first) + last, [1, 2]),
    ("itertools.accumulate", ""): lambda _, f: [
        *itertools.accumulate([1, 2], lambda first, last: f(first) + last)
    ],
    ("itertools.filterfalse", ""): lambda _, f: [*itertools.filterfalse(f, [1])],
    ("itertools.starmap", ""): lambda _, f: [*itertools.starmap(f, [(1,)])],
    ("itertools.takewhile", ""): lambda _, f: [*itertools.takewhile(f, [1])],
}


def check_calls(row: Row, library: str) -> None:
    given: list[Any] = []

    def function(each: Any) -> Any:
        given.append(each)
        return each

    CALLS[row.name, library](_table(library) if library else None, function)
    assert given
    if "passes" in row.facts:
        assert given[0]["a"] is not None  # a table, or a row


# The arguments of functions and methods that only compute.
PURE: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("eq", "ne"), (1,)),
    **dict.fromkeys(("isin", "is_in"), ([1],)),
    **{f"builtins.{name}": (1,) for name in ("abs", "float", "int", "range", "round")},
    "astype": ("float64",),
    "between": (1, 2),
    "builtins.dict": ([(1, 2)],),
    "builtins.isinstance": ([1, 2], list),
    "drop": ("2024-01-01",),
    "numpy.where": ([True], 1, 2),
    "rename": ("b",),
    "replace": (1, 2),
    **dict.fromkeys(("select", "set_index"), ("a",)),
}


def check_pure(row: Row, library: str) -> None:
    table, items = _table(library or "pandas"), [1, 2]
    before, method = table.clone() if library == "polars" else table.copy(), None
    if library:
        owner = table if row.name == "corr" or not hasattr(table["a"], row.name) else table["a"]
        method = getattr(owner, row.name)
    elif row.name == "pandas.concat":
        items = [table]
    function = method or _object(row.name)
    tables = {"merge": (table,), "pandas.merge": (table, table)}
    function(*(tables.get(row.name) or PURE.get(row.name, () if library else (items,))))
    assert before.equals(table)
    assert library or items in ([1, 2], [table])


def check_compares(row: Row, library: str) -> None:
    assert [*getattr(_table(library)["a"], row.name)(*PURE[row.name])].count(True) in {1, 2}


def check_reads(row: Row, library: str) -> None:
    functions = _of(row, library) if library else [_object(row.name)]
    for name in row.facts["reads"]:
        file = "missing.xpt"  # a format that `read_sas` knows
        given, named = ((file,), {}) if name.isdigit() else ((), {name: file})
        try:
            with pytest.raises(FileNotFoundError):
                functions[0](*given, **named)
        except ImportError as error:  # of a library that reads this format
            pytest.skip(str(error))


def check_keeps(row: Row, _: str) -> None:
    called: list[Any] = []

    def function(*given: Any) -> None:
        called.append(given)

    is_of_class = row.name in {"dataclasses.dataclass", "functools.total_ordering"}
    methods = {"__init__": function, "__lt__": function}
    _object(row.name)(type("Class", (), methods) if is_of_class else function)
    assert called == []


def check_consumes(row: Row, _: str) -> None:
    items = {"builtins.dict": [(1, 2)], "builtins.any": [0, 0]}.get(row.name, [1, 1])
    iterator = iter(items)
    _object(row.name)(iterator)
    assert next(iterator, None) is None


def check_errors(row: Row, _: str, path: pathlib.Path) -> None:
    given: dict[str, tuple[Any, ...]] = {
        "builtins.open": (path / "file", "w"),
        "pandas.option_context": ("display.width", 80),
        "zipfile.ZipFile": (path / "file.zip", "w"),
    }
    with pytest.raises(ZeroDivisionError), _object(row.name)(*given.get(row.name, ())):
        raise ZeroDivisionError


EFFECTS = [
    pytest.param(row, library, fact, id=f"{row.name}-{library}-{fact}", marks=case.marks)
    for case in (*METHODS, *(pytest.param(row, "") for row in ROWS if not row.libraries))
    for row, library in [case.values]
    for fact in row.facts
    if fact not in NOT_COMPARED
]


@pytest.mark.parametrize(("row", "library", "fact"), EFFECTS)
def test_row_states_the_result_and_effects(row: Row, library: str, fact: str, tmp_path: pathlib.Path) -> None:
    if reason := ROWS_NOT_COMPARED.get((row.name.rpartition(".")[2], fact)):
        pytest.skip(reason)
    if library:
        _owners(library)
    check = globals()[f"check_{fact}"]
    check(row, library, *([tmp_path] if fact == "errors" else []))
