from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert

from jupyter_turbopilot.analysis.kernel_context import KernelContext
from jupyter_turbopilot.analysis.resolve import Scope
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.suggestion.candidates import Candidates, lacks_column, names_at
from jupyter_turbopilot.suggestion.names import scope_of
from jupyter_turbopilot.util.bounds import LINE, Operations, counted_operations

from ..shared_cases import golden

SCOPE = Scope(
    attributes={"df": frozenset({"head", "nunique", "price"}), "os": frozenset({"path"})},
    columns={
        "df": frozenset({"price", "cost", "unit cost"}),
        "other": frozenset({"price", "weight"}),
    },
)
ALL = ["cost'", "price'", "unit cost'"]


def request(text: str, suffix: str = "") -> Completion:
    return Completion(cells=[Cell(source=text + suffix)], offset=len(text))


def at(text: str, suffix: str = "") -> list[str]:
    return [*names_at(request(text, suffix), SCOPE).texts]


@pytest.mark.parametrize(("request_", "kernel_context", "names"), golden("names", "names_at"))
def test_names_at_returns_columns_and_attributes(
    request_: Any, kernel_context: Any, names: list[str]
) -> None:
    at = convert(request_, Completion)
    assert [*names_at(at, scope_of(at, convert(kernel_context, KernelContext))).texts] == names


@pytest.mark.parametrize(
    "text",
    [
        "df.groupby('",
        "df.groupby(['",
        "df.groupby(by='",
        "df.sort_values('",
        "df.sort_values(\n    by=['",
        "df.drop(columns=['",
        "df.set_index('",
        "df.pivot_table(index='",
        "df.pivot_table(values=1, columns=['",
        "df.nlargest(3, '",
        "df.agg({'",
        "df.rename(columns={'",
        "df.groupby('price').agg(total=('",
        "x = df[['",
        "x = df.loc[:, '",
        "df[df['price'] > 3].groupby('",
        "df[df.price > 3]['",
        "df.groupby('price')['",
        "df.dropna().head(3)['",
        "df.resample('D')['",
        "df.rolling(2)['",
        "df.round(1)['",
        "df.plot(x='",
        "df.plot.scatter(x='price', y='",
        "sns.scatterplot(data=df, x='",
        "px.line(x, data=df, y=1, hue='",
        "df.merge(more, on='",
        "df.merge(other, left_on='",
        "df.join(names, on='",
        "df.assign(x=lambda d: d['",
        "df.dropna().apply(lambda row: row['",
        "df.assign(x=lambda d: d['price'].map(lambda v: v * 2) + d['",
        "df.loc[lambda d: d['",
        "more.merge(right=df, left_on=['sku'], right_on=['",
        "df = [x for x in df['",
        "if True:\n    x = df['",
        "print(f\"{df['",
        "print(rf\"{df['",
        "other['a'] = 1\nx = df['",
    ],
)
def test_names_at_knows_where_columns_are_written(text: str) -> None:
    assert at(text) == ALL


def test_names_at_includes_the_columns_that_the_call_adds() -> None:
    assert at("df.assign(net=1, tax=lambda d: d['") == sorted([*ALL, "net'"])


def test_names_at_excludes_listed_columns() -> None:
    assert at("x = df[['price', '") == ["cost'", "unit cost'"]
    assert at("df.agg({'price': 'sum', '") == ["cost'", "unit cost'"]


@pytest.mark.parametrize(
    "text",
    [
        "print('",
        "df.groupby('price', as_index='",
        "df.agg('",
        "df.agg({'price': '",
        "df.rename(columns={'price': '",
        "df.groupby('price').agg(total=('price', '",
        "df.to_csv('",
        "df.drop('",
        "df.loc['",
        "x = df.loc[3, 4, '",
        "df.groupby('a' + '",
        "df[['price']]['",
        "df.loc[df.price > 3, 'cost'].groupby('",
        "df.plot.scatter(x='price', c='",
        "df.rename(columns={})['",
        "f(df)['",
        "x.df['",
        "sns.scatterplot(data=unknown, x='",
        "px.scatter(data_frame=unknown, x='",
        "sns.scatterplot(data=df, title='",
        "# df['",
        "'df['",
        '"""\ndf[\'',
        "!df['",
        "%%bash\ndf['",
        "df = f()\ndf['",
        "for df in x:\n    y = df['",
        "x = [df['price'] for df in y if df['",
        "df = f(lambda df: df['",
        "f = lambda df: df['",
        "df.map(lambda d: d['",
        "df.assign(x=lambda d, e: d['",
        "df.assign(**new, x=lambda d: d['",
        "df.assign(x=lambda d: f(lambda a, d: d['",
        "df.assign(x=lambda d: [d for d in y if d['",
        "df.pipe(f, key=lambda d: d['",
        "df.apply(axis=0, func=lambda d: d['",
        "df.assign(x=f(lambda d: 1, lambda e: e['",
        "df = 1; x = [y for y in df['",
        "df.merge(f(more), right_on='",
        "df['\\",
        "df.\nhead.",
        "import os.",
        "x = 1.",
        "os.path.",
        "load('",
        "df['price'",
        "df.groupby(' ",
        "df.query('price > c",
        "df.query('",
        "load(sep=1, he",
    ],
)
def test_names_at_leaves_other_text_free(text: str) -> None:
    assert at(text) == []


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ("df.sort_values('p", "rice'"),
        ("df.query('c", "ost"),
        ("df.query('price > 3 and c", "ost"),
        ("x = df['p", "rice'"),
        ("df['p", ""),
        ("df.loc[x, 'p", ""),
        ("df.nu", "nique"),
        ("df.", ""),
        ("df['", ""),
        ("pd.merge(df, other, on='", ""),
    ],
)
def test_names_at_returns_what_existing_names_share(text: str, only: str) -> None:
    assert names_at(request(text), SCOPE).certain_prefix == only


def test_names_at_allows_private_names_after_a_dot() -> None:
    assert at("x = df.") == ["head", "nunique", "price", "_"]


def test_names_at_allows_a_new_column_at_the_start_of_a_line() -> None:
    assert at("df['", "']") == []
    assert at("df.loc[x, '") == []
    assert at("x = 1\ndf['") == []
    assert at("df['", "'].sum()") == ALL


def test_names_at_returns_nothing_on_a_line_of_data() -> None:
    assert at(f"x = '{'a' * LINE}'; df[\"") == []


def test_names_at_returns_nothing_in_a_long_statement() -> None:
    assert at("x = [\n" + "    1,\n" * 300 + "    df['") == []
    assert at("x = [\n" + "    1,\n" * 200 + "    df['") == ALL


FACTS = convert(
    {
        "all": True,
        "names": {
            "df": {"type": "DataFrame", "all": True, "attributes": ["head"], "columns": ["name"]},
            "args": {"type": "Namespace", "attributes": ["rate"]},
            "empty": {"type": "object", "attributes": []},
        },
    },
    KernelContext,
)


def below(text: str, *above: Cell) -> Candidates:
    asks = Completion(cells=[*above, Cell(source=text)], active=len(above), offset=len(text))
    return names_at(asks, scope_of(asks, FACTS))


@pytest.mark.parametrize("executed", [None, False, True])
def test_names_at_includes_columns_added_above(executed: bool | None) -> None:
    added = below("x = df['n", Cell(source="df['next'] = 1", executed=executed))
    assert [*added.texts] == (["ame'"] if executed else ["ame'", "ext'"])
    assert [*below("df['next'] = 1\nx = df['n").texts] == ["ame'", "ext'"]
    assert [*below("for i in y:\n    df['next'] = i\n    x = df['n").texts] == ["ame'", "ext'"]
    assert [*below("df['next'], z = 1, 2\nx = df['n").texts] == ["ame'", "ext'"]
    assert [*below("x = df['n", Cell(source="df['next'] = 1 is wrong", type="markdown")).texts] == ["ame'"]


@pytest.mark.parametrize(
    "change",
    [
        "df[a] = 1",
        "df.loc[df['name'] > 3, 'next'] = 1",
        "df.loc[a]['next'] = 1",
        "df[['nx', 'ny']] = f()",
        "df.at[0, 'next'] = 1",
        "df.insert(0, 'next', 1)",
        "df.insert_column(0, new)",
        "df.columns = names",
        "df.drop(x, inplace=True)",
        "df.hstack(x, in_place=True)",
        "del df['name']",
        "add_features(df)",
        "setattr(df, 'next', 1)",
        "df['next' is not finished",
    ],
)
def test_names_at_returns_nothing_after_another_change(change: str) -> None:
    assert not below("x = df['n", Cell(source=change)).texts
    assert below("x = df['n", Cell(source=change, executed=True)).texts


def test_names_at_reads_functions_and_methods_that_change_no_columns() -> None:
    assert below("x = df['n", Cell(source="print(df)\nplt.plot(df)\ndf.head()")).certain_prefix == "ame'"


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ("df['n", ""),
        ("df['na", "me'"),
        ("x = 1; df['n", ""),
        ("if x: df['n", ""),
        ("a, df['n", ""),
        ("x = df['n", "ame'"),
        ("if df['n", "ame'"),
        ("print(df['n", "ame'"),
        ("args.ra", ""),
        ("x = args.ra", "te"),
        ("args.rank = 1\nx = args.ra", ""),
    ],
)
def test_certain_is_empty_where_the_line_may_assign(text: str, only: str) -> None:
    assert below(text).certain_prefix == only


@pytest.mark.parametrize(
    ("text", "shared"),
    [("df['", ""), ("df['g", ""), ("df['ga", "s_"), ("x = df['", "gas_"), ("x = df['g", "as_")],
)
def test_certain_prefix_of_a_new_column_needs_two_characters(text: str, shared: str) -> None:
    scope = Scope(columns={"df": frozenset({"gas_m3", "gas_per_cm2"})})
    assert names_at(request(text), scope).certain_prefix == shared


@pytest.mark.parametrize(
    ("text", "table", "closer"),
    [
        ("x = df['n", "df", "]"),
        ("df.loc[df['name'] > 3, 'n", "df", "]"),
        ("df.query('x')['n", "df", "]"),
        ("f'{df[\"n", "df", "]"),
        ("df.apply(lambda d: d['n", "", "]"),
        ("df[['n", "df", ""),
        ("df.groupby('n", "df", ""),
        ("df.groupby(['n", "df", ""),
        ("df.agg({'n", "df", ""),
        ("df.he", "", ""),
        ("x = ", "", ""),
    ],
)
def test_names_at_returns_the_table_and_the_bracket_that_follows(text: str, table: str, closer: str) -> None:
    found = below(text)
    assert (found.table, found.closer) == (table, closer)


def test_names_at_returns_nothing_for_an_object_without_attributes() -> None:
    assert not below("empty.").texts


@pytest.mark.parametrize(
    "typed", ["df.groupby('n", "df.sort_values(by=['n", "f(data=df, x='n", "df.query('n"]
)
def test_names_at_includes_index_levels(typed: str) -> None:
    scope = Scope(columns={"df": frozenset({"name"})}, levels={"df": frozenset({"night"})})
    found = names_at(request(typed), scope).texts
    assert {text.strip("'") for text in found} >= {"ame", "ight"}


def test_names_at_excludes_index_levels_where_columns_are_selected() -> None:
    scope = Scope(columns={"df": frozenset({"name"})}, levels={"df": frozenset({"night"})})
    assert [*names_at(request("x = df['n"), scope).texts] == ["ame'"]


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("columns = ['price', '", ["cost'", "unit cost'", "weight'"]),
        ("columns = ['cost', '", ["price'", "unit cost'"]),
        ("columns = ['cost', 'colour', '", []),
        ("columns = ['", []),
        ("columns = {'cost', '", []),
    ],
)
def test_names_at_continues_a_list_of_columns(text: str, texts: list[str]) -> None:
    assert at(text) == texts


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("sns.boxplot(x='", ["cost'", "price'", "unit cost'", "weight'"]),
        ("pd.melt(other, id_vars=['", ["price'", "weight'"]),
        ("sns.boxplot(data=unknown, x='", []),
        ("f(title='", []),
    ],
)
def test_names_at_completes_columns_in_arguments_of_functions(text: str, texts: list[str]) -> None:
    assert at(text) == texts


def test_names_at_ignores_tables_that_the_cell_binds_again() -> None:
    assert at("df = load()\nsns.boxplot(x='") == ["price'", "weight'"]


def test_names_at_returns_nothing_in_a_string_of_a_query() -> None:
    assert not below("df.query(\"name == 'a and n").texts


def test_certain_is_what_all_existing_names_share() -> None:
    assert Candidates(["a"], must_exist=True).certain_prefix == "a"
    assert Candidates(["a"]).certain_prefix == Candidates(["a", "b"], must_exist=True).certain_prefix == ""
    assert Candidates(["s_per_day'", "s_per_km'"], must_exist=True).certain_prefix == "s_per_"


PIECES = st.sampled_from(
    [*"()[]{}'\",.:=#\n \\", "df", "other", "load", "x", "price", "co", ".groupby(", ".query('", "['", "data=df",
     "on=", "f'{", '"""', "lambda df: ", "for df in ", "==", "and "]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map("".join))
def test_names_at_returns_only_continuations_of_the_typed_name(text: str) -> None:
    known = {name for names in (*SCOPE.columns.values(), *SCOPE.attributes.values()) for name in names}
    known |= {"_", "index", "not"}
    for name in at(text):
        bare = name.rstrip("'\"")
        assert any(whole.endswith(bare) and text.endswith(whole.removesuffix(bare)) for whole in known)


@given(
    st.sampled_from(["df[{}]", "df[[{}]]", "df.head()[{}]", "df.groupby({}).size()", "df.pivot({})"])
    | st.sampled_from(["df.sort_values([{}])", "df.plot(x={})", "df.agg({{{}: 1}})", "df.loc[:, {}]"]),
    st.text(alphabet="ab", min_size=1, max_size=2),
    st.sampled_from("'\""),
    st.sampled_from(["x = ", "f(", "if df.size and "]),
)
def test_lacks_column_is_true_if_the_label_is_unknown(form: str, label: str, quote: str, before: str) -> None:
    scope = Scope(columns={"df": frozenset({"a", "bb"})})
    text = form.format(f"{quote}{label}{quote}")
    is_named = "pivot" not in form  # its arguments are keywords
    assert lacks_column(before, text, scope) is (is_named and label not in {"a", "bb"})
    assert not lacks_column(before, text.replace("df", "other"), scope)


@pytest.mark.parametrize(
    ("before", "text", "lacks"),
    [
        ('x = df["', "zz", True),
        ('x = df["', "pr", False),
        ('x = df["pr', 'ize"]', True),
        ('x = df["pr', 'ice"]', False),
        ("y = ", 'df["new"]', True),
        ("", 'df["new"] = 3', False),  # a new column
        ("", 'df["new"].mean()', True),
        ("", 'df[["price", "new"]].mean()', True),
        ("", 'df["price"].mean()', False),
    ],
)
def test_lacks_column_checks_the_string_at_the_cursor(before: str, text: str, lacks: bool) -> None:
    assert lacks_column(before, text, SCOPE) is lacks


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("x <- df$", {"`unit cost`", "price", "prize"}),
        ("x <- df$pr", {"ice", "ize"}),
        ("df$pr", {"ice", "ize"}),
        ("df$", set()),  # a new column may be about to be assigned
        ("x <- df$price", set()),  # the name may be complete
    ],
)
def test_names_at_returns_members_in_r(text: str, members: set[str]) -> None:
    known = {"df$": {"attributes": ["price", "prize", "`unit cost`"]}}
    request = Completion(language="r", cells=[Cell(source=text)], offset=len(text))
    found = names_at(request, scope_of(request, convert({"names": known}, KernelContext)))
    assert {*found.names} == members
    assert not any(text[-1].isalnum() for text in found.texts)


def test_names_at_excludes_members_that_leave_their_quotes() -> None:
    names = {"`unit cost`", "`a`; f()`", "a b", "a\nb", "`a\nb`", "`a\\`", "`a\\`b`", "`a", "``", "été.2"}
    request = Completion(language="r", cells=[Cell(source="x <- df$")], offset=8)
    assert {*names_at(request, Scope(attributes={"df$": frozenset(names)})).names} == {"`unit cost`", "été.2"}


def test_names_at_scans_no_cells_in_r_without_kernel_context() -> None:
    asks = Completion(language="r", cells=[Cell(source="unscanned <- 1\nx <- df$p")], offset=25)
    with counted_operations(operations := Operations()):
        names_at(asks, Scope())
        assert not operations.count
        names_at(asks, Scope(attributes={"df$": frozenset({"price"})}))
        assert operations.count


def test_names_at_allows_an_operator_after_a_member_in_r() -> None:
    request = Completion(language="r", cells=[Cell(source="x <- df$")], offset=8)
    texts = names_at(request, Scope(attributes={"df$": frozenset({"price"})})).texts
    assert {f"price{sign}" for sign in "+-*/^<>=!&|~%;}"} <= {*texts}


@pytest.mark.parametrize(("text", "certain"), [("x <- df$c", "ost"), ("df$c", ""), ("x <- df$p", "ri")])
def test_member_is_certain_unless_it_may_be_assigned(text: str, certain: str) -> None:
    scope = Scope(attributes={"df$": frozenset({"cost", "price", "prize"})})
    request = Completion(language="r", cells=[Cell(source=text)], offset=len(text))
    assert names_at(request, scope).certain_prefix == certain
