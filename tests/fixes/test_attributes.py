from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.report import ObjectDescription
from jupyter_turbopilot.fixes.attributes import find, find_aggregation
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
