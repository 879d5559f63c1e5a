from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.lexer import lex
from jupyter_turbopilot.fixes.column_renames import changed_label
from jupyter_turbopilot.fixes.column_renames import find as find_uses
from jupyter_turbopilot.fixes.renames import Rename
from jupyter_turbopilot.protocol.request import FixCell, RenameRequest

ASSIGNED = 'spec"] = '


def find(request: RenameRequest) -> Rename | None:
    change = changed_label(request)
    return find_uses(request, change) if change else None


def offer(*sources: str, new: str = "specifik", active: int = 0) -> Rename | None:
    """Change the label of the assignment in a cell, and find the other uses."""
    before = sources[active]
    cells = [FixCell(source=source) for source in sources]
    at = before.index(ASSIGNED)
    cells[active] = FixCell(source=before[:at] + new + before[at + len("spec") :])
    return find(RenameRequest(cells=cells, active=active, before=before))


def applied(*sources: str, new: str = "specifik", active: int = 0) -> list[str] | None:
    rename = offer(*sources, new=new, active=active)
    if rename is None:
        return None
    results = [*sources]
    results[active] = sources[active].replace(ASSIGNED, f'{new}"] = ', 1)
    for edit in reversed(rename.edits):
        cell = results[edit.cell]
        assert cell[edit.start : edit.end] == edit.old == "spec"
        results[edit.cell] = cell[: edit.start] + edit.text + cell[edit.end :]
    return results


@pytest.mark.parametrize(
    "use",
    [
        'df["spec"].mean()',
        'df[["city", "spec"]].head()',
        'df.loc[df["city"] == "a", ["city", "spec"]]',
        "df.spec.mean()",
        "x = df.dropna().spec",
        'df.groupby(by=["city", "spec"])["city"].count()',
        'df.groupby("city").agg({"spec": "mean"})',
        'df.groupby("city").agg(total=("spec", "sum"))',
        'df.sort_values("spec", ascending=False).head()["spec"]',
        'df.rename(columns={"spec": "b"})',
        'df.merge(other, left_on="spec", right_on="b")',
        'pd.merge(df, other, left_on="spec", right_on="b")',
        'pd.merge(left=df, right=other, left_on="spec", right_on="b")',
        'other.merge(df, left_on="b", right_on="spec")',
        'df.round(1)["spec"]',
        'df.rolling(2)["spec"].mean()',
        'df.plot.scatter("city", "spec")',
        'sns.histplot(data=df, x="spec")',
        'px.scatter(df, x="spec", y="city")',
        'del df["spec"]',
        "f\"{df['spec'].sum():.2f} specs\"",
        'def f():\n    return df["spec"]',
        '%time df["city"]\né = "é" + df["spec"]',
    ],
)
def test_find_renames_the_uses_of_a_column(use: str) -> None:
    fixed = use.replace("'spec'", "'specifik'").replace('"spec"', '"specifik"').replace(".spec", ".specifik")
    source = 'df = load()\ndf["spec"] = df["a"] / 2\n'
    assert applied(source, use) == [source.replace(ASSIGNED, 'specifik"] = '), fixed]
    assert applied("x", source + use, active=1) == ["x", source.replace(ASSIGNED, 'specifik"] = ') + fixed]


def test_find_reports_the_uses_and_the_assigning_cell() -> None:
    rename = offer("df = load()", 'df["spec"] = 1\ndf["spec"] + df["spec"]', 'df["spec"]', active=1)
    assert rename is not None
    assert (rename.title, rename.run) == ("Rename 3 uses of 'spec' to 'specifik' in 2 cells?", [1])


def test_find_renames_to_a_label_with_other_characters() -> None:
    source = 'df["spec"] = 1\ndf["spec"]'
    assert applied(source, new="specific weight (kg)") == [source.replace("spec", "specific weight (kg)")]
    assert applied(source, "%matplotlib inline", new="inline") is not None
    assert applied(source + "\ndf.spec", new="specific weight") is None
    assert applied(source + "\ndf.spec", new="count") is None
    assert applied(source + "\ndf.spec", new="\ufb01t") is None  # Python would read the attribute as `fit`


@pytest.mark.parametrize(
    "other",
    [
        "plt.title('spec')",
        'df["day"].dt.spec',
        "x.spec()",
        '"the spec of a table"',
        '%%bash\necho "spec"',
        "# 'spec'",
        'f(spec=1, x=g("spec2"))',
        "df2 = df.copy()",
        "print(f'spec {x}')",
        "plt.plot(x, label='spec of x')",
        "!ls spec",
        "f(df, x=1)",
        "sns.lineplot(x, spec=1)",
    ],
)
def test_find_is_independent_of_other_texts(other: str) -> None:
    source = 'df["spec"] = 1\ndf["spec"]'
    assert applied(source, other) == ['df["specifik"] = 1\ndf["specifik"]', other]


@pytest.mark.parametrize(
    "other",
    [
        'sub["spec"]',
        'for row in df.iterrows(): row["spec"]',
        "for row in df.itertuples(): row.spec",
        'columns = ["city", "spec"]',
        'df.query("spec > 1")',
        'df.query(f"spec > {x}")',
        'smf.ols("price ~ spec", data=df)',
        'sql("SELECT spec FROM df")',
        'df[f"spec"]',
        'df["specifik"]',
        "df.assign(specifik=1)",
        'df["spec"] = 2',
        'df.loc[df["a"] > 1, "spec"] = 2',
        "df.spec = 1",
        "df = df.dropna()",
        "del df",
        "other = df",
        "(other := df)",
        'df.merge(other, on="spec")',
        'df.merge(other, left_on="city", right_on="spec")',
        'pd.merge(df, other, on="spec")',
        'pd.merge(df, other, left_on="city", right_on="spec")',
        'other.merge(df, left_on="spec", right_on="city")',
        'df.drop("spec", axis=1)',
        'df[r"spec"]',
        'df["sp" "ec"]',
        '%timeit df["spec"]',
        'df[mask]["spec"]',
        'df["spec"] +',
        'def f(df):\n    return df["spec"]',
        'getattr(df, "spec")',
        "df.loc[df.x > 1].spec",
        'd["k"].spec',
        '"{spec}".format(**df)',
        "f(df, spec=1)",
        "df.pipe(f, spec=1)",
        "%%sql\nselect spec from df",
        "%%R -i df\nplot(df$spec)",
    ],
)  # fmt: skip
def test_find_offers_nothing_for_unclear_uses(other: str) -> None:
    source = 'df["spec"] = 1\ndf["spec"]'
    assert applied(source, "x") is not None
    assert applied(source, other) is None


@pytest.mark.parametrize(
    "above",
    ['df["spec"]', "df.spec", 'df = read()\ndf["spec"].sum()', 'def f(): return df["spec"]', "x = df"],
)
def test_find_offers_nothing_for_a_column_that_existed(above: str) -> None:
    assert applied(above, 'df["spec"] = 1\ndf["spec"]', active=1) is None
    assert applied(above + '\ndf["spec"] = 1\ndf["spec"]') is None


@pytest.mark.parametrize(
    "source",
    [
        'df["spec"] = 1',  # no other use
        'df["spec"] = df["spec"].str.lower()\ndf["spec"]',
        'df["spec"] = df["b"] = 1\ndf["spec"]',
        'x.df["spec"] = 1\nx.df["spec"]',
        'class A:\n    df["spec"] = 1\n    df = 2\ndf["spec"]',
        'x = df["spec"] = 1\ndf["spec"]',
        'f(df)["spec"] = 1\nf(df)["spec"]',
        'df["spec"] = 1\ndf["spec"] +',
    ],
)
def test_find_offers_nothing_for_other_assignments(source: str) -> None:
    assert applied(source) is None


def test_find_offers_nothing_without_all_cells() -> None:
    before, after = 'df["spec"] = 1\ndf["spec"]', 'df["specs"] = 1\ndf["spec"]'
    cells = [FixCell(source=after), FixCell(source=None)]
    assert find(RenameRequest(cells=cells[:1], active=0, before=before)) is not None
    assert find(RenameRequest(cells=cells, active=0, before=before)) is None


STATEMENTS = st.sampled_from(
    [
        'df["city"]',
        'x = df["spec"].mean()',
        "df[['spec', 'city']]",
        'df.loc[df["spec"] > 1, "city"]',
        'df.groupby("spec").agg({"city": "count"})',
        'sns.lineplot(data=df, x="spec")',
        "f(df)",
        'y["spec"]',
        'df["spec"] = 2',
        "df = y",
        'for row in df["spec"]: print("city", row)',
        "print(f\"{df['spec']}\")",
        '%time df["city"]',
    ]
)


@given(st.lists(st.lists(STATEMENTS, max_size=3).map("\n".join), max_size=3), st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_a_rename_leaves_no_label_and_its_inverse_restores_the_cells(cells: list[str], active: int) -> None:
    active = min(active, len(cells))
    cells = [*cells[:active], 'df["spec"] = 1', *cells[active:]]
    renamed = applied(*cells, new="vikt", active=active)
    if renamed is None:
        return
    assert not any("spec" in lexeme.text for cell in renamed for lexeme in lex(cell))
    assert [cell.replace("vikt", "spec") for cell in renamed] == cells
    before = renamed[active]
    back = [FixCell(source=cell) for cell in renamed]
    back[active] = FixCell(source=before.replace("vikt", "spec", 1))
    undone = find(RenameRequest(cells=back, active=active, before=before))
    assert undone is not None
    assert len(undone.edits) == sum(cell.count("vikt") for cell in renamed) - 1
