from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.kernel_context import KernelContext, ObjectInfo
from jupyter_turbopilot.analysis.texts import Readable, Texts
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.suggestion.candidates import names_at
from jupyter_turbopilot.suggestion.names import Names, readable_at, scope_of
from jupyter_turbopilot.suggestion.readable import (
    Place,
    Readings,
    certain_text,
    digest_of,
    headers_at,
    lacks_text,
    may_be_read,
    place_at,
    texts_at,
    written,
)

CONTEXT = KernelContext(
    names={
        "df": ObjectInfo(type="DataFrame", columns=["region", "n"], all=True, attributes=frozenset({"head"})),
        "s": ObjectInfo(type="Series"),
        "groups": ObjectInfo(type="DataFrameGroupBy"),
        "config": ObjectInfo(type="dict"),
        "rows": ObjectInfo(type="list"),
        "os": ObjectInfo(type="module", name="os"),
        "model": ObjectInfo(type="Model"),
    },
    all=True,
)
REGION, LABELS = Readable("values", "df['region']"), Readable("labels", "df")


class Known:
    """A reader that knows some texts, and learns those that are looked up later."""

    def __init__(self, texts: Mapping[Readable, Texts], *, learns: bool = False) -> None:
        self.texts, self.learns = texts, learns
        self.asked: list[Readable] = []

    def find(self, readable: Readable) -> Texts | None:
        return self.texts.get(readable)

    def is_awaited(self, readable: Readable) -> bool:
        self.asked.append(readable)
        return self.learns


def request(text: str, *above: tuple[str, bool | None], suffix: str = "", **more: Any) -> Completion:
    cells = [Cell(source=source, executed=executed) for source, executed in above]
    cells.append(Cell(source=text + suffix))
    return Completion(cells=cells, active=len(above), offset=len(text), **more)


def at(text: str, *above: tuple[str, bool | None]) -> Place | None:
    asked = request(text, *above)
    assert may_be_read(asked) or place_at(asked, scope_of(asked, CONTEXT)) is None
    return readable_at(asked, CONTEXT)[0]


@pytest.mark.parametrize(
    "text",
    [
        "df['region'] == '",
        'df["region"] != "',
        "x = df[df['region'] == '",
        "x = df[df.region == '",
        "x = df[(df.n > 1) & (df['region'] == '",
        "df.loc[df.region == '",
        "np.where(df['region'] == '",
        "df['region'].isin(['",
        "df[df['region'].isin(['a', '",
        "df.head(3)['region'].isin(['",
        "df['region'].eq('",
        "df['region'].replace('",
        "df['region'].replace({'",
        "df['region'].map({'",
        "df['region'].map({'a': 1, '",
        "df.assign(x=lambda d: d['region'] == '",
        "df.assign(x=1, y=lambda d: d.n).assign(z=(2, 3)).groupby('region').get_group('",
        "df.apply(lambda r: r['region'] == '",
        "df.groupby('region').get_group('",
        "sns.barplot(data=df, hue='region', hue_order=['",
        "sns.barplot(df, x='n', hue='region', hue_order=['a', '",
        "df.filter(pl.col('region') == '",
        "df.filter(pl.col('region').is_in(['",
        "if (df['region'] == '",
    ],
)
def test_place_beside_a_column_has_its_values(text: str) -> None:
    place = at(text)
    assert place
    assert (place.readable, place.typed, place.end) == (REGION, "", text[-1])
    assert at(f"{text}No") == place._replace(typed="No")


@pytest.mark.parametrize(
    ("text", "typed", "end"),
    [
        ("df.query(\"region == 'No", "No", "'"),
        ("df.query('n > 1 and region != \"", "", '"'),
        ("df.query(\"`region` == '", "", "'"),
        ("df.query(\"region in ['a', 'N", "N", "'"),
        ("df.assign(x=1).query(\"x > 1 and region == 'N", "N", "'"),
    ],
)
def test_place_in_a_query_has_the_values_of_its_column(text: str, typed: str, end: str) -> None:
    place = at(text)
    assert place
    assert (place.readable, place.typed, place.end) == (REGION, typed, end)


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        ("df.loc['", LABELS),
        ("df.loc[['a', '", LABELS),
        ("df.at['", LABELS),
        ("df.xs('", LABELS),
        ("df.drop('", LABELS),
        ("df.drop(index=['", LABELS),
        ("s['", Readable("labels", "s")),
        ("s.loc['", Readable("labels", "s")),
        ("s == '", Readable("values", "s")),
        ("s.isin(['", Readable("values", "s")),
        ("config['", Readable("keys", "config")),
        ("config['a']['", Readable("keys", "config['a']")),
        ("config.get('", Readable("keys", "config")),
        ("config['a'].pop('", Readable("keys", "config['a']")),
        ("rows[0]['", Readable("keys", "rows[0]")),
        ("os.environ['", Readable("keys", "os.environ")),
        ("os.environ.get('", Readable("keys", "os.environ")),
        ("pd.read_csv('", Readable("files", "")),
        ("pd.read_csv('data/x", Readable("files", "data/")),
        ("open('../x", Readable("files", "../")),
        ("json.load(open('", Readable("files", "")),
        ("Image.open('", Readable("files", "")),
        ("%run ", Readable("files", "")),
        ("%load lib/x", Readable("files", "lib/")),
    ],
)
def test_place_has_labels_keys_and_files(text: str, readable: Readable) -> None:
    place = at(text)
    assert place
    assert place.readable == readable


@pytest.mark.parametrize(
    "text",
    [
        "df['",  # a column
        "df['region'] = '",
        "df['region'] > '",
        "df['region'].str.lower() == '",
        "df['region'].fillna('x') == '",
        "df.fillna('none')['region'] == '",
        "df.loc[0, '",
        "df.size == '",
        "model['",
        "model.config == '",
        "os.path['",
        "rows[1]['",
        "config[key]['",
        "config.get('a', '",
        "config['a', '",
        "print('",
        "x = '",
        "unknown['",
        "# df['region'] == '",
        "'''df['region'] == '",
        "df['region'] == f'",
        "df['region'] == 'a\\'",
        "df = load()\ndf['region'] == '",
        "df['region'] = clean(df)\ndf['region'] == '",
        "config['x'] = 1\nconfig['",
        "pd.read_csv('/etc/",
        "pd.read_csv('~/x",
        "pd.read_csv('https://x",
        "pd.read_csv('a', '",
        "df.to_csv('",
        "sns.barplot(data=other, hue='region', hue_order=['",
        "%cd x",
        "other.groupby('region').get_group('",
        "other.groups.get_group('",
        "df.assign(region=1).query(\"region == '",
        "df.assign(**more).query(\"region == '",
        "df.apply(x=1).query(\"region == '",
        "(df.assign(x=1)).query(\"region == '",
        "x = assign(x=1).query(\"region == '",
        "sns.barplot(data=df.assign(region=x), hue='region', hue_order=['",
        "path.open('",
        "spacy.load('",
        "df.groupby(['region', 'n']).get_group('",
    ],
)
def test_place_is_unknown_elsewhere(text: str) -> None:
    assert at(text) is None


def test_place_in_groups_has_the_values_of_their_column() -> None:
    text = "groups.get_group('No"
    assert at(text) == Place(Readable("values", "groups"), "No", "'")
    assert at(text, ("groups = df.groupby('n')", None)) is None


def test_place_is_unknown_where_a_cell_that_has_not_run_changes_the_object() -> None:
    text = "df['region'] == '"
    for source in ("df = load()", "df['region'] = x", "df.update(other)", "clean(df)"):
        assert at(text, (source, True))
        assert at(text, (source, None)) is None
    assert at(text, ("df['other'] = x", None))
    assert at("config['", ("config['x'] = 1", None)) is None
    assert at(text, ("# Title", None))
    assert at(text, ("df['region'] = df['region'].str.lower()", None)) is None
    assert at(text, ("df['region'] += 'x'", None)) is None
    for source in ("rows.append({})", "rows.sort()", "config.setdefault('a', 1)", "config.clear()"):
        changed = f"{source.partition('.')[0]}[0]['" if source.startswith("rows") else "config['"
        assert at(changed)
        assert at(changed, (source, None)) is None


@pytest.mark.parametrize(
    "change", ["import os\nos.chdir('raw')", "%cd raw", "cd raw", "with chdir('raw'): f()"]
)
def test_file_and_header_are_unknown_where_code_that_has_not_run_changes_the_folder(change: str) -> None:
    text = "pd.read_csv('da"
    assert at(text, (change, True))
    assert at(text, (change, None)) is None
    assert at(f"{change}\n{text}") is None
    assert at("df['region'] == '", (change, None))
    table = "t = pd.read_csv('data.csv')\nt['"
    assert headers_at(request(table))
    assert headers_at(request(table, (change, None))) == {}
    scope, known = scope_of(request(""), CONTEXT), Known({Readable("files", ""): Texts(("a.csv",), all=True)})
    assert lacks_text("pd.read_csv(", "'data.csv')", scope, known)
    assert not lacks_text("pd.read_csv(", "'data.csv')", scope, known, [change])


@pytest.mark.parametrize("source", ["cd = 3", "cd.head()", "x = cd", "# see %cd"])
def test_file_is_known_beside_a_variable_that_is_named_like_a_command(source: str) -> None:
    assert at("pd.read_csv('da", (source, None))


@pytest.mark.parametrize(
    ("text", "suffix", "is_place"),
    [
        ("df['region'] == 'N", "orth'", False),
        ("pd.read_csv('data", "/x.csv')", False),
        ("df['region'] == 'N", "'", True),
        ("df['region'] == 'N", "]", True),
        ("df['region'] == 'N", "\nx", True),
        ("df.query(\"region == 'N", '")', True),
        ("x = [df['region'] == '", "' for df in frames]", False),
    ],
)
def test_place_depends_on_the_text_after_the_cursor(text: str, suffix: str, is_place: bool) -> None:
    place, _ = readable_at(request(text, suffix=suffix), CONTEXT)
    assert (place is not None) is is_place


def test_place_is_in_python_code() -> None:
    for more in ({"language": "r"}, {"language": "julia"}):
        asked = request("df['region'] == '", **more)
        assert place_at(asked, scope_of(asked, CONTEXT)) is None
    assert at("%%bash\ndf['region'] == '") is None
    asked = Completion(cells=[Cell(type="markdown", source="df['region'] == '")], offset=17)
    assert place_at(asked, scope_of(asked, CONTEXT)) is None


@pytest.mark.parametrize(
    ("typed", "texts", "certain"),
    [
        ("N", ["North", "South"], "orth'"),
        ("", ["North"], "North'"),
        ("", ["Yes"], ""),
        ("Y", ["Yes"], "es'"),
        ("N", ["North", "Nordic"], ""),
        ("", ["Region A", "Region B"], "Region "),
        ("", ["North", "South"], ""),
        ("x", ["North"], ""),
        ("North", ["North"], ""),
    ],
)
def test_certain_text_is_the_only_one_or_a_common_beginning(
    typed: str, texts: list[str], certain: str
) -> None:
    place = Place(REGION, typed, "'")
    assert certain_text(place, texts_at(place, Texts(tuple(texts)))) == certain


@pytest.mark.parametrize(
    ("text", "certain"),
    [
        ("config['l", ""),
        ("config['le", "arning_rate'"),
        ("config['", ""),
        ("x = config['l", "earning_rate'"),
        ("x = config['", "learning_rate'"),
        ("df.loc['l", ""),
        ("x == df.loc['l", "earning_rate'"),
    ],
)
def test_certain_text_of_a_line_that_may_assign_a_new_one_needs_two_letters(text: str, certain: str) -> None:
    place = at(text)
    assert place
    assert certain_text(place, texts_at(place, Texts(("learning_rate",)))) == certain


@pytest.mark.parametrize(
    ("text", "certain"),
    [
        ("pd.read_csv('", ""),
        ("pd.read_csv('d", "ata.csv'"),
        ("pd.read_csv('s", ""),
        ("pd.read_csv('st", "ore.sqlite'"),
        ("pd.read_csv('in", "put/"),
    ],
)
def test_certain_text_of_a_file_needs_a_letter_and_an_ending_that_fits(text: str, certain: str) -> None:
    place = at(text)
    assert place
    files = Texts(("data.csv", "input/", "store.sqlite"))
    assert certain_text(place, texts_at(place, files)) == certain


def test_place_omits_keys_that_are_listed() -> None:
    place = at("df['region'].map({'North': 'West', '")
    assert place
    assert place.listed == {"North"}


def test_texts_at_omit_listed_values_and_prefer_files_that_fit() -> None:
    place = Place(REGION, "", "'", frozenset({"North"}))
    assert texts_at(place, Texts(("South", "North", "West"))) == ["South", "West"]
    files = Texts(("a.csv", "a.txt", "all/", "b.txt"))
    place = Place(Readable("files", ""), "a", "'", endings=(".csv",))
    assert texts_at(place, files) == ["a.csv", "all/"]
    assert texts_at(place._replace(typed="b"), files) == ["b.txt"]
    place = place._replace(typed="")
    assert texts_at(place, Texts(("b.txt", "data/"))) == ["b.txt", "data/"]
    place = place._replace(typed="a")
    assert written(place, "all/") == "ll/"
    assert written(place, "a.csv") == ".csv'"


@given(st.text("ab/'", max_size=4), st.lists(st.text("ab/", min_size=1, max_size=4), max_size=5))
def test_certain_text_begins_a_text(typed: str, texts: list[str]) -> None:
    place = Place(REGION, typed, "'")
    found = texts_at(place, Texts(tuple(texts)))
    certain = certain_text(place, found)
    assert not certain or all(f"{each}'".startswith(typed + certain) for each in found)


@pytest.mark.parametrize(
    ("prefix", "text", "is_lacking"),
    [
        ("x = df[df['region'] == ", "'North']", False),
        ("x = df[df['region'] == ", "'Paris']", True),
        ("x = df[df['region'] == 'P", "aris']", True),
        ("x = df[df['region'] == 'N", "or", False),
        ("x = df[df['region'] == 'N", "ix", True),
        ("x = df", "[df['region'] == 'Paris']", True),
        ("x = df", "[df['region'].isin(['North', 'Paris'])]", True),
        ("x = df", "[df['n'] == 'Paris']", False),
        ("x = ", "config['rate']", False),
        ("x = ", "config['speed']", True),
        ("", "config['speed'] = 1", False),
        ("x = ", "config.get('speed', 1)", False),
        ("x = pd.", "read_csv('orders.csv')", False),
        ("x = pd.", "read_csv('bells.csv')", True),
        ("x = pd.read_csv(", "'other/orders.csv')", False),
        ("x = ", "open('new.txt', 'w')", False),
        ("df.", "to_csv('new.csv')", False),
        ("print(", "'Paris')", False),
        ("", "config['speed']", False),  # it may be assigned
        ("", "config['speed'", False),
        ("", "config['speed'], x = 1, 2", False),
        ("", "config['speed'] = 1\nprint(config['speed'])", False),
        ("", "df['region'] = df['region'].str.lower()\ndf[df['region'] == 'north']", False),
        ("", "df['region'] = x\ny = df[df['region'] == 'north']\nz = config['speed']", True),
        ("x = df", ".loc['row 3', 'n']", True),
        ("df", ".loc['row 3', 'n'] = 1", False),
        ("x = df", ".loc['a':'row 2']", False),
        ("df = df.", "drop('n', axis=1)", False),
        ("df = df.", "drop(['n'], axis=1)", False),
        ("x = df[df['region'] == ", "'No' + 'rt']", False),
        ("x = df[df['region'] == ", "'{}'.format(name)]", False),
        ("x = df[df['region'] == ", "'''North''']", False),
        ("x = df[df['region'] == ", "'''Paris''']", True),
        ("x = pd.", "read_csv('data/' + name)", False),
        ("x = pd.", "read_csv('data/%s.csv' % name)", False),
        ("x = pd.", "read_csv('data/*.csv')", False),
        ("x = pd.", "read_csv('data/y.csv')", True),
        ("x = pd.", "read_parquet('data/')", False),
        ("x = pd.", "read_csv('.bells.csv')", False),
        ("x = pd.", "read_csv('/bells.csv')", False),
        ("f = path.", "open('w')", False),
        ("f = gzip.", "open('new.gz', 'wt')", False),
        ("p = pathlib.", "Path('new.csv')", False),
        ("nlp = spacy.", "load('en_core_web_sm')", False),
        ("x = np.", "load('bells.npy')", True),
    ],
)
def test_lacks_text_finds_values_keys_and_files_that_do_not_exist(
    prefix: str, text: str, is_lacking: bool
) -> None:
    known = {
        REGION: Texts(("North", "South"), all=True),
        LABELS: Texts(("row 1", "row 2"), all=True),
        Readable("keys", "config"): Texts(("rate",), all=True),
        Readable("files", ""): Texts(("data/", "orders.csv"), all=True),
        Readable("files", "data/"): Texts(("x.csv",), all=True),
    }
    scope = scope_of(request(prefix), CONTEXT)
    assert lacks_text(prefix, text, scope, Known(known)) is is_lacking
    some = {readable: found._replace(all=False) for readable, found in known.items()}
    assert not lacks_text(prefix, text, scope, Known(some))


def test_lacks_text_asks_for_what_is_not_known() -> None:
    scope = scope_of(request("x = "), CONTEXT)
    for learns in (False, True):
        reader = Known({}, learns=learns)
        assert lacks_text("x = ", "df[df['region'] == 'Paris']", scope, reader) is learns
        assert reader.asked == [REGION]


def test_names_fit_only_texts_that_exist() -> None:
    asked = request("x = df[df['region'] == ")
    names = Names(asked, scope_of(asked, CONTEXT), reader=Known({REGION: Texts(("North",), all=True)}))
    assert names.fit("'North']")
    assert not names.fit("'Paris']")
    assert names.lacks_name


def test_names_fit_files_that_waiting_cells_write() -> None:
    reader = Known({Readable("files", ""): Texts(("orders.csv",), all=True)})
    for executed in (True, None):
        asked = request("x = pd.read_csv(", ("import pandas as pd\nx.to_csv('new.csv')", executed))
        names = Names(asked, scope_of(asked, CONTEXT), reader=reader)
        assert names.fit("'new.csv')") is (executed is None)
    asked = request("x.to_csv('new.csv')\ny = pd.read_csv(")
    assert Names(asked, scope_of(asked, CONTEXT), reader=reader).fit("'new.csv')")


HEADER = Readable("header", "orders.csv", ",")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("orders = pd.read_csv('orders.csv')", HEADER),
        ("orders = pl.read_csv('orders.csv')", HEADER),
        ("orders = pd.read_csv('orders.csv', sep=';')", HEADER._replace(separator=";")),
        ("orders = pd.read_table('orders.csv')", HEADER._replace(separator="\t")),
        ("orders = pd.read_csv('orders.csv', parse_dates=['day'])", HEADER),
        ("orders = pd.read_csv('orders.csv', names=['a'])", None),
        ("orders = pd.read_csv('orders.csv', comment='#')", None),
        ("orders = pd.read_csv('orders.csv', chunksize=9)", None),
        ("orders = pd.read_csv('orders.csv', index_col=0)", None),
        ("orders = pd.read_csv('orders.csv', skiprows=1)", None),
        ("orders = pd.read_csv('orders.csv', sep=None)", None),
        ("orders = pl.read_csv('orders.csv', row_index_name='row')", None),
        ("orders = pl.read_csv('orders.csv', schema={'a': int})", None),
        ("orders = pd.read_csv('orders.csv', **more)", None),
        ("orders = pd.read_csv(path)", None),
        ("orders = pd.read_csv('/data/orders.csv')", None),
        ("orders = pd.read_csv('orders.csv').dropna()", None),
        ("orders = pd.read_csv('orders.csv')\norders = orders.rename(columns={})", None),
        ("orders = pd.read_csv('orders.csv'", None),
    ],
)
def test_headers_are_those_of_tables_that_are_not_read_yet(source: str, found: Readable | None) -> None:
    expected = {} if found is None else {"orders": found}
    assert headers_at(request("orders['", (source, None))) == expected
    assert headers_at(request("orders['", (source, True))) == {}
    if not source.endswith("csv'"):
        assert headers_at(request(f"{source}\norders['")) == expected
    assert headers_at(request("other['", (source, None))) == {}


def test_headers_give_candidates_for_columns() -> None:
    source = "orders = pd.read_csv('orders.csv')"
    header = {"orders": Texts(("customer", "total"), all=True)}
    for asked in (
        request("x = orders['", (source, None)),
        request(f"{source}\nx = orders['"),
        request("x = orders.groupby('", (source, None)),
    ):
        scope = scope_of(asked, KernelContext(), header)
        assert set(names_at(asked, scope).texts) == {"customer'", "total'"}
    later = request("x = orders['", (source, None), ("orders['vat'] = 1", None))
    names = names_at(later, scope_of(later, KernelContext(), header)).texts
    assert set(names) == {"customer'", "total'", "vat'"}
    changed = request("x = orders['", (source, None), ("orders.pop('total')", None))
    assert not names_at(changed, scope_of(changed, KernelContext(), header)).texts


def test_digest_of_headers_differs() -> None:
    digests = {digest_of({}), digest_of({"a": Texts(("b",))}), digest_of({"a": Texts(("c",))})}
    assert len(digests) == 3
    assert "" in digests


def test_readings_have_texts_if_any_may_follow() -> None:
    known = Known({REGION: Texts(("North",))})
    assert Readings().texts is None
    assert Readings(known, place=Place(REGION, "N", "'")).texts == ["North"]
    assert Readings(known, place=Place(REGION, "P", "'")).texts is None
    assert Readings(known, place=Place(REGION, "North", "'")).texts is None
    assert Readings(known, place=Place(LABELS, "N", "'")).texts is None
