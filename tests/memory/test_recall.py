from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.memory import recall
from jupyter_turbopilot.memory.recall import candidates
from jupyter_turbopilot.memory.ways import Way
from jupyter_turbopilot.suggestion.features import cursor_features
from jupyter_turbopilot.suggestion.fit import EAGERNESS
from jupyter_turbopilot.suggestion.gate import may_end
from jupyter_turbopilot.suggestion.surroundings import surroundings_of
from jupyter_turbopilot.suggestion.syntax import fitting


def recalled(
    ways: list[Way], before: str, behind: str = "", threshold: float = 0.0, pieces: tuple[str, ...] = ()
) -> recall.Recalled | None:
    cursor = cursor_features(before, behind, pieces)
    around = surroundings_of(before, behind)
    return recall.recall(ways, cursor, around, fitting("python", before), threshold)


def texts(ways: list[Way], before: str, behind: str = "") -> list[str]:
    found = candidates(ways, cursor_features(before, behind, ()), surroundings_of(before, behind))
    return [text for text, _, _ in found]


def scores(ways: list[Way], before: str, pieces: tuple[str, ...] = ()) -> dict[str, float]:
    found = candidates(ways, cursor_features(before, "", pieces), surroundings_of(before, ""))
    return {text: recall.rate(values) for text, _, values in found}


def test_where_ways_part_what_they_have_in_common_may_follow_too() -> None:
    ways = [Way("how_all(now=True)", documents=2), Way("how_all(now=False)", documents=2)]
    assert texts(ways, "plt.s") == ["how_all(now=True)", "how_all(now=False)", "how_all", "how_all(now="]


def test_the_first_word_of_a_line_is_surer_than_the_whole_line() -> None:
    ways = [Way('nicate(frame, smoothing="cubic", window=13)', documents=1)]
    found = scores(ways, "frob")
    assert list(found) == ['nicate(frame, smoothing="cubic", window=13)', "nicate"]
    assert found["nicate"] > found['nicate(frame, smoothing="cubic", window=13)']


def test_what_they_have_in_common_ends_with_a_word() -> None:
    ways = [Way("int(alpha)", documents=2), Way("int(alphabet)", documents=2)]
    assert texts(ways, "pr") == ["int(alpha)", "int(alphabet)", "int("]


def test_behind_the_cursor_has_to_stand_how_such_a_line_ends() -> None:
    ways = [Way("alues)", documents=4), Way("alues[0]", documents=4)]
    assert texts(ways, "print(v", ")") == ["alues"]
    assert texts(ways, "print(v", ", end='')") == []


def test_a_few_letters_are_no_suggestion_unless_they_end_the_line() -> None:
    ways = [Way("t(a)", documents=1), Way("t[b]", documents=1)]
    assert texts(ways, "prin") == ["t(a)", "t[b]"]


def test_a_name_that_the_notebook_does_not_hold_makes_it_less_sure() -> None:
    ways = [Way("(special_frame)", documents=2, times=2)]
    known = scores(ways, "print", ("special_frame = 1\n",))
    assert known["(special_frame)"] > scores(ways, "print")["(special_frame)"]


def test_what_is_not_sure_enough_is_told_as_a_guess() -> None:
    found = recalled([Way("how()", documents=3)], "plt.s", threshold=math.inf)
    assert found
    assert (found.text, found.sure) == ("how()", False)


def test_what_does_not_parse_is_not_shown() -> None:
    ways = [Way(" for y in in", documents=30, times=30)]
    found = recalled(ways, "[x")
    assert found
    assert not found.sure


def test_where_no_way_is_known_or_the_line_ends_here_none_is_recalled() -> None:
    assert recalled([], "plt.s") is None
    assert recalled([Way("")], "plt.show()") is None


def test_a_suggestion_that_may_have_several_lines_is_not_whole() -> None:
    assert recalled([Way(" in xs:", documents=9)], "for x").whole  # type: ignore[union-attr]
    cursor = cursor_features("for x", "", ())
    around = surroundings_of("for x", "", "multi")
    found = recall.recall([Way(" in xs:", documents=9)], cursor, around, lambda _: True, 0.0)
    assert found
    assert not found.whole


def test_the_table_has_a_threshold_for_every_setting_and_what_it_is_computed_from() -> None:
    fit = recall.fit()
    assert fit.thresholds.keys() == set(EAGERNESS)
    values = recall.features_of("a", [Way("a", documents=1)], cursor_features("xy", "", ()))
    assert values.keys() == fit.coefficients.keys()
    assert fit.thresholds["eager"] <= fit.thresholds["balanced"] <= fit.thresholds["quiet"]


def test_a_line_that_stands_in_the_notebook_and_elsewhere_is_sure_at_the_default_setting() -> None:
    way = Way("as_frame(verbose=True)", own=1, documents=2, times=2, imports=1.0)
    held = ("data = load_as_frame(verbose=True)\n",)
    found = recalled([way], "data = load_", threshold=recall.fit().thresholds["balanced"], pieces=held)
    assert found
    assert found.sure


def test_neither_what_is_built_in_nor_what_is_set_is_strange() -> None:
    cursor = cursor_features("frobnicated_", "", ())
    rest = "ledger = sorted(range(9), reverse=True) == other"
    values = recall.features_of(rest, [Way(rest, documents=1)], cursor)
    assert math.isclose(values["strange"], math.log1p(1))


def test_a_line_of_two_other_notebooks_is_sure_below_the_same_line_at_the_default_setting() -> None:
    way = Way("ledger = sorted(range(2026), reverse=True)", documents=2, times=3, above=True)
    before = "accounts = []\nfrobnicated_"
    found = recalled([way], before, threshold=recall.fit().thresholds["balanced"])
    assert found
    assert found.sure


def test_the_word_at_the_cursor_counts_whole() -> None:
    cursor = cursor_features("data = load_", "", ("load_frame(one)\n",))
    values = recall.features_of("frame(two)", [Way("frame(two)", documents=1)], cursor)
    assert math.isclose(values["strange"], math.log1p(1))
    of_attribute = cursor_features("data.load_", "", ("data = 1\n",))
    values = recall.features_of("frame(two)", [Way("frame(two)", documents=1)], of_attribute)
    assert math.isclose(values["strange"], math.log1p(1))
    assert math.isclose(values["strange attributes"], math.log1p(1))


# For any memory -------------------------------------------------------------------------------------------------

WORDS = ["plt", ".", "show", "(", ")", " ", "x", "=", "1", "_y", "'a'", ",", "é"]
RESTS = st.lists(st.sampled_from(WORDS), min_size=0, max_size=8).map("".join)
WAYS = st.lists(
    st.builds(Way, RESTS, own=st.integers(0, 3), times=st.integers(0, 9), documents=st.integers(0, 5)),
    max_size=8,
)


@given(WAYS, RESTS, RESTS)
def test_what_is_recalled_is_how_a_line_begins_to_go_on(ways: list[Way], before: str, behind: str) -> None:
    found = recalled(ways, before, behind)
    if found:
        assert any(way.rest.startswith(found.text) for way in ways)
        assert found.text.strip()
        assert 0.0 <= found.confidence <= 1.0
        following = [way.rest[len(found.text) :] for way in ways if way.rest.startswith(found.text)]
        assert found.whole or any(may_end(found.text, rest) for rest in following)
