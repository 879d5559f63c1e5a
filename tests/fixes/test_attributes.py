from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.report import ObjectDescription, TracebackFrame
from jupyter_turbopilot.fixes.attributes import find, find_aggregation, find_parameter
from tests.fixes.failing import FRAME, applied, failure

POLARS = ObjectDescription(
    type="DataFrame", module="polars.dataframe.frame", labels=["city"], attributes=["head"]
)
MODULE = ObjectDescription(
    type="module", module="builtins", name="math", attributes=["sqrt", "floor", "comb"]
)


@pytest.mark.parametrize(
    ("source", "known", "fixed", "title"),
    [
        ("df.haed()", FRAME, "df.head()", "Did you mean 'head'?"),
        ("df.revenu_eur.sum()", FRAME, "df.revenue_eur.sum()", "Did you mean 'revenue_eur'?"),
        ("df.order_id", FRAME, "df['Order ID']", "Did you mean ['Order ID']?"),
        ("df.city", POLARS, "df['city']", "Did you mean ['city']?"),
        ("df.cooy()", FRAME, "df.copy()", "Did you mean 'copy'?"),
        ("math.floro(1)", MODULE, "math.floor(1)", "Did you mean 'floor'?"),
        ("(df\n .haed())", FRAME, "(df\n .head())", "Did you mean 'head'?"),
    ],
)
def test_misspelled_attribute_is_corrected(
    source: str, known: ObjectDescription, fixed: str, title: str
) -> None:
    word = source.replace("\n ", "").partition(".")[2].partition("(")[0].partition(".")[0]
    error = f"AttributeError: 'X' object has no attribute '{word}'"
    failed = failure(source, error, source, name=word, object=known)
    (fix,) = find(failed)
    assert (applied(failed, fix), fix.title) == (fixed, title)


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (None, "'NoneType' object has no attribute 'haed'"),
        (
            ObjectDescription(type="NoneType", attributes=["head"]),
            "'NoneType' object has no attribute 'haed'",
        ),
        (ObjectDescription(type="Model"), "'Model' object has no attribute 'haed'"),
        (FRAME, "partially initialized module 'df' has no attribute 'haed' (circular import)"),
        (FRAME, "module 'df' has no attribute 'haed' (consider renaming '/home/df.py')"),
        (
            ObjectDescription(type="Model", attributes=["heads", "headed", "hard"]),
            "'Model' has no attribute 'heade'",
        ),
        (ObjectDescription(type="Line2D", attributes=["head"]), "unexpected keyword argument 'haed'"),
        (ObjectDescription(type="Model", attributes=["tail"]), "'Model' object has no attribute 'haed'"),
    ],
)
def test_uncertain_attribute_is_not_corrected(known: ObjectDescription | None, message: str) -> None:
    objects: dict[str, ObjectDescription] = {}
    assert [*find(failure("df.haed", f"AttributeError: {message}", object=known, objects=objects))] == []


@pytest.mark.parametrize(
    ("source", "message", "fixed"),
    [
        ("g.agg({'x': 'men'})", "'SeriesGroupBy' object has no attribute 'men'", "g.agg({'x': 'mean'})"),
        ("g.agg(a=('x', 'meen'))", "'X' object has no attribute 'meen'", "g.agg(a=('x', 'mean'))"),
        (
            "df.agg(['max', 'cuont'])",
            "'cuont' is not a valid function for 'X' object",
            "df.agg(['max', 'count'])",
        ),
        ("g.agg(a=('x', 'maxx'))", "'X' object has no attribute 'maxx'", "g.agg(a=('x', 'max'))"),
        ("g.agg({'x': 'maxx'})", "'X' object has no attribute 'maxx'", "g.agg({'x': 'max'})"),
        ("g.agg({'x': ['sum', 'minn']})", "'minn' is not a valid function for 'X'", "g.agg({'x': ['sum', 'min']})"),
        ("g.agg(\n    a=('x', 'sum'),\n    b=('y', 'summ'),\n)", "'X' has no attribute 'summ'", "g.agg(\n    a=('x', 'sum'),\n    b=('y', 'sum'),\n)"),
        ("g.agg(a=NamedAgg('x', 'stdd'))", "'X' has no attribute 'stdd'", "g.agg(a=NamedAgg('x', 'std'))"),
        ("g.agg(maxx=('x', 'maxx'))", "'X' has no attribute 'maxx'", "g.agg(maxx=('x', 'max'))"),
        ("g.agg({'maxx': 'maxx'})", "'X' has no attribute 'maxx'", None),
        ("g.agg(a=('x', 'sett'))", "'X' has no attribute 'sett'", None),
        ("g.transform('meen')", "'meen' is not a valid function name for transform", "g.transform('mean')"),
        ("g.agg('list')", "'X' object has no attribute 'list'", None),
        ("g.agg('average')", "'X' object has no attribute 'average'", None),
        ("g.agg({'men': 'men'})", "'X' object has no attribute 'men'", None),
        ("getattr(g, 'men')", "'X' object has no attribute 'men'", None),
        ("g.agg('modee')", "'SeriesGroupBy' object has no attribute 'modee'", None),
        ("g.agg('frist')", "'DataFrameGroupBy' object has no attribute 'frist'", "g.agg('first')"),
        ("s.agg('modee')", "'Series' object has no attribute 'modee'", "s.agg('mode')"),
        ("df.agg('firts')", "'firts' is not a valid function for 'DataFrame' object", None),
        ("s.apply(lambda v: getattr(v, 'sizes'))", "'X' object has no attribute 'sizes'", None),
    ],
)  # fmt: skip
def test_name_of_an_aggregation_is_corrected(source: str, message: str, fixed: str | None) -> None:
    expression = source if "\n" in source else ""
    failed = failure(source, f"AttributeError: {message}", expression, library=True)
    assert [applied(failed, fix) for fix in find_aggregation(failed)] == [fixed] * (fixed is not None)


@given(st.text(min_size=4, max_size=30))
def test_any_label_as_attribute_parses(label: str) -> None:
    word = "".join(letter if letter.isidentifier() else "_" for letter in label.lower())
    known = ObjectDescription(type="DataFrame", module="pandas", labels=[label], attributes=[])
    failed = failure(f"df.{word}.sum()", f"AttributeError: no attribute '{word}'", name=word, object=known)
    for fix in find(failed):
        applied(failed, fix)


def test_find_handles_deep_expressions() -> None:
    source = "(" + "a + " * 330 + "a).heda"
    described = ObjectDescription(type="Series", attributes=["head"])
    failed = failure(
        source, "AttributeError: 'Series' object has no attribute 'heda'", source, object=described
    )
    assert [fix.title for fix in find(failed)] == ["Did you mean 'head'?"]


FIT = ObjectDescription(type="function", parameters=["self", "data", "epochs", "scale", "x_min"])


def error(word: str, hint: str = "") -> str:
    return f"TypeError: fit() got an unexpected keyword argument '{word}'{hint}"


@pytest.mark.parametrize(
    ("source", "word", "fixed"),
    [
        ("fit(1, epoch=2)", "epoch", "fit(1, epochs=2)"),
        ("fit(epochs=1, scael = 2)", "scael", "fit(epochs=1, scale = 2)"),
        ("print(fit(1, Epochs=fit(1)))", "Epochs", "print(fit(1, epochs=fit(1)))"),
    ],
)
def test_misspelled_parameter_is_corrected(source: str, word: str, fixed: str) -> None:
    failed = failure(source, error(word), objects={"fit": FIT})
    (fix,) = find_parameter(failed)
    assert applied(failed, fix) == fixed


@pytest.mark.parametrize(
    ("word", "parameters", "is_found"),
    [
        ("decimal", ["value", "decimaler"], True),
        ("decimal", ["value", "decimalerna"], False),
        ("decimal", ["value", "decimal_xy"], False),
        ("decimal", ["decimaler", "decile"], False),
        ("decim", ["value", "decimer"], False),
        ("decimaler", ["value", "decimal"], False),
    ],
)
def test_end_of_the_only_similar_parameter_is_added(word: str, parameters: list[str], is_found: bool) -> None:
    source = f"fit(10, {word}=1)"
    for is_open in (False, True):
        fit = ObjectDescription(type="function", parameters=parameters, open=is_open)
        failed = failure(source, error(word), objects={"fit": fit})
        fixes = [applied(failed, fix) for fix in find_parameter(failed)]
        assert fixes == (["fit(10, decimaler=1)"] if is_found and not is_open else [])


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("fit(1, x=2)", "x"),
        ("fit(epochs=1, epoch=2)", "epoch"),  # given twice
        ("fit(epoch=1) + fit(epoch=2)", "epoch"),
        ("fit(**options)", "epoch"),
        ("other(epoch=1)", "epoch"),
        ("fit(x_max=1)", "x_max"),
        ("fit(scale=1)", "scale"),  # a function that it calls raised the error
    ],
)
def test_uncertain_parameter_is_not_corrected(source: str, word: str) -> None:
    assert [*find_parameter(failure(source, error(word), objects={"fit": FIT}))] == []


def test_suggestion_of_the_interpreter_is_used_for_an_unknown_function() -> None:
    failed = failure("a().fit(epoch=1)", error("epoch", ". Did you mean 'epochs'?"))
    (fix,) = find_parameter(failed)
    assert applied(failed, fix) == "a().fit(epochs=1)"


LINE = ObjectDescription(
    type="Line2D",
    attributes=["get_label", "set_color", "set_label", "set_alpha", "set_sizes"],
    parameters=["linewidth"],
)


@pytest.mark.parametrize(
    ("source", "word", "fixed"),
    [
        ('plt.plot(x, y, colour="k")', "colour", 'plt.plot(x, y, color="k")'),
        ("ax.plot(x, lable=1, color=2)", "lable", "ax.plot(x, label=1, color=2)"),
        ("plt.plot(x, alpah=1)", "alpah", "plt.plot(x, alpha=1)"),
        ("plt.plot(x, linewidht=1)", "linewidht", "plt.plot(x, linewidth=1)"),
        ("plt.plot(x, dat=1)", "dat", None),
        ("plt.plot(x, size=1)", "size", None),
        ("plt.plot(x, ecolor=1)", "ecolor", None),
        ("plt.plot(x, color=1, colour=2)", "colour", None),
        ("plt.plot(x, get_lable=1)", "get_lable", None),
        ("plt.plot(x, knd=1)", "knd", None),
    ],
)
@pytest.mark.parametrize(
    "message", ["Line2D.set() got an unexpected keyword argument", "'X' has no property"]
)
def test_keyword_of_matplotlib_is_corrected(source: str, word: str, fixed: str | None, message: str) -> None:
    plot = ObjectDescription(type="function", parameters=["data", "args"], open=True)
    text = f"AttributeError: {message} '{word}'"
    failed = failure(source, text, objects={"plt.plot": plot}, object=LINE, name=word, library=True)
    assert [applied(failed, fix) for fix in find_parameter(failed)] == [fixed] * (fixed is not None)


@pytest.mark.parametrize(
    ("file", "fixed"), [("pandas/plotting/_core.py", ["df.plot(kind=1)"]), ("lib.py", [])]
)
def test_keyword_of_a_plot_of_pandas_is_corrected(file: str, fixed: list[str]) -> None:
    source, text = "df.plot(knd=1)", "AttributeError: Line2D.set() got an unexpected keyword argument 'knd'"
    failed = failure(source, text, objects={}, object=LINE, name="knd")
    assert failed.report.error
    frames = [*failed.report.error.frames, TracebackFrame(file, 1)]
    error = msgspec.structs.replace(failed.report.error, frames=frames)
    failed = replace(failed, report=msgspec.structs.replace(failed.report, error=error))
    assert [applied(failed, fix) for fix in find_parameter(failed)] == fixed


@given(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), st.lists(st.text(max_size=12), max_size=5))
def test_any_fix_parses(word: str, parameters: list[str]) -> None:
    failed = failure(
        f"fit({word}_=1)", error(f"{word}_"), objects={"fit": ObjectDescription(parameters=parameters)}
    )
    for fix in find_parameter(failed):
        applied(failed, fix)
