from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turbopilot_research.evaluate.scoring import Judgement, Score, Tally, interval, judge


@pytest.mark.parametrize(
    ("text", "future", "taken", "right", "wrong"),
    [
        ("value + 1", "value + 1\nmore", 9, 1, 0),
        ("value", "value + 1", 5, 1, 0),  # a correct prefix
        ("val", "value", 0, 0, 1),  # too short to be worth a keystroke
        ("x)", "x)\nmore", 2, 1, 0),  # short, but it completes the line
        ("value + 2", "value + 1", 0, 0, 1),
        ("\n    return x", "\n    return x\n", 13, 1, 0),  # the first non-blank line
        ("first\nsecond", "first\nsecond\nthird", 12, 1, 0),
        ("first\nother", "first\nsecond", 5, 1, 1),  # a wrong second line counts as wrong
        ("first\nother\nthird", "first\nsecond\nthird", 5, 1, 2),
        ("first\nsec", "first\nsecond", 5, 1, 1),
        ("   ", "x", 0, 0, 1),
    ],
)
def test_judge_accepts_suggestions_that_match_the_following_text(
    text: str, future: str, taken: int, right: int, wrong: int
) -> None:
    assert judge(text, future) == Judgement(taken, right, wrong)


def test_judge_accepts_a_partly_correct_suggestion_line_by_line() -> None:
    assert judge("one = 1\ntwo = 2\n3", "one = 1\ntwo = 2\nx").pressed == 2
    assert judge("one = 1\ntwo = 2", "one = 1\ntwo = 2\nx").pressed == 1


@given(st.text("ab(\n ", max_size=30), st.text("ab(\n ", max_size=30))
def test_judge_accepts_only_text_at_the_cursor(text: str, future: str) -> None:
    verdict = judge(text, future)
    assert future.startswith(text[: verdict.taken])
    assert verdict.right <= 1


def test_score_counts_a_suggestion_that_is_typed_along_once() -> None:
    score = Score()
    score.show(0, 0, "", "wrong_name", "right")
    score.show(0, 2, "", "ong_name", "ght")
    assert score.total.shown == 1
    score.show(0, 4, "", "other", "t")
    assert score.total.shown == 2


def test_score_saves_accepted_characters_minus_one_keystroke() -> None:
    score = Score()
    score.show(0, 3, "x =", " value", " value\n")
    score.typed(10, 4)
    assert score.covered(0) == 9
    assert score.total.share_saved == 0.5
    assert score.total.precision == 1.0
    assert score.total.per_hundred == 25.0


def test_score_counts_statements_and_open_brackets() -> None:
    score = Score()
    future = "plt.plot(x,\n    y)\nz = 1\n"
    score.show(0, 0, "", "plt.plot(", future)
    score.show(0, 9, "plt.plot(", "x,\n    y)", future[9:])
    score.show(0, 18, "", "\nz = 1", future[18:])
    total = score.total
    assert (total.right, total.statements, total.finished, total.closed) == (3, 2, 2, 3)
    assert (total.length, total.tabs) == (8.0, 1.5)


def test_score_counts_a_call_over_several_lines_as_one_statement() -> None:
    score = Score()
    cell = "plt.plot(first,\n    second,\n    third)\nz = 1\n"
    for place, text in ((9, "first"), (20, "second"), (32, "third")):
        score.show(0, place, cell[:place], text, cell[place:])
    total = score.total
    assert (total.right, total.statements, total.finished) == (3, 1, 0)


def test_net_subtracts_the_cost_of_reading() -> None:
    tally = Tally(typed=100, saved=40, shown=5, grown=1)
    assert (tally.net(), tally.net(1)) == (0.16, 0.34)


def test_judge_accepts_a_call_over_several_lines_as_one() -> None:
    assert judge("f(a,\n  b)", "f(a,\n  b)\nc") == Judgement(9, 1, 0)
    assert judge("a,\n  c)", "a,\n  b)\nc", "f(") == Judgement(0, 0, 1)


def test_interval_contains_the_value_and_widens_with_variance() -> None:
    equal = [Tally(typed=100, saved=20)] * 10
    unequal = [Tally(typed=100, saved=0), Tally(typed=100, saved=40)] * 5
    assert interval(equal, lambda t: t.share_saved) == (0.2, 0.2)
    low, high = interval(unequal, lambda t: t.share_saved)
    assert low < 0.2 < high
