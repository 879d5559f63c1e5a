from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.fixes.nearest import nearest, nearest_of_few, nearest_short


@pytest.mark.parametrize(
    ("word", "candidates", "found"),
    [
        ("revenu_eur", ["revenue_eur", "city"], "revenue_eur"),
        ("revenu", ["revenue", "revenues"], "revenue"),
        ("recieve", ["receive"], "receive"),
        ("x_tset", ["x_test", "y_test"], "x_test"),
        ("num_row", ["num_rows"], "num_rows"),
        ("categorys", ["categories"], "categories"),
        ("flase", ["False"], "False"),
        ("pagetitel", ["page_title"], "page_title"),
        ("lenght_1", ["length_1", "length_2"], "length_1"),
        ("total_price", ["price_total"], "price_total"),
        ("X_TRAIN", ["x_train", "x_test"], "x_train"),
        ("built_y", ["built_yr", "bulk_yr"], "built_yr"),
        ("resume", ["résumé"], "résumé"),
        ("försäljning", ["forsaljning"], "forsaljning"),
        ("uséer 5", ["user 5"], "user 5"),
    ],
)
def test_nearest_name_is_found(word: str, candidates: list[str], found: str) -> None:
    near = nearest(word, candidates)
    assert near
    assert near[0] == found


@pytest.mark.parametrize(
    ("word", "candidates"),
    [
        ("dat", ["data"]),
        ("frame1", ["frame2"]),
        ("frame", ["frame2"]),
        ("data", ["date"]),
        ("price_usd", ["price_eur"]),
        ("lat_min", ["lat_max"]),
        ("sepal_length", ["petal_length"]),
        ("scaler", ["scaled"]),
        ("normalized", ["normalize"]),
        ("unique", ["nunique"]),
        ("encode", ["decode"]),
        ("tablee", ["table", "tablet"]),
        ("pricee", ["price", "prices", "pricey"]),
        ("X_trian", ["X_train", "x_train"]),
        ("revenue_total_eur", ["revenue_eur"]),
        ("xTrainScaled", ["yTrainScaled"]),
        ("built_y", ["built_yr", "built_yd"]),
        ("power_w", ["power_wh"]),
        ("y_rate", ["yr_rate"]),
        ("built_yr", ["built_y"]),
        ("Län", ["Lan"]),
        ("gront", ["grönt", "grônt"]),
        ("resume", ["résumé", "resumé"]),
        ("publicó", ["público"]),
        ("café_noir", ["cafe_nóir"]),
        ("", ["frame"]),
        ("frame", []),
        ("frame", ["frame"]),
    ],
)
def test_nearest_name_is_none_if_it_is_uncertain(word: str, candidates: list[str]) -> None:
    assert nearest(word, candidates) is None


@pytest.mark.parametrize(
    ("word", "candidates", "found"),
    [
        ("ID", ["id"], "id"),
        ("Revenue EUR", ["revenue_eur"], "revenue_eur"),
        ("city", ["city ", "year"], "city "),
        ("Sepal.Length", ["sepal_length", "petal_length"], "sepal_length"),
        ("revenue_total_eur", ["revenue_eur", "city"], "revenue_eur"),
        ("price ($)", ["price (€)"], None),
        ("sum", ["num"], None),
        ("day", ["days"], None),
        # accents
        ("Pris ore/kWh", ["Pris öre/kWh", "Datum"], "Pris öre/kWh"),
        ("Lan", ["Län", "Kommun"], "Län"),
        ("Län", ["La\u0308n"], "La\u0308n"),
        ("Kobenhavn", ["København"], "København"),
        ("Forbruknig (kWh)", ["Förbrukning (kWh)"], "Förbrukning (kWh)"),
        ("lan", ["Lan", "Län"], "Lan"),
        ("Lan", ["Län", "Lån"], None),
        ("Lån", ["Län"], None),
        ("A", ["Å"], None),
        ("がきく", ["かきく"], None),
        # units
        ("Förbrukning (kW)", ["Förbrukning (kWh)", "Datum"], "Förbrukning (kWh)"),
        ("energi_kW", ["energi_kWh", "effekt_kW"], "energi_kWh"),
        ("Energi (kWh)", ["Energi (MWh)"], None),
        ("Energi (kWh)", ["Energi (Wh)"], None),
        ("2020", ["2021"], None),
    ],
)
def test_nearest_key(word: str, candidates: list[str], found: str | None) -> None:
    near = nearest(word, candidates, kind="key")
    assert (near and near[0]) == found


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("men", "mean"),
        ("meen", "mean"),
        ("knd", "kind"),
        ("list", None),
        ("lat", None),  # `late` and `last`
        ("", None),
        ("coss", None),  # `cos` and `cosh`
        ("minn", "min"),
        ("mmin", "min"),
        ("min", None),
        ("mni", None),
        ("aa", None),
    ],
)
def test_nearest_short_lacks_or_doubles_one_letter(word: str, found: str | None) -> None:
    near = nearest_short(
        word, ["a", "mean", "min", "kind", "bins", "last", "late", "cos", "cosh", "step", "logx"]
    )
    assert (near and near[0]) == found


ACCENTED = st.text("aåàøIİn\u0301\u030a_ (1", max_size=12)


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("meam", "mean"),
        ("sun", "sum"),
        ("mximum", None),
        ("mix", None),
        ("list", None),
        ("su", None),
        ("summ", "sum"),
    ],
)
def test_nearest_of_few_names_differs_in_one_letter(word: str, found: str | None) -> None:
    near = nearest_of_few(word, {"last", "max", "mean", "min", "sum"})
    assert (near and near[0]) == found


@given(st.text(max_size=200) | ACCENTED, st.lists(st.text(max_size=30) | ACCENTED, max_size=5))
def test_nearest_is_another_candidate(word: str, candidates: list[str]) -> None:
    for kind in ("name", "key", "file"):
        near = nearest(word, candidates, kind=kind)
        assert near is None or (near[0] in candidates and near[0] != word and 0.5 <= near[1] <= 1)


@given(st.text("abcdefgh_", min_size=4, max_size=20).filter(lambda word: word.strip("_") != ""))
def test_nearest_is_independent_of_the_order(word: str) -> None:
    candidates = [word + "x", word + "y", word[1:], word.upper()]
    assert nearest(word, candidates) == nearest(word, candidates[::-1])
