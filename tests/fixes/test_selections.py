from __future__ import annotations

import ast

import pytest

from jupyter_turbopilot.analysis.parsed_cell import ParsedCell
from jupyter_turbopilot.fixes.selections import comparisons_at


def compared(source: str) -> list[tuple[str, str]]:
    """Return the readable columns in a cell, with the texts that they are compared with."""
    parsed = ParsedCell(source)
    found = [each for node in ast.walk(parsed.scopes.tree) for each in comparisons_at(parsed, node)]
    for start, end, text in (one for each in found for one in each.texts):
        assert source[start:end] == text
    return [(each.values.code, text) for each in found for *_, text in each.texts]


@pytest.mark.parametrize(
    "source",
    [
        "df[df['city'] == 'Ulm']",
        "df['Ulm' == df.city]",
        "x = df[(df['a'] > 1) & (df['city'] == 'Ulm')].groupby('b')['c'].mean()",
        "x = df[df['city'] == 'Ulm']\nx.head()\nprint(x.a.sum())",
        "df.loc[df['city'] == 'Ulm', ['a']]",
        "df.loc[df['city'].isin(['Ulm'])].head()",
        "print(df[df['city'].eq('Ulm')])",
        "df.filter(pl.col('city') == 'Ulm')",
        "df.filter(pl.col('a') > 1, pl.col('city').is_in(['Ulm']))",
        "df.query('a > 1 and city == \"Ulm\"')",
    ],
)
def test_selections_compare_a_column(source: str) -> None:
    assert compared(source) == [("df['city']", "Ulm")]


def test_selections_of_a_series_have_its_values() -> None:
    assert compared("city[city == 'Ulm']") == [("city", "Ulm")]


def test_selections_have_the_variables_of_their_rows() -> None:
    parsed = ParsedCell("x = df[df.city == 'Ulm']\ny = x.head()\ny.a")
    found = [each for node in ast.walk(parsed.scopes.tree) for each in comparisons_at(parsed, node)]
    assert [each.names for each in found] == [{"x", "y"}]


@pytest.mark.parametrize(
    "source",
    [
        "mask = df['city'] == 'Ulm'",
        "df.loc[df['city'] == 'Ulm', 'city'] = 'Bonn'",
        "df[df['city'] == 'Ulm'] = 0",
        "del df[df['city'] == 'Ulm']",
        "assert df[df['city'] == 'Ulm'].empty",
        "df[df['city'] == 'Ulm'].empty",
        "len(df[df['city'] == 'Ulm'])",
        "df.query('city == \"Ulm\"').shape",
        "(df['city'] == 'Ulm').any()",
        "np.where(df['city'] == 'Ulm', 1, 2)",
        "df.drop(df[df['city'] == 'Ulm'].index)",
        "if df['city'] == 'Ulm': pass",
        # Rows without a value that may be absent already.
        "df[df['city'] != 'Ulm']",
        "df[df['city'].ne('Ulm')]",
        "df[~(df['city'] == 'Ulm')]",
        "df[(df['city'] == 'Ulm') == False]",
        "df.query('not city == \"Ulm\"')",
        # The rows are counted later, or may be.
        "x = df[df['city'] == 'Ulm']\nassert x.empty",
        "x = df[df['city'] == 'Ulm']\nlen(x)",
        "x = df[df['city'] == 'Ulm']\ny = x.a\nprint(y.max() if y.size else 0)",
        "x['a'] = df[df['city'] == 'Ulm']",
        "x.a = df[df['city'] == 'Ulm']",
        "df[df['city'] == 'Ulm'].equals(x)",
        "df[df['city'].str.lower() == 'ulm']",
        "df[df['city'] == f'{name}']",
        "df[df['city'] == 'U' 'lm']",
        "df[df['city'] > 'Ulm']",
        "df[load()['city'] == 'Ulm']",
        "df[df.size == 'Ulm']",
        "df.filter(like='Ulm')",
        "df.query('city == \"Ulm\"', engine='python')",
    ],
)
def test_selections_are_no_other_comparisons(source: str) -> None:
    assert compared(source) == []
