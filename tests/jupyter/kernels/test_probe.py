"""The probe runs none of the user's code, whatever their objects are."""

from __future__ import annotations

import functools
import gc
import importlib.util
import io
import json
import os
import subprocess
import sys
import types
import weakref
from abc import ABC, ABCMeta, abstractmethod
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from jupyter_turbopilot.analysis import kernel_context as kernel
from jupyter_turbopilot.analysis.report import Folder, KernelReport, read_report
from jupyter_turbopilot.jupyter.kernels import probe

RAN: list[str] = []


@pytest.fixture(autouse=True)
def _time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "thread_time", lambda: 0.0)


def noted(name: str) -> Any:
    def method(*_: Any, **__: Any) -> Any:
        RAN.append(name)
        raise RuntimeError(name)

    return method


SPECIAL = """
    __getattr__ __getattribute__ __eq__ __ne__ __lt__ __hash__ __repr__ __str__ __format__ __len__ __iter__
    __getitem__ __contains__ __bool__ __index__ __int__ __call__ __dir__ __sizeof__ __reduce__ __reduce_ex__
    __get__ __instancecheck__ __subclasscheck__ __array__ __fspath__ __enter__ __missing__ keys items get
"""
PROPERTIES = "__class__ __dict__ __module__ __name__ __doc__ dtype shape columns dtypes values _mgr _data _df"
EVIL = {name: noted(name) for name in SPECIAL.split()} | {
    name: property(noted(name)) for name in PROPERTIES.split()
}


class Collides(str):
    """A key that equals a plain one."""

    __slots__ = ()

    def __hash__(self) -> int:
        return str.__hash__(self)

    def __eq__(self, other: object) -> bool:
        RAN.append("key ==")
        return str.__eq__(self, other)


class Key:
    """A key that is not a string, with the hash of one."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        RAN.append("key ==")
        return False

    __repr__ = __str__ = noted("key repr")


LOOKED_FOR = ("__getattr__", "__getattribute__", "__module__", "__dict__", "__name__", "__wrapped__", "_mgr")


def hostile_class(**more: Any) -> Any:
    return type("Hostile", (), {**EVIL, **more})


def metaclass() -> Any:
    meta = type("Meta", (type,), {name: made for name, made in EVIL.items() if name != "__get__"})
    return type.__new__(meta, "Made", (), {})


def instance(kind: Any) -> Any:
    return object.__new__(kind)


def with_own_keys() -> Any:
    value = instance(type("Plain", (), {}))
    value.__dict__.update({Key(name): 1 for name in LOOKED_FOR})
    return value


def with_class_keys() -> Any:
    return instance(type("Plain", (), {Key(name): 1 for name in LOOKED_FOR}))


def with_a_dictionary_of_their_own() -> Any:
    value = instance(type("Plain", (), {}))
    value.__dict__ = type("Held", (dict,), EVIL)()
    return value


def function() -> Any:
    def made(path: str) -> None: ...

    made.__dict__.update({Key(name): 1 for name in LOOKED_FOR})
    return made


def function_of_strange_dictionary() -> Any:
    def made(path: str) -> None: ...

    made.__dict__ = type("Held", (dict,), EVIL)()
    return made


def borrowed_descriptor() -> Any:
    """Replace a dictionary by C code that calls the user's object."""
    wrapper = type("Borrowed", (io.TextIOWrapper,), {"__dict__": io.TextIOWrapper.__dict__["closed"]})
    buffer = type("Buffer", (io.BytesIO,), {"closed": property(noted("closed"))})
    return wrapper(buffer())


def module(name: str = "thing") -> types.ModuleType:
    made = types.ModuleType(name)
    made.__dict__.update({Key(key): 1 for key in LOOKED_FOR})
    made.__dict__["__getattr__"] = noted("module __getattr__")
    return made


def lazy_module() -> Any:
    spec = importlib.util.find_spec("wave")
    assert spec
    assert spec.loader
    spec.loader = importlib.util.LazyLoader(spec.loader)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def frame_of_a_hostile_array() -> Any:
    base = pd.api.extensions.ExtensionArray

    class Dtype(pd.api.extensions.ExtensionDtype):
        name = "hostile"
        type = str
        na_value = None

        def __str__(self) -> str:
            RAN.append("dtype str")
            return "hostile"

        __repr__ = __str__

        @classmethod
        def construct_array_type(cls) -> Any:
            return Array

    Dtype.__module__ = "pandas.core.dtypes"

    class Array(base):
        def __init__(self, count: int) -> None:
            self.count = count

        @property
        def dtype(self) -> Any:
            RAN.append("array dtype")
            return Dtype()

        def __len__(self) -> int:
            RAN.append("array len")
            return self.count

        def __getitem__(self, item: Any) -> Any:
            RAN.append("array item")
            return self

        def copy(self) -> Any:
            return self

        def isna(self) -> Any:
            return np.zeros(self.count, bool)

    return pd.DataFrame({"a": [1, 2], "b": Array(2)})


def frame_of_strange_labels() -> Any:
    labels = [Key("a"), ("b", 1), float("nan"), None, Collides("c"), "ok", 3, frozenset()]
    index = pd.Index(np.array([*labels, "x"], dtype=object)[:-1], dtype=object)
    return pd.DataFrame(np.zeros((2, len(labels))), columns=index)


def frame_of_their_index() -> Any:
    index = type("Index", (pd.Index,), {"__iter__": noted("iter"), "_data": property(noted("data"))})
    frame = pd.DataFrame({"a": [1]})
    frame._mgr.axes[0] = instance(index)
    return frame


def frame_of_a_planted_manager() -> Any:
    frame = pd.DataFrame({"a": [1]})
    object.__setattr__(frame, "_mgr", instance(hostile_class(blocks=property(noted("blocks")))))
    return frame


def frame_of_a_planted_block() -> Any:
    frame = pd.DataFrame({"a": [1]})
    frame._mgr.blocks = (instance(hostile_class(_mgr_locs=property(noted("locs")))),)
    return frame


def polars_of_a_planted_table() -> Any:
    frame = pl.DataFrame({"a": [1]})
    frame._df = instance(hostile_class(select=noted("select"), dtype_strings=noted("dtype_strings")))
    return frame


class Slotted:
    """An object whose slots look like C methods."""

    __slots__ = ("columns", "dtype_strings", "len", "select")


def planted(kind: Any = types.SimpleNamespace) -> Any:
    """Return an object with functions in place of polars' methods."""
    value = kind()
    for name in Slotted.__slots__:
        setattr(value, name, noted(name))
    return value


def polars_with(inner: Any) -> Any:
    frame = pl.DataFrame({"a": [1]})
    frame._df = inner
    return frame


def polars_series_with(inner: Any) -> Any:
    series = pl.Series([1])
    series._s = inner
    return series


def frame_of_planted_places() -> Any:
    frame = pd.DataFrame({"a": [1]})
    places = np.array([None], dtype=object)
    places[0] = instance(hostile_class())
    frame._mgr.blocks = (types.SimpleNamespace(_mgr_locs=types.SimpleNamespace(as_array=places)),)
    return frame


def polars_extension() -> Any:
    class Extension(pl.BaseExtension):
        @classmethod
        def ext_from_params(cls, *_: Any) -> Any:
            RAN.append("ext_from_params")
            return cls("tests.hostile", pl.Int64())

        def _string_repr(self) -> str:
            RAN.append("string repr")
            return "hostile"

    pl.register_extension_type("tests.hostile", Extension)
    try:
        return pl.Series("a", [1]).ext.to(Extension("tests.hostile", pl.Int64())).to_frame()
    finally:
        pl.unregister_extension_type("tests.hostile")


def tensor() -> Any:
    kind = type("Mine", (torch.Tensor,), {"__torch_function__": classmethod(noted("torch function"))})
    return torch.zeros(2).as_subclass(kind)


def series_subclass() -> Any:
    value = type("Mine", (pd.Series,), {})([1])
    for name in ("__getattr__", "__getattribute__", "dtype", "shape", "_mgr"):
        setattr(type(value), name, property(noted(name)) if name[1] != "_" else noted(name))
    return value


def generator() -> Any:
    RAN.append("generator")
    yield 1


HOSTILE = {
    "everything defined": lambda: instance(hostile_class()),
    "a class": hostile_class,
    "slots": lambda: instance(type("Slots", (), {"__slots__": ("a",), "__getattr__": noted("get")})),
    "a metaclass": metaclass,
    "an instance of it": lambda: type.__call__(object) and object.__new__(metaclass()),
    "keys of its dictionary": with_own_keys,
    "keys of its class": with_class_keys,
    "a dictionary of their own": with_a_dictionary_of_their_own,
    "a function's keys": function,
    "a function's dictionary": function_of_strange_dictionary,
    "a borrowed descriptor": borrowed_descriptor,
    "a module with keys": module,
    "a lazy module": lazy_module,
    "a module's subclass": lambda: type("Mod", (types.ModuleType,), EVIL.copy())("x"),
    "a dictionary": type("Held", (dict,), EVIL),
    "text": lambda: type("Text", (str,), {k: v for k, v in EVIL.items() if k != "__hash__"})("x"),
    "a number": lambda: type("Number", (int,), EVIL)(3),
    "a partial": lambda: functools.partial(noted("partial")),
    "a generator": generator,
    "a spoofed module": lambda: instance(hostile_class(__module__="pandas.core.frame")),
    "an odd module": lambda: instance(type("Odd", (), {"__module__": Collides("pandas")})),
    "an extension array": frame_of_a_hostile_array,
    "strange labels": frame_of_strange_labels,
    "an index": frame_of_their_index,
    "a planted manager": frame_of_a_planted_manager,
    "a planted block": frame_of_a_planted_block,
    "a planted table": polars_of_a_planted_table,
    "functions in a planted table": lambda: polars_with(planted()),
    "slots in a planted table": lambda: polars_with(planted(Slotted)),
    "functions in a planted series": lambda: polars_series_with(planted()),
    "a table as a series": lambda: polars_series_with(pl.DataFrame({"a": [1]})._df),
    "planted places": frame_of_planted_places,
    "polars' extension": polars_extension,
    "a lazy frame": lambda: pl.LazyFrame({"a": [1]}).map_batches(noted("lazy"), schema={"a": pl.Int64}),
    "a tensor": tensor,
    "a series": series_subclass,
    "an array": lambda: np.zeros(2).view(
        type("Mine", (np.ndarray,), {**EVIL, "__array_finalize__": lambda *_: None})
    ),
    "a structure": lambda: np.zeros(2, dtype=[("a", "i4"), ("b", "O")]),
    "a data frame's subclass": lambda: instance(type("Mine", (pd.DataFrame,), EVIL.copy())),
}


def test_facts_run_no_code_of_keys_or_namespace_classes() -> None:
    for kind in (dict, type("Held", (dict,), EVIL), OrderedDict):
        namespace = dict.__new__(kind)
        if kind is OrderedDict:
            namespace.__init__()  # type: ignore[misc]
        dict.update(namespace, {Key(name): 1 for name in ("price", "exit")})
        for name in ("price", Collides("odd"), "exit"):
            dict.__setitem__(namespace, name, 1)
        RAN.clear()
        found = probe.facts(namespace)
        assert RAN == []
        assert list(found["names"]) == ["price"]
    assert probe.facts(instance(hostile_class()))["names"] == {}
    assert RAN == []


def failing(error: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make an exception the last one of this process."""
    monkeypatch.setattr(sys, "last_value", error, raising=False)


def report_of(namespace: Any, *wanted: str) -> KernelReport:
    """Return the report as the server reads it."""
    return msgspec.convert(json.loads(json.dumps(probe.report(namespace, [*wanted]))), KernelReport)


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.filterwarnings("ignore:non-string key:RuntimeWarning")  # Python 3.13 warns about such a class
def test_facts_and_report_run_no_code_of_the_user(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value = HOSTILE[kind]()
    failing(AttributeError("x", name="x", obj=value), monkeypatch)
    namespace = {"value": value, "held": types.SimpleNamespace(value=value)}
    RAN.clear()
    facts = probe.facts(namespace | {"last": 1})
    found = report_of(namespace, "value", "value.columns", "value._df.select", "value.closed", "held.value")
    traced = ["value", "value.columns", "value.get", "value['a']", "held", "held.value", "import value"]
    probe.report(namespace, [*traced], traced)
    ran = list(RAN)
    namespace.clear()
    monkeypatch.undo()
    assert ran == []
    assert list(facts["names"]) == ["last", "held", "value"]
    assert isinstance(facts["names"]["value"]["type"], str)
    assert kernel.read_kernel_context(json.loads(json.dumps(facts))).names["last"].type == "int"
    assert found.error
    assert found.error.object == found.objects["held.value"]


def texts_of(namespace: Any, kind: str, expression: str) -> Any:
    """Return the texts as the server reads them, and whether others are unlikely."""
    (found,) = json.loads(json.dumps(probe.texts(namespace, [[kind, expression]])))["texts"]
    return found and found[:2]


def hostile_column() -> Any:
    values = np.array(["a", None, None], dtype=object)
    values[1] = instance(hostile_class())
    values[2] = Collides("b")
    return pd.DataFrame({"a": pd.Series(values, dtype=object)})


def hostile_categories() -> Any:
    frame = pd.DataFrame({"a": pd.Categorical(["x", "y"])})
    object.__setattr__(frame["a"].array.dtype, "_categories", instance(hostile_class()))
    return frame


def hostile_environment() -> Any:
    environment = object.__new__(os._Environ)
    environment._data = type("Data", (dict,), EVIL)()
    return environment


HOSTILE_TEXTS = {
    **HOSTILE,
    "values": hostile_column,
    "categories": hostile_categories,
    "a dictionary's keys": lambda: {Collides("a"): 1, Key("b"): 2},
    "an ordered dictionary": lambda: OrderedDict({Collides("a"): 1}),
    "a default dictionary": lambda: defaultdict(noted("factory"), {Collides("a"): {}}),
    "an environment": hostile_environment,
    "a list": lambda: [instance(hostile_class())],
    "a list's subclass": lambda: type("Mine", (list,), EVIL.copy())([{"a": 1}]),
    "row labels": lambda: pd.DataFrame({"a": [1]}, index=pd.Index([Collides("x")], dtype=object)),
    "polars' objects": lambda: pl.DataFrame({"a": pl.Series([Key("a")], dtype=pl.Object)}),
}


@pytest.mark.parametrize("kind", HOSTILE_TEXTS)
@pytest.mark.filterwarnings("ignore:non-string key:RuntimeWarning")
def test_texts_run_no_code_of_the_user(kind: str) -> None:
    value = HOSTILE_TEXTS[kind]()
    namespace = {"value": value, "held": types.SimpleNamespace(value=value)}
    asked = ["value", "value['a']", "value[0]", "value['a']['b']", "held.value", "held.value['a']", "value.a"]
    RAN.clear()
    for query in [[each, text] for each in ("values", "labels", "keys") for text in asked]:
        probe.texts(namespace, [query])
    assert RAN == []
    namespace.clear()


def test_texts_have_the_values_of_columns_by_frequency() -> None:
    labels = ["south", "north", "south", None]
    frame = pd.DataFrame({"n": [1, 2, 3, 4], "plain": labels, "other": [*"abcd"]})
    frame["object"] = pd.Series(labels, dtype=object)
    frame["category"] = pd.Categorical(labels, categories=["north", "south", "west"])
    frame["mixed"] = pd.Series(["a", 1, "b", "c"], dtype=object)
    table = pl.DataFrame({"plain": labels, "n": [1, 2, 3, 4], "list": [["a"]] * 4})
    table = table.with_columns(pl.col("plain").cast(pl.Categorical).alias("category"))
    namespace = {"frame": frame, "series": frame["plain"], "table": table, "column": table["plain"]}
    for expression in ("frame['plain']", "frame['object']", "series", "table['plain']", "column"):
        assert texts_of(namespace, "values", expression) == [["south", "north"], True], expression
    assert texts_of(namespace, "values", "frame['category']") == [["south", "north", "west"], True]
    assert texts_of(namespace, "values", "table['category']") == [["south", "north"], True]
    for expression in (
        "frame",
        "frame['n']",
        "frame['mixed']",
        "frame['none']",
        "table['n']",
        "table['list']",
    ):
        assert texts_of(namespace, "values", expression) is None, expression


def test_texts_have_the_values_of_the_column_by_which_a_table_is_grouped() -> None:
    frame = pd.DataFrame({"city": ["Ulm", "Bonn", "Ulm"], "n": [1, 2, 3]}, index=[*"abc"])
    groups = frame.groupby("city")
    others = [groups["n"], frame.groupby(["city"]), frame.groupby(frame["city"]), frame.groupby("n"),
              frame.groupby(level=0), frame.rename_axis("i").groupby("i"), frame.groupby(str.upper)]  # fmt: skip
    space = {"groups": groups, **{f"others_{number}": each for number, each in enumerate(others)}}
    assert texts_of(space, "values", "groups") == [["Ulm", "Bonn"], True]
    assert texts_of(space, "values", "groups['city']") is None
    for number in range(len(others)):
        assert texts_of(space, "values", f"others_{number}") is None, number
    groups.keys = instance(hostile_class())
    assert texts_of(space, "values", "groups") is None


def test_texts_leave_out_rare_values_and_those_that_need_an_escape() -> None:
    texts = ["a"] * 200 + ["b"] * 2 + ["Smith"]
    namespace: dict[str, Any] = {"many": pd.DataFrame({"x": texts}), "few": pd.DataFrame({"x": texts[-50:]})}
    namespace["odd"] = pd.DataFrame({"x": ["it's", "back\\slash", "line\nend", "w" * 81, "fine", ""]})
    namespace["different"] = pd.DataFrame({"x": [f"id {number}" for number in range(101)]})
    assert texts_of(namespace, "values", "many['x']") == [["a", "b"], False]
    assert texts_of(namespace, "values", "few['x']") == [["a", "b", "Smith"], True]
    assert texts_of(namespace, "values", "odd['x']") == [["fine"], False]
    assert texts_of(namespace, "values", "different['x']") is None


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, lambda data: pd.DataFrame(data, dtype=object)])
def test_texts_of_many_rows_are_a_sample_of_all_of_them(make: Any) -> None:
    rows = probe.MOST_ROWS * 5
    namespace = {"t": make({"x": [f"group {number * 40 // rows:02}" for number in range(rows)]})}
    found, is_all = texts_of(namespace, "values", "t['x']")
    assert (sorted(found), is_all) == ([f"group {number:02}" for number in range(40)], True)


@pytest.mark.parametrize(
    ("make", "most"),
    [
        (pd.Series, probe.MOST_ROWS),
        (pl.Series, probe.MOST_ROWS),
        (lambda data: pd.Series(data, dtype=object), probe.MOST_ROWS),
        (lambda data: pd.Series(data, dtype="category"), None),
    ],
)
def test_texts_of_few_rows_are_no_sample(make: Any, most: int | None) -> None:
    for rows in (1, 7, 50, 51, probe.MOST_ROWS, probe.MOST_ROWS + 1):
        series = make(["a", None] * (rows // 2) + ["a"] * (rows % 2))
        ((texts, _, is_whole),) = probe.texts({"s": series}, [["values", "s"]])["texts"]
        assert (texts, is_whole) == (["a"], most is None or rows <= most)


@pytest.mark.parametrize("make", [pd.Series, pl.Series, lambda data: pd.Series(data, dtype=object)])
def test_texts_of_a_column_count_each_row_once(make: Any) -> None:
    namespace = {"s": make(["Smith", *["a", "b"] * 130, "Jones"])}
    assert texts_of(namespace, "values", "s") == [["a", "b"], False]


@pytest.mark.parametrize("make", [pd.Series, pl.Series, lambda data: pd.Series(data, dtype=object)])
def test_texts_of_long_values_take_little_time(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["x" * 1000 + "y" * (number % 3) for number in range(probe.FEW_ROWS)]
    assert (texts_of({"s": make(texts)}, "values", "s") or [[]])[0] == []
    monkeypatch.setattr(probe, "thread_time", iter(range(9)).__next__)
    assert texts_of({"s": make(["a"] * 100)}, "values", "s") is None


def test_texts_of_wide_tables_and_default_dictionaries_are_uncertain() -> None:
    wide = pd.DataFrame({f"c{number}": ["a"] for number in range(probe.MOST_COLUMNS + 1)}).copy()
    assert texts_of({"t": wide}, "values", "t['c3']") == [["a"], True]
    assert texts_of({"t": wide}, "values", f"t['c{probe.MOST_COLUMNS}']") is None
    assert texts_of({"d": defaultdict(int, a=1)}, "keys", "d") == [["a"], False]


def test_texts_answer_the_other_queries_if_one_is_too_long() -> None:
    asked = [["keys", f"config['{'k' * 600}']"], ["keys", "config"], ["keys"], 3]
    assert probe.texts({"config": {"rate": 1}}, asked) == {
        "texts": [None, [["rate"], True, True], None, None]
    }


def test_texts_have_row_labels_and_keys() -> None:
    namespace = {
        "table": pd.DataFrame({"a": [1, 2]}, index=["row 1", "row 2"]),
        "numbered": pd.DataFrame({"a": [1]}),
        "series": pd.Series([1], index=["only"]),
        "config": {"model": {"rate": 0.1, 3: 1}, "path": "x"},
        "rows": [{"name": 1}],
        "ordered": OrderedDict(first=1),
        "default": defaultdict(dict, inner={"deep": 1}),
        "os": os,
    }
    assert texts_of(namespace, "labels", "table") == [["row 1", "row 2"], True]
    assert texts_of(namespace, "labels", "series") == [["only"], True]
    assert texts_of(namespace, "labels", "numbered") is None
    assert texts_of(namespace, "keys", "config") == [["model", "path"], True]
    assert texts_of(namespace, "keys", "config['model']") == [["rate"], True]
    assert texts_of(namespace, "keys", "rows[0]") == [["name"], True]
    assert texts_of(namespace, "keys", "ordered") == [["first"], True]
    assert texts_of(namespace, "keys", "default['inner']") == [["deep"], True]
    assert "PATH" in texts_of(namespace, "keys", "os.environ")[0]
    for expression in ("rows", "rows[9]", "missing", "config['path']", "table"):
        assert texts_of(namespace, "keys", expression) is None, expression


HOSTILE_ERRORS = {
    "text": lambda: type("Odd", (KeyError,), EVIL)("key"),
    "key": lambda: KeyError(Collides("key")),
    "object as key": lambda: KeyError(instance(hostile_class())),
    "fields": lambda: type("Odd", (NameError,), {"name": property(noted("name"))})("x", name="y"),
    "no exception": lambda: types.SimpleNamespace(__traceback__=1),
}


@pytest.mark.parametrize("kind", HOSTILE_ERRORS)
def test_report_runs_no_code_of_the_error(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(HOSTILE_ERRORS[kind](), monkeypatch)
    RAN.clear()
    found = report_of({})
    assert RAN == []
    assert (found.error is None) == (kind == "no exception")
    assert not found.error or found.error.key == ("key" if kind == "text" else None)


def test_report_has_the_fields_of_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = FileNotFoundError(2, "No such file", "data/sale.csv")
    for error, expected in (
        (NameError("m", name="frme"), ("NameError", "frme", None, None)),
        (ImportError("m", name="pandas"), ("ImportError", "pandas", None, None)),
        (KeyError("revenu"), ("KeyError", None, "revenu", None)),
        (KeyError("k" * 600), ("KeyError", None, None, None)),
        (KeyError(3), ("KeyError", None, None, None)),
        (missing, ("FileNotFoundError", None, None, "data/sale.csv")),
        (PermissionError(13, "Denied", "secret"), ("PermissionError", None, None, None)),
    ):
        failing(error, monkeypatch)
        found = report_of({}).error
        assert found
        assert (found.type, found.name, found.key, found.path) == expected


def test_report_has_positions_and_the_locals_of_the_last_cell_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = "def f(table):\n    inner = table\n    return deep(inner, 99)\nf({'revenue': 1})"
    namespace: dict[str, Any] = {}
    others: dict[str, Any] = {}
    exec(compile("def deep(x, n): return deep(x, n - 1) if n else x['revenu']", "lib.py", "exec"), others)  # noqa: S102
    namespace["deep"] = others["deep"]
    with pytest.raises(KeyError) as raised:
        exec(compile(cell, "<ipython-input-1-x>", "exec"), namespace)  # noqa: S102
    failing(raised.value, monkeypatch)
    found = report_of(namespace, "inner", "table", "f", "missing", "inner.x")
    assert found.error
    first, *inner = found.error.frames
    assert (first.file, first.line, first.column, first.end_column) == ("<ipython-input-1-x>", 3, 11, 26)
    assert [frame.file for frame in inner] == ["lib.py"] * 30
    assert found.objects.keys() == {"inner", "table", "f"}
    assert found.objects["inner"].keys == ["revenue"]
    assert found.names[:2] == ["inner", "table"]


def test_report_describes_tables() -> None:
    index = pd.MultiIndex.from_product([[1], [2]], names=["year", None])
    namespace = {
        "frame": pd.DataFrame({"a'b\n": [1], 3: [2], "x" * 600: [3]}, index=index),
        "table": pl.DataFrame({f"c{n}": [1] for n in range(300)}),
        "wide": pd.DataFrame(np.zeros((1, 10_001)), columns=[f"c{n}" for n in range(10_001)]),
        "series": pd.Series([1], index=pd.Index([1], name="day")),
        "levels": pd.DataFrame([[1, 2]], columns=index.append(index)),
    }
    found = report_of(namespace, *namespace, "frame.groupby", "pd.read_csv").objects
    assert found["frame"].labels == ["a'b\n", "3"][:1]
    assert found["frame"].levels == ["year"]
    assert [found[name].rows for name in ("frame", "wide", "series", "table")] == [None, 1, None, None]
    assert found["frame"].version == pd.__version__
    assert found["table"].labels == [*namespace["table"].columns]
    assert found["wide"].labels is None
    assert found["levels"].labels is None
    assert found["series"].levels == ["day"]
    assert "rolling" in (found["series"].attributes or ())
    assert "by" in (found["frame.groupby"].parameters or ())


def test_report_describes_groups_and_windows() -> None:
    frame = pd.DataFrame({"a": [1], "b": [2]}, index=pd.to_datetime(["2024-05-01"]))
    groups = frame.groupby("a")
    namespace = {
        "groups": groups,
        "column": groups["b"],
        "window": frame.rolling(1),
        "growing": frame.expanding(),
        "days": frame.resample("D"),
    }
    for described in report_of(namespace, *namespace).objects.values():
        assert {"mean", "count"} <= {*(described.attributes or ())}


class Line:
    def __init__(self, linewidth: int) -> None: ...
    def set_color(self) -> None: ...
    def refuse(self, message: str) -> None:
        raise AttributeError(message, name="colour")


@pytest.mark.parametrize("message", ["Line.set() got an unexpected keyword argument 'colour'", "colour"])
def test_report_describes_the_object_that_refused_a_keyword(
    message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (Line(1), instance(hostile_class())):
        RAN.clear()
        with pytest.raises(AttributeError) as raised:
            Line.refuse(value, message)
        failing(raised.value, monkeypatch)
        error = report_of({}).error
        assert RAN == []
        assert error
        assert (error.object is None) == (message == "colour")
        if error.object and error.object.type == "Line":
            assert error.object.attributes == ["refuse", "set_color"]
            assert error.object.parameters == ["linewidth"]


def test_report_distinguishes_a_series_of_strings() -> None:
    first = [None, float("nan"), "2024-05-01"]
    hostile = pd.Series(["a", "b"], dtype=object)
    values = getattr(hostile._mgr.blocks[0], "values")  # noqa: B009
    for at, kind in enumerate((hostile_class(), metaclass())):
        values[at] = instance(kind)
    namespace = {
        "strings": pd.Series(["2024-05-01"]),
        "arrow": pd.Series(["2024-05-01"], dtype="string"),
        "objects": pd.Series(first, dtype=object),
        "later": pd.Series([*first, *["x"] * 200, 3], dtype=object),
        "mixed": pd.Series([*first, 3], dtype=object),
        "hostile": hostile,
        "subclass": pd.Series([Collides("a")], dtype=object),
        "missing": pd.Series([None], dtype=object),
        "empty": pd.Series([], dtype=object),
        "numbers": pd.Series([1.5]),
        "dates": pd.Series(pd.to_datetime(["2024-05-01"])),
        "categories": pd.Series(["a"], dtype="category"),
        "index": pd.Index(["a"]),
        "table": pl.Series(["a"]),
    }
    RAN.clear()
    found = report_of(namespace, *namespace).objects
    assert [name for name, described in found.items() if described.strings] == [*namespace][:4]
    assert RAN == []


def test_report_describes_callables_and_classes() -> None:
    def plain(a: int, /, b: int, *, c: int) -> None: ...

    @functools.wraps(plain)
    def wrapper(*args: Any, **kwargs: Any) -> None: ...

    class Model:
        rate = 0.5

        def __init__(self, depth: int = 1, **more: int) -> None: ...

        @classmethod
        def load(cls, path: str) -> None: ...

    class Abstract(ABC, Model): ...

    namespace = {
        "plain": plain,
        "wrapper": wrapper,
        "Model": Model,
        "Abstract": Abstract,
        "model": Abstract(),
    }
    wanted = (*namespace, "model.load", "Model.load", "model.rate", "Model.rate", "model.missing")
    found = report_of(namespace, *wanted).objects
    assert found["plain"].parameters == found["wrapper"].parameters == ["b", "c"]
    assert not found["plain"].open
    assert found["Model"].parameters == found["Abstract"].parameters == ["depth"]
    assert found["Model"].open
    assert found["model.load"].parameters == found["Model.load"].parameters == ["path"]
    assert found["model.rate"].type == found["Model.rate"].type == "float"
    assert found["model"].attributes == ["load", "rate"]
    assert "model.missing" not in found


def test_report_finds_items_of_dictionaries() -> None:
    config = {Key("db"): 1, "db": {"port": 1, "hosts": types.SimpleNamespace(main={"name": "a"})}}
    wanted = ("config['db']", "config['db']['hosts'].main", "config['missing']", "config[0]", "config['")
    RAN.clear()
    found = report_of({"config": config, "held": type("Held", (dict,), EVIL)()}, *wanted, "held['a']").objects
    assert RAN == []
    assert {name: each.keys for name, each in found.items()} == {
        "config['db']": ["port", "hosts"],
        "config['db']['hosts'].main": ["name"],
    }


def test_report_describes_modules_that_compute_attributes() -> None:
    found = report_of({"np": np}, "np", "np.linalg").objects
    assert "asarray" in (found["np"].attributes or ())
    assert (found["np"].name, found["np"].version) == ("numpy", np.__version__)
    assert found["np.linalg"].version == np.__version__
    assert "join" in (report_of({}, "os.path").objects["os.path"].attributes or ())  # not bound to a name


def test_check_reports_the_namespace_without_the_last_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(local: dict[str, int]) -> None:
        raise KeyError(*local)

    try:
        fail({"key": 1})
    except KeyError as error:
        failing(error, monkeypatch)
    monkeypatch.setattr("builtins.patched", 1, raising=False)
    namespace = {"frame": {"key": 1}, "In": ["", "frame = 1"]}
    found = read_report(json.loads(json.dumps(probe.report(namespace, ["frame", "local"], []))))
    assert (found.error, [*found.objects], found.executions) == (None, ["frame"], 1)
    assert {"frame", "patched", "print"} <= {*found.names}
    assert "local" not in found.names
    assert read_report(probe.report(namespace | {"In": 3}, [], [])).executions is None


def test_report_distinguishes_closed_objects() -> None:
    class Plain:
        def __init__(self, depth: int) -> None:
            self.depth = depth

    class Computed(Plain):
        def __getattr__(self, name: str) -> int:
            return 1

    class WithMetaclass(metaclass=ABCMeta):
        @abstractmethod
        def run(self) -> None: ...

    class Runnable(WithMetaclass):
        def run(self) -> None: ...

    class ComputingClass(type):
        def __getattr__(cls, name: str) -> int:
            return 1

    class Both(Plain):
        def __new__(cls, *_: object, **__: object) -> Any: ...

    @functools.wraps(Plain)
    def wrapper(*given: object) -> None: ...

    namespace: dict[str, Any] = {
        "Plain": Plain, "plain": Plain(1), "Computed": Computed, "computed": Computed(1), "abstract": Runnable(),
        "Runnable": Runnable, "WithComputed": ComputingClass("WithComputed", (), {}), "percentile": np.percentile,
        "Both": Both, "wrapper": wrapper, "lambda_": lambda x: x, "np": np, "module": types, "array": np.ones(2),
        "frame": pd.DataFrame({"a": [1]}), "series": pd.Series([1]), "text": "", "config": {},
    }  # fmt: skip
    found = report_of(namespace, *namespace, "missing").objects
    closed = {name for name, each in found.items() if each.closed}
    open_ = {"computed", "Both", "WithComputed", "wrapper", "np", "series"}
    assert closed == namespace.keys() - open_
    assert found.keys() == namespace.keys()
    assert {"run", "register", "mro"} <= {*(found["Runnable"].attributes or ())}
    assert found["WithComputed"].attributes is None
    assert "method" in (found["percentile"].parameters or ())


def test_report_describes_the_attribute_that_an_object_has() -> None:
    class Shop:
        def add(self, price: int) -> None: ...

        def sell(self, price: int) -> None: ...

        @property
        def size(self) -> int:
            return 1

    shop = Shop()
    vars(shop).update(sell=lambda item: item, size=2)
    found = report_of({"shop": shop}, "shop.add", "shop.sell", "shop.size").objects
    assert {name: each.parameters for name, each in found.items()} == {
        "shop.add": ["price"],
        "shop.sell": ["item"],
    }


def test_report_lists_folders_around_a_missing_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("data/sales.csv", "other/raw/sales.csv", "other/costs.csv", ".hidden/sales.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)

    def folders(path: str) -> dict[str, list[str]]:
        failing(FileNotFoundError(2, "No such file", path), monkeypatch)
        return {folder.path: folder.names for folder in report_of({}).folders}

    assert folders("sale.csv")[""] == ["data/", "other/"]
    assert folders("sales.csv")["data"] == ["sales.csv"]
    assert folders("data/costs.csv") == {
        "data": ["sales.csv"],
        "other": ["costs.csv", "raw/"],
        "": ["data/", "other/"],
    }
    assert folders("dat/sales.csv")["data"] == ["sales.csv"]
    assert folders("othr/raw/sales.csv")["other/raw"] == ["sales.csv"]
    assert folders(f"{tmp_path}/dat/sales.csv")[f"{tmp_path}/data"] == ["sales.csv"]
    assert "" in folders("no/such/place/sales.csv")
    assert folders("\0/x") == {} or "" in folders("\0/x")


def test_report_lists_the_working_folder_after_an_import_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "helpers.py").touch()
    monkeypatch.chdir(tmp_path)
    failing(ModuleNotFoundError("m", name="helper"), monkeypatch)
    assert report_of({}).folders == [Folder(path="", names=["helpers.py"])]


def test_report_searches_no_folder_on_another_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("remote", "local"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sales.csv").touch()
    (tmp_path / "linked").symlink_to(tmp_path / "remote")
    searched: list[str] = []
    exists, lstat = os.path.exists, os.lstat

    def note(path: str) -> bool:
        searched.append(path)
        return exists(path)

    def other_disk(path: str) -> object:
        found = lstat(path)
        other = found.st_dev + path.endswith("remote")
        return SimpleNamespace(st_mode=found.st_mode, st_dev=other)

    monkeypatch.setattr(os.path, "exists", note)
    monkeypatch.setattr(os, "lstat", other_disk)
    failing(FileNotFoundError(2, "No such file", f"{tmp_path}/sales.csv"), monkeypatch)
    found = report_of({}).folders
    assert f"{tmp_path}/local/sales.csv" in searched
    assert not [path for path in searched if "remote" in path or "linked" in path]
    assert found[0].names == ["linked", "local/", "remote/"]


def test_report_searches_no_folder_below_an_automount(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "hosts" / "one").mkdir(parents=True)
    monkeypatch.setattr(probe, "_automounts", lambda: (f"{tmp_path}/hosts/",))
    failing(FileNotFoundError(2, "No such file", f"{tmp_path}/hosts/two/x"), monkeypatch)
    assert [folder.path for folder in report_of({}).folders] == [f"{tmp_path}/hosts"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 reports no columns")
def test_report_reads_no_columns_behind_much_code(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace: dict[str, Any] = {}
    source = "def long(x):\n" + "    x = x + 1\n" * 40_000 + "    return x.missing\nlong(1)"
    with pytest.raises(AttributeError) as raised:
        exec(compile(source, "<ipython-input-1-x>", "exec"), namespace)  # noqa: S102
    failing(raised.value, monkeypatch)
    found = report_of(namespace)
    assert found.error
    *_, last = found.error.frames
    assert (last.line, last.column) == (40_002, None)


def test_facts_include_startup_names_and_exclude_shell_names() -> None:
    namespace = {"In": [], "exit": 1, "quit": 1, "open": open, "get_ipython": 1, "_dh": [], "json": json}
    found = probe.facts(namespace)
    assert list(found["names"]) == ["json"]
    assert found["all"]


def test_facts_run_no_code_of_classes_in_place_of_library_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, held in probe._KNOWN.items():
        fake = module(name)
        for one in held:
            fake.__dict__[one] = hostile_class()
        monkeypatch.setitem(sys.modules, name, fake)
    values = {one: instance(sys.modules["pandas"].__dict__[one]) for one in ("DataFrame", "Series", "Index")}
    monkeypatch.setitem(sys.modules, Key("polars"), 1)  # type: ignore[arg-type]
    RAN.clear()
    found = probe.facts(values)
    assert RAN == []
    assert found["names"]["DataFrame"]["columns"] == []


def test_facts_run_no_method_of_a_class_bound_in_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    own = type("Own", (), {})
    array, frame, table = (instance(type("Own", (), {})) for _ in range(3))
    array.__class__.__len__ = array.__class__.__getitem__ = noted("array")
    frame._mgr = types.SimpleNamespace(axes=[pd.Index(["a"])], blocks=())
    frame._mgr.axes[0].__dict__["_data"] = array
    table._df = planted(own)
    monkeypatch.setattr(np, "ndarray", type(array))
    monkeypatch.setattr(pd, "DataFrame", type(frame))
    monkeypatch.setattr(pl, "DataFrame", type(table))
    monkeypatch.setattr("polars._plr.PyDataFrame", own)
    RAN.clear()
    found = probe.facts({"frame": frame, "table": table})
    assert RAN == []
    assert len(found["names"]) == 2


def test_facts_run_no_methods_patched_into_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("columns", "dtypes", "__getattr__", "__len__"):
        monkeypatch.setattr(pd.DataFrame, name, property(noted(name)))
    for name in ("columns", "dtype_strings"):
        monkeypatch.setattr(type(pl.DataFrame()._df), name, noted(name))
    namespace = {"df": pd.DataFrame({"a": [1]}), "table": pl.DataFrame()}
    RAN.clear()
    found = probe.facts(namespace)["names"]
    assert RAN == []
    assert found["df"]["columns"] == ["a"]
    assert "columns" not in found["table"]


def test_facts_keep_no_reference_to_objects() -> None:
    kind = type("Mortal", (), {"__del__": lambda _: RAN.append("del")})
    namespace = {"value": kind()}
    RAN.clear()
    gc.disable()  # objects outside cycles are freed at once
    try:
        probe.facts(namespace)
        assert RAN == []
        namespace.clear()
        assert RAN == ["del"]
    finally:
        gc.enable()


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_facts_list_the_columns_of_a_table(make: Any) -> None:
    frame = make({"a": [1], "b": ["x"]})
    found = probe.facts({"df": frame, "part": frame[["b"]]})["names"]
    assert (found["df"]["columns"], found["df"]["all"]) == (["a", "b"], True)
    assert found["part"]["columns"] == ["b"]


@pytest.mark.parametrize("index", [None, [4, 2, 7], ["a", "b", "c"], pd.date_range("2024", periods=3)])
def test_report_has_the_number_of_rows_for_each_index(index: Any) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3]}, index=index)
    assert report_of({"frame": frame}, "frame").objects["frame"].rows == 3


def test_facts_read_labels_stored_by_arrow() -> None:
    arrow = pytest.importorskip("pyarrow")
    labels = object.__new__(pd.arrays.ArrowStringArray)
    labels.__dict__["_pa_array"] = arrow.chunked_array([["a", "b"]])
    frame = pd.DataFrame({"a": [1], "b": [2.5]})
    frame.columns.__dict__["_data"] = labels
    assert probe.facts({"df": frame})["names"]["df"]["columns"] == ["a", "b"]


def test_facts_convert_no_value_of_an_arrow_extension() -> None:
    arrow = pytest.importorskip("pyarrow")

    class Scalar(arrow.ExtensionScalar):
        as_py = noted("as_py")

    class Extension(arrow.ExtensionType):
        def __init__(self) -> None:
            super().__init__(arrow.string(), "tests.hostile")

        def __arrow_ext_serialize__(self) -> bytes:
            return b""

        def __arrow_ext_scalar_class__(self) -> type:
            return Scalar

    labels = object.__new__(pd.arrays.ArrowStringArray)
    stored = arrow.ExtensionArray.from_storage(Extension(), arrow.array(["a"]))
    labels.__dict__["_pa_array"] = arrow.chunked_array([stored])
    frame = pd.DataFrame({"a": [1]})
    frame.columns.__dict__["_data"] = labels
    RAN.clear()
    found = probe.facts({"df": frame})["names"]["df"]
    assert RAN == []
    assert found["columns"] == []


def test_facts_leave_out_the_parameters_of_an_enormous_function() -> None:
    namespace: dict[str, Any] = {}
    exec(f"def f({', '.join(f'a{number}' for number in range(5000))}): pass", namespace)  # noqa: S102
    assert probe.facts({"f": namespace["f"]})["names"]["f"]["parameters"] is None


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_facts_list_the_first_columns_of_a_wide_table(make: Any) -> None:
    frame = make({f"c{number}": [number] for number in range(3000)})
    found = probe.facts({"df": frame})["names"]["df"]
    assert found["columns"] == [f"c{number}" for number in range(probe.MOST_COLUMNS)]
    assert not found["all"]


def enormous_class(number: int) -> Any:
    return type(f"Big{number}", (), {f"name_{index}": index for index in range(1400)})()


@pytest.mark.parametrize(
    "namespace",
    [
        {f"value_{number}": number for number in range(100_000)},
        {f"_private_{number}": number for number in range(100_000)},
        {f"made_{number}": enormous_class(number) for number in range(60)},
        {f"wide_{n}": pd.DataFrame({f"c{m}": [["x"], [1]][m % 2] for m in range(500)}) for n in range(30)},
    ],
    ids=["names", "private names", "classes", "tables"],
)
def test_facts_are_bounded_in_work_and_name_only_existing_attributes(
    namespace: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 0

    def trace(*_: Any) -> Any:
        nonlocal steps
        steps += 1
        return trace

    clock = iter(range(10**9))
    monkeypatch.setattr(probe, "thread_time", lambda: next(clock) * probe.SECONDS / 5)
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        found = probe.facts(namespace)
    finally:
        sys.settrace(before)
    assert steps < 150_000
    public = [name for name in namespace if not name.startswith("_")]
    assert list(found["names"]) == public[::-1][: probe.MOST_NAMES]
    assert len(json.dumps(found)) < 2 * probe.MOST_BYTES


def test_modules_returns_the_search_path_as_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    RAN.clear()
    odd = ["", "/a", Collides("/b"), 3, "\ud800", "x" * 2000, Path("/c"), "src/", "../b", "/d"]
    monkeypatch.setattr(sys, "path", odd)
    monkeypatch.chdir(tmp_path)
    here = str(tmp_path), str(tmp_path / "src"), str(tmp_path.parent / "b")
    found = probe.facts({})
    assert found["modules"]["path"] == [here[0], "/a", *here[1:], "/d"]
    modules = kernel.read_kernel_context(json.loads(json.dumps(found))).modules
    assert modules.path == (here[0], "/a", *here[1:], "/d")
    assert modules.here == here
    assert RAN == []


class Comm:
    """A comm of a kernel, with the messages that it published."""

    comm_id = "one"

    def __init__(self, *, can_send: bool = True) -> None:
        self.can_send, self.published = can_send, []

    def send(self, _: object) -> None:
        if not self.can_send:
            raise BrokenPipeError
        self.published.append("comm_msg")

    def close(self) -> None:
        self.published.append("comm_close")


def installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install the handler in a minimal kernel, and return it."""
    targets: dict[str, Any] = {}
    manager = types.SimpleNamespace(register_target=targets.__setitem__)
    shell = types.SimpleNamespace(kernel=types.SimpleNamespace(comm_manager=manager), user_ns={})
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    probe.install("facts")
    return targets["facts"]


def test_install_closes_the_comm_of_other_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    comm = Comm()
    installed(monkeypatch)(comm, {})
    assert comm.published == ["comm_msg", "comm_close"]


def records_of(namespace: Any, *traced: str) -> dict[str, Any]:
    """Return the records of expressions as the server reads them."""
    return read_report(json.loads(json.dumps(probe.report(namespace, [], [*traced])))).records


def inert(namespace: Any, *traced: str) -> dict[str, bool]:
    return {expression: found.is_inert for expression, found in records_of(namespace, *traced).items()}


class OfUser:
    """A class of the user."""

    value = 1

    @property
    def computed(self) -> int:
        return 1

    def method(self) -> None:
        pass


class Table(pd.DataFrame):
    """A table of the user."""


class Computing:
    """A class whose objects compute each attribute."""

    value = 1

    def __getattribute__(self, name: str) -> Any:
        return noted(name)()


def of_user(*_: Any) -> int:
    return 1


@functools.wraps(pd.read_csv)
def disguised(*_: Any) -> None:
    pass


def test_check_records_what_runs_only_code_of_libraries() -> None:
    namespace = {
        "frame": pd.DataFrame({"a": [1], "b": ["x"]}),
        "table": pl.DataFrame({"a": [1]}),
        "objects": pd.DataFrame({"a": pd.Series(["x", None, 1.5], dtype=object)}),
        "numbers": [*range(5000)],
        "nested": {"a": [{"b": (1, {2})}]},
        "stamp": pd.Timestamp("2026-01-01"),
        "generator": np.random.default_rng(0),
        "bound": [].append,
        "part": functools.partial(len),
        "np": np,
        "pd": pd,
        "os": os,
        "len": len,
        "Path": Path,
    }
    traced = [
        *namespace,
        "np.mean",
        "np.sin",
        "np.random.normal",
        "pd.read_csv",
        "frame.head",
        "frame.shape",
        "os.path.join",
    ]
    assert {expression for expression, is_inert in inert(namespace, *traced).items() if not is_inert} == set()
    records = records_of(namespace, *traced)
    assert records["len"].function == "builtins.len"
    assert records["os.path.join"].function.endswith("path.join")
    assert (records["frame"].kind, records["nested"].kind, records["np"].kind) == ("table", "dict", "module")
    assert records["numbers"].size == 5000


def test_check_records_what_may_run_code_of_the_user() -> None:
    instance = OfUser()
    array = np.empty(1, dtype=object)
    array[0] = instance
    namespace = {
        "instance": instance,
        "OfUser": OfUser,
        "of_user": of_user,
        "disguised": disguised,
        "held": [instance],
        "key": {instance: 1},
        "part": functools.partial(of_user),
        "ufunc": np.frompyfunc(of_user, 1, 1),
        "array": array,
        "objects": pd.DataFrame({"a": array}),
        "polars": pl.DataFrame({"a": pl.Series([instance], dtype=pl.Object)}),
        "subclass": Table({"a": [1]}),
        "iterator": (each for each in [1]),
        "method": instance.method,
        "mapped": map(of_user, [1]),
        "factory": defaultdict(OfUser),
        "weak": weakref.ref(instance),
        "slice": slice(instance, None),
        "large": Counter(range(400_000)),
        "deep": functools.reduce(lambda inner, _: [inner, {}], range(3000), []),
        "many": [[] for _ in range(3000)],
        "Computing": Computing,
        "computing": Computing(),
    }
    traced = [*namespace, "instance.computed", "instance.method", "disguised", "computing.value"]
    assert {expression for expression, is_inert in inert(namespace, *traced).items() if is_inert} == set()
    assert inert(namespace, "instance.value") == {"instance.value": True}


def test_check_numbers_the_names_of_one_object_alike() -> None:
    frame = pd.DataFrame({"a": [1]})
    records = records_of(
        {"one": frame, "held": {"x": frame}, "other": frame.copy()}, "one", "held['x']", "other"
    )
    assert records["one"].number == records["held['x']"].number != records["other"].number


def test_check_records_imported_modules_only() -> None:
    records = records_of(
        {}, "import numpy", "import numpy.linalg", "import numpy.mean", "import not_imported", "numpy"
    )
    assert {name: found.kind for name, found in records.items()} == {
        "import numpy": "module",
        "import numpy.linalg": "module",
        "import numpy.mean": "other",
    }


def test_check_does_not_take_a_file_of_the_user_for_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "seaborn.py").write_text("def plot(): pass\nclass Plot: pass")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "seaborn", raising=False)
    namespace: dict[str, Any] = {}
    exec("import seaborn", namespace)  # noqa: S102
    monkeypatch.delitem(sys.modules, "seaborn")
    monkeypatch.setitem(sys.modules, "seaborn", namespace["seaborn"])
    assert inert(namespace, "seaborn", "seaborn.plot", "seaborn.Plot") == dict.fromkeys(
        ("seaborn", "seaborn.plot", "seaborn.Plot"), False
    )


@pytest.mark.parametrize("label", ["x" * 600, Collides("a"), np.str_("a"), OfUser()])
def test_check_describes_no_table_with_a_label_that_may_equal_a_string(label: Any) -> None:
    namespace = {"frame": pd.DataFrame([[1, 2]], columns=pd.Index([label, "b"], dtype=object)), "In": [""]}
    found = read_report(json.loads(json.dumps(probe.report(namespace, ["frame"], []))))
    assert found.objects["frame"].labels is None


def test_check_reports_foreign_methods_of_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not read_report(probe.report({"In": [""]}, [], [])).extended
    monkeypatch.setattr(pd.Series, "of_user", of_user, raising=False)
    assert read_report(probe.report({"In": [""]}, [], [])).extended


def test_check_reports_changed_code_of_a_method_of_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not read_report(probe.report({"In": [""]}, [], [])).extended
    monkeypatch.setattr(pd.DataFrame.head, "__code__", of_user.__code__)
    assert read_report(probe.report({"In": [""]}, [], [])).extended


def test_check_reports_foreign_accessors_of_tables() -> None:
    pd.api.extensions.register_dataframe_accessor("of_user")(OfUser)
    assert read_report(probe.report({"In": [""]}, [], [])).extended
    del pd.DataFrame.of_user  # type: ignore[attr-defined]
    pd.DataFrame._accessors.discard("of_user")


def test_check_leaves_out_the_keys_of_the_namespace() -> None:
    namespace: dict[str, Any] = {"In": [""]}
    namespace["space"] = namespace
    found = read_report(probe.report(namespace, ["space"], []))
    assert found.objects["space"].keys is None


def in_new_process(code: str) -> str:
    """Return what a program prints, which has no threads of the tests."""
    start = "import threading, _thread, time, asyncio\nfrom jupyter_turbopilot.jupyter.kernels import probe\n"
    start += "def alone():\n    return probe.report({'In': ['']}, [], [])['alone']\n"
    run = subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, check=True)
    return run.stdout.strip()


@pytest.mark.parametrize(
    "code",
    [
        "threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
        "threading.Timer(9, print).start()",
        "_thread.start_new_thread(time.sleep, (9,)); time.sleep(0.2)",
        "from concurrent.futures import ThreadPoolExecutor as Pool; Pool().submit(time.sleep, 9)",
    ],
)
def test_check_is_not_alone_beside_threads_of_the_user(code: str) -> None:
    assert (
        in_new_process(f"print(alone()); {code}\nprint(alone(), flush=True); __import__('os')._exit(0)")
        == "True\nFalse"
    )


@pytest.mark.parametrize(
    "code", ["loop.create_task(wait())", "loop.call_later(9, print)", "loop.call_soon(print)"]
)
def test_check_is_not_alone_beside_tasks_and_timers_of_the_user(code: str) -> None:
    program = f"""
async def wait():
    await asyncio.sleep(9)
loop = asyncio.new_event_loop()
def ask():
    before = alone()
    task = {code}
    print(before, alone())
    loop.stop()
ask.__module__ = "ipykernel"
loop.call_soon(ask)
loop.run_forever()
"""
    assert in_new_process(program) == "True False"


def test_check_reads_the_loaded_modules_without_looking_up_their_names() -> None:
    program = """
import sys
class Key:
    def __hash__(self): return hash("threading")
sys.modules = {Key(): None, **sys.modules}
Key.__eq__ = lambda *_: print("ran")
print(alone())
"""
    assert in_new_process(program) == "True"


@pytest.mark.parametrize(
    "change",
    [
        "shell.events.register('pre_run_cell', mine)",
        "shell.input_transformers_post.append(mine)",
        "shell.input_transformers_cleanup.append(mine)",
        "shell.input_transformer_manager.line_transforms.append(mine)",
        "shell.ast_transformers.append(mine)",
        "shell.ast_node_interactivity = 'all'",
        "import signal; signal.setitimer(signal.ITIMER_REAL, 99)",
    ],
)
def test_check_is_not_alone_with_hooks_of_the_user(change: str) -> None:
    program = f"""
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
shell = InteractiveShell(config=Config(HistoryManager=dict(enabled=False)))
def alone():
    return probe.report({{'In': ['']}}, [], [], shell)['alone']
def mine(*_):
    pass
before = alone()
{change}
print(before, alone())
"""
    assert in_new_process(program) == "True False"


def test_check_reports_that_ipython_reloads_modules() -> None:
    from IPython.extensions.autoreload import AutoreloadMagics

    reloading = types.MethodType(AutoreloadMagics.pre_run_cell, object())
    events = types.SimpleNamespace(callbacks={"pre_run_cell": [reloading]})
    inputs = types.SimpleNamespace(cleanup_transforms=[], line_transforms=[], token_transformers=[])
    shell = types.SimpleNamespace(
        events=events,
        ast_transformers=[],
        input_transformers_post=[],
        input_transformer_manager=inputs,
        ast_node_interactivity="last_expr",
    )
    assert read_report(probe.report({"In": [""]}, [], [], shell)).reloads
    assert not read_report(probe.report({"In": [""]}, [], [])).reloads


def test_answer_to_a_check_has_no_kernel_context() -> None:
    def answer(**data: Any) -> dict[str, Any]:
        return probe._answer({"In": [""], "n": 1}, {"content": {"data": data}})

    assert {*answer(wanted=["n"], traced=["n"])} == {"report"}
    assert {"names", "report"} <= {*answer(wanted=["n"])}
    assert "report" not in answer()
