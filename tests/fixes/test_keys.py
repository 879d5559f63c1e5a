from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from jupyter_turbopilot.analysis.report import ObjectDescription
from jupyter_turbopilot.fixes.keys import find, find_in_query
from jupyter_turbopilot.util.bounds import Operations, counted_operations
from tests.fixes.failing import FRAME, applied, failure

EXPECTED = "Expected one of ['city', 'year'] but received: citty"
POLARS = ObjectDescription(type="DataFrame", module="polars.dataframe.frame", labels=["city", "year"])


@pytest.mark.parametrize(
    ("source", "error", "fixed"),
    [
        ('df["revenu_eur"]', "KeyError: 'revenu_eur'", 'df["revenue_eur"]'),
        ("df['order_id']", "KeyError: 'order_id'", "df['Order ID']"),
        ("f\"ö {df['citty'].sum():.2f} {{x}}\"", "KeyError: 'citty'", "f\"ö {df['city'].sum():.2f} {{x}}\""),
        ('df[["citty"]]', "KeyError: \"['citty'] not in index\"", 'df[["city"]]'),
        (
            'df[["citty", "revenu_eur"]]',
            "KeyError: \"None of [Index(['citty', 'revenu_eur'], dtype='str')] are in the [columns]\"",
            'df[["city", "revenue_eur"]]',
        ),
        ('df.head()["citty"]', "KeyError: 'citty'", 'df.head()["city"]'),
        ('df.loc[:, "citty"]', "KeyError: 'citty'", 'df.loc[:, "city"]'),
        ('df.drop("citty", axis=1)', "KeyError: \"['citty'] not found in axis\"", 'df.drop("city", axis=1)'),
        ('df.sort_values("citty")', "KeyError: 'citty'", 'df.sort_values("city")'),
        ('df.groupby("regoin")', "KeyError: 'regoin'", 'df.groupby("region")'),
        ('df.groupby(level="regoin")', "KeyError: 'Level regoin not found'", 'df.groupby(level="region")'),
        ('df.groupby("city")["citty"]', "KeyError: 'Column not found: citty'", 'df.groupby("city")["city"]'),
        (
            'df.groupby("city").agg({"citty": "sum"})',
            "KeyError: \"Label(s) ['citty'] do not exist\"",
            'df.groupby("city").agg({"city": "sum"})',
        ),
        (
            'df.set_index("citty")',
            "KeyError: \"None of ['citty'] are in the columns\"",
            'df.set_index("city")',
        ),
        ('df.dropna(subset=["citty"])', "KeyError: ['citty']", 'df.dropna(subset=["city"])'),
        ('df.merge(df, on="citty")', "KeyError: 'citty'", 'df.merge(df, on="city")'),
        (
            'df.apply(lambda row: row["citty"], axis=1)',
            "KeyError: 'citty'",
            'df.apply(lambda row: row["city"], axis=1)',
        ),
        (
            'df.resample("D").apply(lambda part: part["citty"].nunique())',
            "KeyError: 'citty'",
            'df.resample("D").apply(lambda part: part["city"].nunique())',
        ),
        (
            '[r["citty"] for _, r in df.iterrows()]',
            "KeyError: 'citty'",
            '[r["city"] for _, r in df.iterrows()]',
        ),
        (
            'sns.barplot(data=df, x="citty", y="revenue_eur")',
            "ValueError: Could not interpret value `citty` for `x`. An entry with this name does not appear",
            'sns.barplot(data=df, x="city", y="revenue_eur")',
        ),
        (
            'px.scatter(table, x="citty", y="year")',
            "ValueError: Value of 'x' is not the name of a column in 'data_frame'. " + EXPECTED,
            'px.scatter(table, x="city", y="year")',
        ),
        ('pf["citty"]', 'ColumnNotFoundError: "citty" not found', 'pf["city"]'),
        (
            'lf.filter(pl.col("citty") > 1)',
            'ColumnNotFoundError: unable to find column "citty"; valid columns: ["city", "year"]\n\nDid you',
            'lf.filter(pl.col("city") > 1)',
        ),
        ('options["colour_map"]', "KeyError: 'colour_map'", 'options["color_map"]'),
        ('options.pop("colour_map")', "KeyError: 'colour_map'", 'options.pop("color_map")'),
    ],
)
def test_misspelled_key_is_corrected(source: str, error: str, fixed: str) -> None:
    objects = {"df": FRAME, "pf": POLARS, "options": ObjectDescription(type="dict", keys=["color_map"])}
    failed = failure(source, error, objects=objects)
    (fix,) = find(failed)
    assert applied(failed, fix) == fixed
    assert (fix.source, fix.run) == ("kernel", [0])


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("df[column]", "KeyError: 'citty'"),  # no literal
        ('df["citty"] + df["citty"]', "KeyError: 'citty'"),  # twice
        ('df.loc["citty"]', "KeyError: 'citty'"),  # a row
        ('df.loc["citty", "city"]', "KeyError: 'citty'"),
        ('df.drop("citty")', "KeyError: \"['citty'] not found in axis\""),
        ('df.apply(lambda column: column["citty"])', "KeyError: 'citty'"),
        ('df.rolling(2).apply(lambda column: column["citty"])', "KeyError: 'citty'"),
        ('os.environ["citty"]', "KeyError: 'citty'"),
        ('series["citty"]', "KeyError: 'citty'"),
        ('df["city"]["citty"]', "KeyError: 'citty'"),
        ('df.rename(columns={"city": "town"})["citty"]', "KeyError: 'citty'"),
        ('df.query("citty > 1")', "KeyError: 'citty > 1'"),
        ('df["population"]', "KeyError: 'population'"),
        ('df["xity"]', "KeyError: 'xity'"),
        ('df.groupby("city").get_group("citty")', "KeyError: 'citty'"),  # a row
        ('df["citty"[:9]]', "KeyError: 'citty'"),
        ('float("citty")', "ValueError: could not convert string to float: 'citty'"),
        ('records[0]["citty"]', "KeyError: 'citty'"),
        ('counts["citty"] += 1', "KeyError: 'citty'"),  # a new key
    ],
)
def test_uncertain_key_is_not_corrected(source: str, error: str) -> None:
    objects = {
        "df": FRAME,
        "series": ObjectDescription(type="Series"),
        "os.environ": ObjectDescription(type="_Environ"),
    }
    objects["counts"] = ObjectDescription(type="dict", keys=["city"])
    assert [*find(failure(source, error, objects=objects))] == []


MISSING = "name 'citty'"
QUOTED = "name 'BACKTICK_QUOTED_STRING_Order_IDD'"


@pytest.mark.parametrize(
    ("source", "missing", "fixed"),
    [
        ("df.query(\"citty == 'citty' or citty > 1\")", "", "df.query(\"city == 'citty' or city > 1\")"),
        ('df.head().eval("x = citty.citty + 1")', "", 'df.head().eval("x = city.citty + 1")'),
        ("df.query(f'citty == {x} and @citty')", "", "df.query(f'city == {x} and @citty')"),
        ('df.query("`Order IDD` > 1")', QUOTED, 'df.query("`Order ID` > 1")'),
        ('df.query("OrderID > 1")', "name 'OrderID'", 'df.query("`Order ID` > 1")'),
        ('df.query("regoin > 1")', "name 'regoin'", 'df.query("region > 1")'),
        ('df.query("limmit > @limmit")', "local variable 'limmit'", 'df.query("limmit > @limit")'),
        ('df.query("population > 1")', "name 'population'", None),
        ('df.query("citty > 1" + x)["city"]', "", 'df.query("city > 1" + x)["city"]'),
        (r'df.query("citty > \'\x41\'")', "", None),
        ('db.query("citty > 1")', "", None),
        ("df.query(text)", "", None),
        ('df.query("city > 1")', "name 'city'", None),
        # Only the query is changed, and neither a function nor the target of an assignment in it.
        ('df.query("citty > 1").sort_values("citty")', "", 'df.query("city > 1").sort_values("citty")'),
        ('df[df["city"] == "citty"].query("citty > 1")', "", 'df[df["city"] == "citty"].query("city > 1")'),
        ('df.eval("citty = citty + 1")', "", 'df.eval("citty = city + 1")'),
        ('df.query("citty() > 1")', "", None),
        ('df.query("clas > 1")', "name 'clas'", 'df.query("`class` > 1")'),
    ],
)
def test_name_in_a_query_is_corrected(source: str, missing: str, fixed: str | None) -> None:
    error = f"UndefinedVariableError: {missing or MISSING} is not defined"
    objects = {"df": structs.replace(FRAME, labels=[*(FRAME.labels or ()), "class"])}
    failed = failure(source, error, names=["df", "limit"], objects=objects, library=True)
    assert [applied(failed, fix) for fix in find_in_query(failed)] == [fixed] * (fixed is not None)


def test_equally_near_keys_are_not_corrected() -> None:
    objects = {"df": ObjectDescription(type="DataFrame", labels=["country", "county"])}
    assert [*find(failure('df["countty"]', "KeyError: 'countty'", objects=objects))] == []


def test_find_splits_many_columns_once_for_several_strings() -> None:
    counts = []
    for missing in (["revenu_1"], ["revenu_1", "revenu_2", "revenu_3", "revenu_4"]):
        objects = {"df": ObjectDescription(labels=[f"revenue_{number}" for number in range(6000)])}
        operations = Operations()
        with counted_operations(operations):
            assert [*find(failure(f"df[{missing}]", f'KeyError: "{missing} not in index"', objects=objects))]
        counts.append(operations.count)
    assert counts[1] < 2 * counts[0]


@given(st.text(min_size=6, max_size=60), st.sampled_from("'\""), st.text("\n'\"\\{}", max_size=3))
def test_corrected_cell_parses_and_has_the_label(label: str, quote: str, ending: str) -> None:
    label += ending
    missing = label.swapcase() + label[-1]
    source = f"df[{quote}{missing}{quote}]" if missing.isalnum() else f"df[{missing!r}]"
    failed = failure(source, f"KeyError: {missing!r}", objects={"df": ObjectDescription(labels=[label])})
    for fix in find(failed):
        assert eval(applied(failed, fix), {"df": {label: True}})  # noqa: S307


@pytest.mark.parametrize("label", ["x" * 10_000, 'it\'s "quoted"', "two\nlines"])
def test_unusual_label_is_corrected_or_not_offered(label: str) -> None:
    missing = label[:-1]
    failed = failure(
        f"df[{missing!r}]", f"KeyError: {missing!r}", objects={"df": ObjectDescription(labels=[label])}
    )
    for fix in find(failed):
        assert applied(failed, fix) == f"df[{label!r}]"
        assert len(fix.title) < 100
