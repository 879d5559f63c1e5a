import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.lines import Continuation
from jupyter_turbopilot.analysis.syntax import fitting
from jupyter_turbopilot.context.private import looks_secret
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.suggestion import lookup
from jupyter_turbopilot.suggestion.gate import may_end
from jupyter_turbopilot.suggestion.lookup import candidates, continuations_at, merged, own_continuations
from jupyter_turbopilot.suggestion.scores import EAGERNESS, cursor_features
from jupyter_turbopilot.suggestion.surroundings import surroundings_of

from ..index.fake_index import FakeIndex, sighting


def test_ways_at_finds_continuations_in_other_cells_and_the_active_one() -> None:
    sources = ("plt.figure()\nplt.show()", "plt.show()\n", "plt.subplots(2)\n\n")
    ways = own_continuations("plt.s", "plt.figure()", [(source,) for source in sources])
    assert {way.rest: (way.own, way.own_above) for way in ways} == {
        "how()": (2, True),
        "ubplots(2)": (1, False),
    }


def ways_of(*sources: str, typed: str, below: str = "") -> list[Continuation]:
    cells = [*map(cell_of, sources), Cell(source=typed + below)]
    request = Completion(cells=cells, active=len(sources), offset=len(typed))
    around = surroundings_of(request.prefix, request.suffix)
    return continuations_at(FakeIndex(), request, around)


def cell_of(source: str) -> Cell:
    return Cell(source=source)


@pytest.mark.parametrize("begun", ["p", " " * 8])
def test_ways_at_ignores_a_single_letter(begun: str) -> None:
    assert ways_of("print(1)", typed=begun) == []


def test_ways_at_excludes_the_line_below_the_cursor() -> None:
    assert ways_of(typed="x = 1\npl", below="\nplt.show()") == []
    assert ways_of("plt.show()", typed="x = 1\npl", below="\n\n    plt.show()") == []


def test_ways_at_reads_the_nearest_cells_of_a_long_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "ABOVE", 60)
    ways = ways_of("plt.savefig(1)" + " " * 40, "plt.show()", "x = 1", typed="plt.s")
    assert [way.rest for way in ways] == ["how()"]


def test_merged_adds_notebook_and_index_most_frequent_first() -> None:
    own = [Continuation("b", own=1), Continuation("c", own=1)]
    seen = [sighting("a", 1), sighting("b", 2, times=7)]
    ways = merged(own, seen)
    assert [(way.rest, way.own, way.times, way.documents) for way in ways] == [
        ("b", 1, 7, 2),
        ("c", 1, 0, 0),
        ("a", 0, 1, 1),
    ]


def test_ways_at_reads_only_cells_of_the_same_language() -> None:
    cells = [
        Cell(source="print(1)"),
        Cell(source="%%bash\nprintf x"),
        Cell(type="markdown", source="print all"),
        Cell(source="pr"),
    ]
    request = Completion(cells=cells, active=3, offset=2)
    ways = continuations_at(FakeIndex(), request, surroundings_of("pr", ""))
    assert [way.rest for way in ways] == ["int(1)"]


RESTS = st.text(st.sampled_from("ab ._='1\n"), max_size=8)
SECRETS = st.sampled_from(
    ["api_key = 'sk-abcdefghijklmnopqrstuv'", "password = 'hunter22'", "connect('postgres://me:hunter2@h/x')"]
)


@given(st.lists(st.one_of(SECRETS, RESTS), max_size=6), st.integers(2, 12), SECRETS)
def test_own_continuations_contain_no_secret_lines(lines: list[str], begun: int, secret: str) -> None:
    for way in ways_of("\n".join(lines), secret, typed=secret[:begun]):
        assert not looks_secret(secret[:begun].lstrip() + way.rest)


def test_own_continuations_contain_no_secrets_that_span_lines() -> None:
    assert ways_of('password = (\n    "hunter2hunter2"\n)', typed='"hun') == []


@pytest.mark.parametrize("line", ["MIIEpAIBAAKCAQEA7n3kQ", "MIIabc"])
def test_own_continuations_contain_no_lines_of_a_key(line: str) -> None:
    source = f"key = '''-----BEGIN RSA PRIVATE KEY-----\n{line}\n'''"
    assert own_continuations("MII", "", [(source,)]) == []
    above, _, below = source.partition("\n")
    assert own_continuations("MII", "", [(above, below)]) == []


@pytest.mark.parametrize(
    ("above", "typed", "below"),
    [
        ("password = (\n", "    'hunt", "\n    'abcdefgh'\n    'hunter2hunter2'\n)"),
        ("password = (\n    'abcdefgh'\n", "    'hunt", "\n    # the old one\n    'hunter2hunter2'\n)"),
        ("password = (\n", "    'hunt", "\n    # the old one\n    'hunter2hunter2'\n)"),
    ],
)
def test_own_continuations_contain_no_secret_around_the_cursor(above: str, typed: str, below: str) -> None:
    assert ways_of(typed=above + typed, below=below) == []


def match_of(
    ways: list[Continuation],
    before: str,
    after: str = "",
    threshold: float = 0.0,
    pieces: tuple[str, ...] = (),
) -> lookup.LineMatch | None:
    cursor = cursor_features(before, after, pieces)
    around = surroundings_of(before, after)
    return lookup.best_match(ways, cursor, around, fitting("python", before), threshold)


def texts(ways: list[Continuation], before: str, after: str = "") -> list[str]:
    found = candidates(ways, cursor_features(before, after, ()), surroundings_of(before, after))
    return [text for text, _, _ in found]


def scores(ways: list[Continuation], before: str, pieces: tuple[str, ...] = ()) -> dict[str, float]:
    found = candidates(ways, cursor_features(before, "", pieces), surroundings_of(before, ""))
    return {text: lookup.rate(values) for text, _, values in found}


def test_candidates_include_common_prefixes() -> None:
    ways = [Continuation("how_all(now=True)", documents=2), Continuation("how_all(now=False)", documents=2)]
    assert texts(ways, "plt.s") == ["how_all(now=True)", "how_all(now=False)", "how_all", "how_all(now="]


def test_candidates_close_the_quote_and_brackets_of_a_first_word() -> None:
    ways = [Continuation('nit_price"]).mean()', documents=1)]
    assert texts(ways, 'np.log(orders["u') == ['nit_price"]).mean()', 'nit_price"])']


def test_recall_is_surer_of_the_first_word_than_of_the_line() -> None:
    ways = [Continuation('nicate(frame, smoothing="cubic", window=13)', documents=1)]
    found = scores(ways, "frob")
    assert list(found) == ['nicate(frame, smoothing="cubic", window=13)', "nicate"]
    assert found["nicate"] > found['nicate(frame, smoothing="cubic", window=13)']


def test_recall_skips_text_that_does_not_parse() -> None:
    ways = [Continuation(" for y in in", documents=30, times=30)]
    found = match_of(ways, "[x")
    assert found
    assert not found.sure


def test_fit_has_a_threshold_for_each_setting_and_all_features() -> None:
    fit = lookup.fit()
    assert fit.thresholds.keys() == set(EAGERNESS)
    values = lookup.features_of("a", [Continuation("a", documents=1)], cursor_features("xy", "", ()))
    assert values.keys() == fit.coefficients.keys()
    assert fit.thresholds["eager"] <= fit.thresholds["balanced"] <= fit.thresholds["quiet"]


def test_recall_is_sure_of_a_line_in_notebook_and_index() -> None:
    way = Continuation("as_frame(verbose=True)", own=1, documents=2, times=2, imports=1.0)
    held = ("data = load_as_frame(verbose=True)\n",)
    found = match_of([way], "data = load_", threshold=lookup.fit().thresholds["balanced"], pieces=held)
    assert found
    assert found.sure


def test_recall_is_sure_of_a_line_in_two_notebooks_below_the_same_line() -> None:
    way = Continuation("ledger = sorted(range(2026), reverse=True)", documents=2, times=3, above=True)
    before = "accounts = []\nfrobnicated_"
    found = match_of([way], before, threshold=lookup.fit().thresholds["balanced"])
    assert found
    assert found.sure


# For any continuations -------------------------------------------------------------------------------------------------

WORDS = ["plt", ".", "show", "(", ")", " ", "x", "=", "1", "_y", "'a'", ",", "é"]
RESTS = st.lists(st.sampled_from(WORDS), min_size=0, max_size=8).map("".join)
WAYS = st.lists(
    st.builds(
        Continuation, RESTS, own=st.integers(0, 3), times=st.integers(0, 9), documents=st.integers(0, 5)
    ),
    max_size=8,
)


@given(WAYS, RESTS, RESTS)
def test_candidates_are_prefixes_of_continuations(ways: list[Continuation], before: str, after: str) -> None:
    found = match_of(ways, before, after)
    if found:
        assert any(way.rest.startswith(found.text) for way in ways)
        assert found.text.strip()
        assert 0.0 <= found.confidence <= 1.0
        following = [way.rest[len(found.text) :] for way in ways if way.rest.startswith(found.text)]
        is_whole_line = any(rest.strip() in {"", after.strip()} for rest in following)
        assert is_whole_line or any(may_end(found.text, rest) for rest in following)
