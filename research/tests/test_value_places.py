from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from value_places import TODAY, Cell, Place, values

if TYPE_CHECKING:
    from pathlib import Path

pd = pytest.importorskip("pandas")


def names() -> dict[str, Any]:
    orders = pd.DataFrame({"region": ["north", "south", "north"], "n": [1, 2, 3]}, index=["a1", "b2", "c3"])
    return {"orders": orders, "config": {"model": {"lr": 1, "layers": 2}}, "rows": [{"city": "Bonn"}]}


def only(source: str, above: dict[str, list[str]] | None = None) -> Place:
    (place,) = [one for one in Cell(source, names(), above or {}).places() if one.kind != TODAY]
    assert source[place.start :].startswith(place.text)
    return place


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ('orders[orders["region"] == "south"]', "== and !="),
        ('x = orders[orders.n > 1].region != "south"', "== and !="),
        ('orders.region.isin(["south"])', "isin"),
        ("orders.query(\"n > 1 and region == 'south'\")", "query"),
        ('orders.region.replace({"south": "s"})', "replace"),
        ('orders.region.map({"south": 1})', "map"),
        ('orders.groupby("region").get_group("south")', "get_group"),
        ('orders.apply(lambda r: r["region"] == "south", axis=1)', "lambda"),
        ('sns.countplot(data=orders, x="region", order=["south"])', "hue_order and order"),
    ],
)
def test_cell_offers_the_values_of_a_column(source: str, kind: str) -> None:
    place = only(source)
    assert (place.kind, place.text, place.candidates) == (kind, "south", ("north", "south"))


def test_cell_does_not_offer_a_chosen_value_again() -> None:
    places = [*Cell('orders.region.isin(["north", "south"])', names(), {}).places()]
    assert [place.candidates for place in places] == [("north", "south"), ("south",)]


@pytest.mark.parametrize(
    ("source", "kind", "candidates"),
    [
        ('orders.loc["b2"]', "index label", ("a1", "b2", "c3")),
        ('orders.drop(index=["b2"])', "index label", ("a1", "b2", "c3")),
        ('orders.region["b2":]', "index label", ("a1", "b2", "c3")),
        ('config["model"]["lr"]', "key", ("lr", "layers")),
        ('rows[0].get("city")', "key", ("city",)),
    ],
)
def test_cell_offers_labels_and_keys(source: str, kind: str, candidates: tuple[str, ...]) -> None:
    place = [*Cell(source, names(), {}).places()][-1]
    assert (place.kind, place.candidates) == (kind, candidates)


def test_cell_reports_an_unknown_name() -> None:
    assert {one.unknown for one in Cell('later["region"] == "south"', {}, {}).places()} == {"unknown name"}


def test_cell_offers_files_and_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sales.csv").write_text("city,amount\nBonn,1\n")
    (tmp_path / "data" / "notes.txt").write_text("")
    (tmp_path / "data" / "plot.png").write_text("")
    source = 'sales = pd.read_csv("data/sales.csv")\nsales.groupby("city").amount.sum()'
    found = [(one.kind, one.text, one.candidates) for one in Cell(source, {}, {}).places()]
    columns = ("city", "amount")
    assert found == [
        ("file", "data/", ("data/",)),
        ("file", "sales.csv", ("notes.txt", "sales.csv")),
        ("file header", "city", columns),
        ("file header", "amount", columns),
    ]


@pytest.mark.parametrize(
    ("rows", "text", "reason"),
    [
        (["a"] * 3 + ["b"], "b", ""),
        (["a"] * 300 + ["b"], "b", "seen once"),
        ([*map(str, range(101))], "5", "more than 100 values"),
        (["a", "it's"], "it's", "unfit"),
        (["a", "b"], "c", "absent"),
    ],
)
def test_values_gives_the_reason_of_a_missing_value(rows: list[str], text: str, reason: str) -> None:
    found = values(pd.Series(rows), text)
    assert found
    assert found[1] == reason
    assert (text in found[0]) == (not reason)


def test_values_has_none_of_numbers() -> None:
    assert values(pd.Series([1, 2]), "1") is None
