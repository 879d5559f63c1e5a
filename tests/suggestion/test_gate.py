import math
from collections.abc import Callable
from typing import Any

import pytest

from jupyter_turbopilot.analysis.syntax import fitting
from jupyter_turbopilot.suggestion.candidates import Candidates
from jupyter_turbopilot.suggestion.gate import Gate, may_end
from jupyter_turbopilot.suggestion.names import AnyNames
from jupyter_turbopilot.suggestion.scores import EAGERNESS, FITS, CursorFeatures, fit_for
from jupyter_turbopilot.suggestion.surroundings import surroundings_of
from jupyter_turbopilot.suggestion.trim import trim
from jupyter_turbopilot.util.bounds import Operations, counted_operations

from ..shared_cases import golden


class Fitting(AnyNames):
    """Lets a function decide which texts fit."""

    def __init__(self, fits: Callable[[str], bool], *, lacks_name: bool = False) -> None:
        self._fits, self.lacks_name = fits, lacks_name

    def fit(self, text: str) -> bool:
        return self._fits(text)


class Product(Gate):
    """Uses the product of the probabilities as the score, to test the rest separately."""

    def rate(self, found: dict[str, float]) -> float:
        return math.exp(found["sum"])


def gate(*tokens: tuple[str, float], threshold: float = 0.5, ended: bool = False) -> Product:
    made = Product(CursorFeatures(), threshold)
    for piece, probability in tokens:
        made.add(piece, probability)
    if ended:
        made.end()
    return made


def shown(made: Gate) -> str:
    return made.text[: made.shown(made.text)[0]]


Written = list[tuple[str, float]]


def shown_of(written: Written, threshold: float = 0.5, ended: bool = False) -> str:
    return shown(gate(*written, threshold=threshold, ended=ended))


SHOWN = (
    "the greatest gain",
    "an unfinished line",
    "brackets and quotes",
    "several lines in brackets",
    "the end",
    "further lines",
)


@pytest.mark.parametrize("case", golden("gate", *(f"shown/{part}" for part in SHOWN)))
def test_gate_shows_the_prefix_with_the_greatest_gain(case: tuple[Any, ...]) -> None:
    *asked, text = case
    assert shown_of(*asked) == text


@pytest.mark.parametrize("opened", ["(a", "[a", "{a", "'a", '"a'])
def test_gate_shows_no_half_open_bracket_or_string(opened: str) -> None:
    assert shown(gate(("quantity", 0.95), (opened, 0.95), (" + ", 0.95))) == "quantity"
    assert shown(gate(("quantity", 0.95), (opened, 0.95), ("\n", 0.95))) == "quantity"


def test_gate_is_hopeless_after_a_line_that_is_not_shown() -> None:
    assert gate(("quantity(", 0.9), ("b", 0.1), (")\n", 1.0), ("c\n", 1.0)).hopeless


def test_gate_is_hopeless_after_an_improbable_line() -> None:
    assert gate(("a", 0.01)).hopeless
    assert not gate(("a", 0.41)).hopeless
    assert not gate(("a", 0.0001), threshold=0.0).hopeless


def test_gate_shows_nothing_that_was_trimmed() -> None:
    made = gate(("compute(a", 0.9), (")", 0.9), (" + b", 0.9), ("\n", 1.0))
    assert made.shown("compute(a)")[0] == len("compute(a)")


def test_gate_closes_no_bracket_closed_after_the_cursor() -> None:
    made = Product(CursorFeatures("sqrt((a", "))"), 0.5)
    for piece in (")", " **", " 2", " +", " (", "b", " - c"):
        made.add(piece, 0.99)
    assert made.shown(") ** 2 +")[0] == 0
    assert made.shown(") ** 2 + (b")[0] == len(") ** 2 + (b")


def test_gate_shows_the_longest_prefix_that_fits() -> None:
    made = Product(CursorFeatures(), 0.5, Fitting(lambda text: "+" not in text))
    for piece in ("quantity", " * 2", " + ", "b", "\n"):
        made.add(piece, 0.95)
    assert shown(made) == "quantity * 2"


@pytest.mark.parametrize(("written", "hidden_reason"), golden("gate", "hidden_reason"))
def test_gate_returns_why_nothing_is_shown(written: Written, hidden_reason: str) -> None:
    assert gate(*written, ended=True).hidden_reason == hidden_reason


def test_gate_returns_that_names_are_unknown() -> None:
    made = Product(CursorFeatures(), 0.5, Fitting(lambda _: False, lacks_name=True))
    made.add("quantity", 0.95)
    made.end()
    assert made.hidden_reason == "unknown_name"


@pytest.mark.parametrize(("text", "following", "may"), golden("gate", "may_end"))
def test_may_end_is_true_only_between_words(text: str, following: str, may: bool) -> None:
    assert may_end(text, following) is may


def test_thresholds_increase_by_setting() -> None:
    for model in FITS:
        steps = [fit_for(model).thresholds[name] for name in reversed(EAGERNESS)]
        assert steps == sorted(steps)
        assert steps[0] == 0 < steps[1]
        assert steps[-1] < 1


def test_gate_accepts_the_end_of_a_quote_open_at_the_cursor() -> None:
    made = Product(CursorFeatures("s = '"), 0.5)
    for piece in ("hello", "'", " + x"):
        made.add(piece, 0.95)
    assert shown(made) == "hello'"


def label_gate(
    texts: str,
    *tokens: tuple[str, float],
    line: str = "df['",
    rest: str = "",
    fits: Callable[[str], bool] = lambda _: True,
    closer: str = "]",
) -> Product:
    candidates = Candidates(texts.split("|"), must_exist=True, closer=closer)
    made = Product(CursorFeatures(line, rest), 0.5, Fitting(fits), candidates=candidates)
    for piece, probability in tokens:
        made.add(piece, probability)
    return made


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ([("ishing", 1.0), (" Rate", 1.0), ("']", 0.1)], "ishing Rate']"),
        ([("ishing Rate'", 1.0), (",", 0.1)], "ishing Rate'"),
        ([("other", 0.1), ("ishing Rate'", 0.1)], ""),
        ([("ishing Rate'", 1.0), ("]", 0.9), (".mean", 0.9), ("()\n", 0.9)], "ishing Rate'].mean()"),
    ],
)
def test_gate_shows_a_single_candidate_with_any_score(tokens: list[tuple[str, float]], text: str) -> None:
    assert shown(label_gate("ishing Rate'", *tokens)) == text


def test_gate_shows_the_common_prefix_regardless_of_its_score() -> None:
    tokens = ("s_per_", 1.0), ("day", 0.4), ("'", 1.0)
    assert shown(label_gate("s_per_day'|s_per_km'", *tokens)) == "s_per_"
    assert shown(label_gate("s_m3'|s_per_km'", ("s_", 1.0), *tokens[1:])) == ""


def test_gate_waits_for_the_common_prefix() -> None:
    tokens = ("s_", 0.1), ("per_", 1.0), ("day", 0.9)
    written = [label_gate("s_per_day'|s_per_km'", *tokens[:count]) for count in (1, 2, 3)]
    assert [made.hopeless for made in written] == [False, False, True]
    assert [made.shown(made.text, final=False)[0] for made in written] == [0, 0, len("s_per_")]


def test_gate_shows_no_single_candidate_within_a_name() -> None:
    assert shown(label_gate("ice'", ("ice'", 0.1), rest="ice'].sum()")) == ""


def test_gate_leaves_the_users_closing_quote_out_of_a_single_candidate() -> None:
    assert shown(label_gate("ishing Rate'", ("ishing Rate", 1.0), ("'", 0.1), rest="']")) == "ishing Rate"


def test_gate_hides_a_single_candidate_that_is_short_or_does_not_fit() -> None:
    assert shown(label_gate("d'", ("d'", 0.1))) == ""
    assert shown(label_gate("ishing'", ("ishing'", 0.1), fits=lambda _: False)) == ""


@pytest.mark.parametrize(
    ("texts", "rest", "text"),
    [
        ("gion'|location'", "", "location']"),
        ("gion'|location'|location_net'", "", ""),
        ("gion'|location'", ")", "location']"),
        ("gion'|location'", "'].sum()", "location"),
        ("gion'|location'", '"]', "location"),
        ("gion'|location'", "ue]", "location"),
        ("gion'|location'", ")']", "location"),
    ],
)
def test_gate_adds_the_closing_quote_after_a_unique_label(texts: str, rest: str, text: str) -> None:
    assert shown(label_gate(texts, ("location", 0.9), ("'])", 0.1), rest=rest)) == text


@pytest.mark.parametrize(
    ("line", "rest", "after", "closer", "text"),
    [
        ("x = df['", "", "'] *", "]", "location']"),
        ("print(df['", "", "'].", "]", "location']"),
        ("print(df['", "", "'])", "]", "location']"),
        ("f\"{df['", "", "']}", "]", "location']"),
        ("df.loc[x, '", "", "'] =", "]", "location']"),
        ("df[['", "", "']]", "", "location'"),
        ("df[['", "", "', '", "", "location'"),
        ("df.groupby('", "", "').", "", "location'"),
        ("df.agg({'", "", "': ", "", "location'"),
        ("x = df['", "']", "']", "]", "location"),
        ("x = df['", "]", "']", "]", "location'"),
    ],
)
@pytest.mark.parametrize("is_split", [False, True])
def test_gate_closes_the_subscript_of_a_label(
    line: str, rest: str, after: str, closer: str, text: str, is_split: bool
) -> None:
    pieces = [after[:1], after[1:]] if is_split else [after]
    tokens = [("location", 0.9), *((piece, 0.2) for piece in pieces), (" total", 0.1)]
    made = label_gate(
        "gion'|location'", *tokens, line=line, rest=rest, fits=fitting("python", line), closer=closer
    )
    cut = trim(made.text, surroundings_of(line, rest, line.split("\n"), 1), final=False).text
    assert cut[: made.shown(cut)[0]] == text


def test_gate_closes_what_probably_ends_after_a_subscript() -> None:
    tokens = ("location", 0.9), ("'])\n", 0.4)
    assert shown(label_gate("gion'|location'", *tokens, line="x = log(df['")) == "location'])"
    assert shown(label_gate("gion'|location'", *tokens, line="x = log(['", closer="")) == "location'"


def test_gate_waits_for_the_bracket_after_a_label() -> None:
    tokens = ("location", 0.9), ("'", 0.9), ("]", 0.2), (".", 0.2)
    written = [label_gate("gion'|location'", *tokens[:count]) for count in (2, 4)]
    assert [made.shown(made.text, final=False)[0] for made in written] == [0, len("location']")]


def test_gate_adds_only_the_closing_quote_of_a_label() -> None:
    made = label_gate("level=|verbosity=", ("verbosity", 0.9), ("=3", 0.1), line="print(", rest=")")
    assert shown(made) == "verbosity"


def test_gate_shows_no_more_than_the_text() -> None:
    made = label_gate("gion'|location'", ("location'", 0.9))
    made.end()
    assert made.shown(made.text)[0] == len("location'")


def test_gate_adds_no_closing_quote_that_does_not_fit() -> None:
    made = label_gate("gion'|location'", ("location", 0.9), ("']", 0.1), fits=lambda text: "'" not in text)
    assert shown(made) == ""


def test_gate_shows_prose_with_apostrophes() -> None:
    made = Product(CursorFeatures("We don't"), 0.5, is_python=False)
    for piece in (" need", " the", " table", "\n"):
        made.add(piece, 0.99)
    assert shown(made) == " need the table"


def test_gate_scans_a_long_line_once() -> None:
    operations = Operations()
    with counted_operations(operations):
        made = Product(CursorFeatures(f"x = [{'1, ' * 5_000}"), 0.01)
        for _ in range(20):
            made.add(" quantity,", 0.99)
            assert shown(made) == ""
    assert operations.count < 2 * 15_000


def test_gate_shows_further_lines_after_a_space_at_the_end_of_a_line() -> None:
    assert shown_of([("a = 1", 0.9), (" \n", 0.9), ("b = 2", 0.9), ("\n", 0.9)], 0.0) == "a = 1 \nb = 2"


@pytest.mark.parametrize("tail", [" =", " ==", " +", " -", " in", " not", ",", " if", "; return"])
def test_gate_ends_before_a_sign_or_word_that_needs_an_operand(tail: str) -> None:
    written = [("quantity", 0.95), (tail, 0.95), (" total", 0.4)]
    assert shown_of(written) == "quantity"
    assert shown_of([*written[:2], (" total", 0.9), ("\n", 1.0)]) == f"quantity{tail} total"
    assert shown_of([("return", 0.95), ("\n", 0.9)]) == "return"


def test_gate_may_end_with_a_name_whose_end_is_a_keyword() -> None:
    made = Product(CursorFeatures("x = begin_"), 0.5)
    for piece, probability in [("values_in", 0.95), (" +", 0.2)]:
        made.add(piece, probability)
    assert shown(made) == "values_in"
    made = Product(CursorFeatures("x = y if z els"), 0.5)
    for piece, probability in [("e total is not", 0.95), (" None", 0.2)]:
        made.add(piece, probability)
    assert shown(made) == ""


def test_gate_may_end_with_any_word_in_a_comment_and_before_other_text() -> None:
    assert shown_of([("# the values", 0.95), (" in", 0.95), (" x", 0.2)]) == "# the values in"
    made = Product(CursorFeatures(rest=" total"), 0.5)
    for piece in ("quantity", " +", " total"):
        made.add(piece, 0.95 if piece != " total" else 0.1)
    assert shown(made) == "quantity +"


@pytest.mark.parametrize(
    ("tokens", "rest", "text", "opens"),
    [
        ([("quantity", 0.9), ("(", 0.9), ("b", 0.1)], "", "quantity", "("),
        ([("quantity", 0.9), ('("', 0.9), ("b", 0.1)], "", "quantity", '("'),
        ([("quantity", 0.9), ("[", 0.9), ("'", 0.3), ("b", 0.3)], "", "quantity", "["),
        ([("quantity", 0.9), ("()", 0.9), (".x", 0.3)], "", "quantity()", ""),
        ([("quantity", 0.9), ("(", 0.4), ("b", 0.1)], "", "quantity", ""),
        ([("quantity", 0.9), ("(", 0.9), ("b", 0.1)], " + 1", "quantity(", ""),
        ([("quantity", 0.9), (" (", 0.9), ("b", 0.1)], "", "quantity", ""),
        ([("quantity", 0.9), ("('')", 0.9), (".x", 0.1)], "", "quantity('')", ""),
        ([("# quantity", 0.9), ("(", 0.9), ("b", 0.1)], "", "# quantity(", ""),
    ],
)
def test_opening_is_the_bracket_that_very_probably_follows(
    tokens: Written, rest: str, text: str, opens: str
) -> None:
    made = Product(CursorFeatures(rest=rest), 0.5)
    for piece, probability in tokens:
        made.add(piece, probability)
    assert (shown(made), made.opening(len(text))) == (text, opens)


@pytest.mark.parametrize("token", ["(", "()", "(b", "['"])
def test_opening_counts_all_tokens_that_begin_with_it(token: str) -> None:
    made = Product(CursorFeatures(), 0.5)
    made.add("quantity", 0.9)
    made.add(token, 0.3, 0.9)
    assert (shown(made), made.opening(len("quantity"))) == ("quantity", token[0])


@pytest.mark.parametrize(
    ("rest", "fitting", "opens"), [("", "(", "("), (")", "()", "("), (")", "(", ""), ("", "[", "")]
)
def test_opening_must_fit_the_cell(rest: str, fitting: str, opens: str) -> None:
    made = Product(CursorFeatures(rest=rest), 0.5, Fitting(lambda text: text.endswith(("y", f"y{fitting}"))))
    for piece, probability in [("quantity", 0.9), ("(", 0.9), ("b", 0.1)]:
        made.add(piece, probability)
    assert made.opening(len("quantity")) == opens
