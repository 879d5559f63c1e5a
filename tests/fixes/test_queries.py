from __future__ import annotations

import pytest

from jupyter_turbopilot.fixes.queries import parse_query


@pytest.mark.parametrize(
    ("text", "columns", "variables"),
    [
        ("price > 3", ["price"], []),
        ("`unit price` > @limit and city == 'a@b `c`'", ["unit price", "city"], ["limit"]),
        ("city in @names & ~open", ["city", "open"], ["names"]),
        ("sin(angle) > 0 and city.str.contains('x', na=False)", ["angle", "city"], []),
        ("total = price * @config['rate']", ["price"], ["config"]),
        ("1 < price < 2", ["price"], []),
        ('city == "it\'s"', ["city"], []),
        # Other code, also of one that is being typed.
        ("[price for price in x]", None, None),
        ("a = 1; b = 2", None, None),
        ("price >", None, None),
        ("a > 1\nb > 2", None, None),
        ("größe > 1", None, None),
        ("`price > 1", None, None),
        ("@ price", None, None),
        ("price @ city", None, None),
        ("", None, None),
    ],
)
def test_query_has_columns_and_variables(
    text: str, columns: list[str] | None, variables: list[str] | None
) -> None:
    query = parse_query(text)
    if query is None:
        assert columns is None
        return
    assert sorted(part.text for part in query.columns) == sorted(columns or ())
    assert [part.text for part in query.variables] == variables
    for part in (*query.columns, *query.variables):
        assert text[part.start : part.end].strip("`") == part.text


@pytest.mark.parametrize(
    ("text", "compared"),
    [
        ("city == 'Ulm'", [("city", "Ulm")]),
        ("'Ulm' == `the city`", [("the city", "Ulm")]),
        ("city in ['Ulm', \"Bonn\", 3] and price == 3", [("city", "Ulm"), ("city", "Bonn")]),
        ("city in ('Ulm',) | city == 'Bonn'", []),
        ("(price > 3) | (city in ('Ulm',))", [("city", "Ulm")]),
        ("city not in ('Ulm',) and city != 'Bonn' and not city == 'Kiel' and (city == 'Bern') == False", []),
        ("city == @name and city > 'Ulm' and @name == 'Ulm' and city.str.lower() == 'ulm'", []),
        ("city == 'Ulm' == other", []),
        ("city == 'a\\nb'", []),
    ],
)
def test_query_compares_columns_with_texts(text: str, compared: list[tuple[str, str]]) -> None:
    query = parse_query(text)
    assert query is not None
    assert [(label, part.text) for label, part in query.compared] == compared
    assert all(text[part.start : part.end] == part.text for _, part in query.compared)
