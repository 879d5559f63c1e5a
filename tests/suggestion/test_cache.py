from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.generation import Token
from jupyter_turbopilot.suggestion import cache
from jupyter_turbopilot.suggestion.cache import TAIL, Place, Results

if TYPE_CHECKING:
    import pytest


def tokens(*texts: str) -> list[Token]:
    return [Token(text.encode(), 0.9) for text in texts]


def text(found: tuple[Token, ...]) -> str:
    return b"".join(token.data for token in found).decode()


def test_the_same_place_gets_the_same_answer() -> None:
    results = Results(1 << 20)
    results.remember(Place("g", "x = "), tokens("a", " + b"), ended=True)
    found = results.find(Place("g", "x = "))
    assert found is not None
    assert (text(found.tokens), found.complete) == ("a + b", True)


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=8), st.text(max_size=50))
def test_typing_along_an_answer_leaves_its_rest(pieces: list[str], before: str) -> None:
    results = Results(1 << 20)
    whole = "".join(pieces)
    results.remember(Place("g", before), tokens(*pieces), ended=True)
    for offset in range(len(whole)):
        found = results.find(Place("g", before + whole[:offset]))
        assert found is not None
        assert text(found.tokens) == found.text == whole[offset:]


def test_typing_something_else_is_not_known() -> None:
    results = Results(1 << 20)
    results.remember(Place("g", "x = "), tokens("alpha"), ended=True)
    assert results.find(Place("g", "x = b")) is None
    assert results.find(Place("g", "y = ")) is None
    assert results.find(Place("h", "x = ")) is None


def test_lines_that_scroll_away_above_do_not_matter() -> None:
    results = Results(1 << 20)
    near = "n" * TAIL
    results.remember(Place("g", "first lines\n" + near), tokens("answer"), ended=True)
    for before in (near, near + "ans"):
        assert results.find(Place("g", before)) is not None


def test_an_answer_cut_short_is_an_answer_at_its_own_place_and_limit_alone() -> None:
    results = Results(1 << 20)
    results.remember(Place("g", "x", limit=8), tokens("abc", "def"), ended=False)
    same, longer, along = (
        results.find(place) for place in (Place("g", "x", 8), Place("g", "x", 32), Place("g", "xab", 8))
    )
    assert same is not None
    assert longer is not None
    assert along is not None
    assert [same.complete, longer.complete, along.complete] == [True, False, False]
    assert along.text == "cdef"


def test_it_is_told_whether_a_rest_begins_where_a_token_began() -> None:
    results = Results(1 << 20)
    results.remember(Place("g", "x"), tokens("abc", "def"), ended=True)
    inside, between = results.find(Place("g", "xab")), results.find(Place("g", "xabc"))
    assert inside is not None
    assert between is not None
    assert (inside.aligned, between.aligned) == (False, True)


def test_that_nothing_follows_is_known_too() -> None:
    results = Results(1 << 20)
    results.remember(Place("g", "x = 1"), [], ended=True)
    found = results.find(Place("g", "x = 1"))
    assert found is not None
    assert (found.tokens, found.complete) == ((), True)


def test_the_newer_answer_stands() -> None:
    results = Results(1 << 20)
    results.remember(Place("g", "x"), tokens("abc"), ended=True)
    results.remember(Place("g", "xa"), tokens("zzz"), ended=True)
    found = results.find(Place("g", "xa"))
    assert found is not None
    assert found.text == "zzz"


@given(st.lists(st.text(min_size=1, max_size=200), max_size=30))
def test_what_is_remembered_is_bounded_and_the_oldest_goes_first(answers: list[str]) -> None:
    results = Results(60_000)
    for number, answer in enumerate(answers):
        results.remember(Place(number, "x" * 100), tokens(answer), ended=True)
    assert results.size <= 60_000
    if answers:
        assert results.find(Place(len(answers) - 1, "x" * 100)) is not None


def test_nothing_is_remembered_where_nobody_wants_it() -> None:
    results = Results(0)
    results.remember(Place("g", "x"), tokens("a"), ended=True)
    assert results.find(Place("g", "x")) is None


def test_what_else_was_likely_is_not_kept() -> None:
    results = Results(1 << 20)
    results.remember(Place("g", "x = "), [Token(b"a", 0.9, 1, ((1, -0.1), (2, -2.0)))], ended=True)
    found = results.find(Place("g", "x = "))
    assert found is not None
    assert found.tokens == (Token(b"a", 0.9, 1),)


def test_a_guess_takes_no_answers_place_but_another_guess_does() -> None:
    results = Results(1 << 20)
    results.remember(Place("g", "x = a", 8), tokens("pple"), ended=True)
    results.remember(Place("g", "x = ", 8), tokens("apple", " pie"), ended=False, guess=True)
    answer, guess = results.find(Place("g", "x = a", 8)), results.find(Place("g", "x = ", 8))
    assert answer is not None
    assert (text(answer.tokens), answer.complete) == ("pple", True)
    assert guess is not None
    assert (text(guess.tokens), guess.complete) == ("apple pie", False)
    results.remember(Place("g", "x = ", 8), tokens("avocado"), ended=False, guess=True)
    newer = results.find(Place("g", "x = a", 8)), results.find(Place("g", "x = ", 8))
    assert [text(found.tokens) for found in newer if found] == ["pple", "avocado"]


def test_nothing_is_known_once_all_is_forgotten() -> None:
    results = Results(1 << 20)
    results.remember(Place("g", "x = "), tokens("alpha", " + beta"), ended=True)
    results.clear()
    assert (results.find(Place("g", "x = ")), results.find(Place("g", "x = alpha")), results.size) == (
        None,
        None,
        0,
    )
    results.remember(Place("g", "x = "), tokens("gamma"), ended=True)
    found = results.find(Place("g", "x = g"))
    assert found is not None
    assert text(found.tokens) == "amma"


def test_another_text_with_the_same_hash_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_key", lambda *_: 1)
    results = Results(1 << 20)
    results.remember(Place("g", "x"), tokens("a"), ended=True)
    assert results.find(Place("g", "x")) is not None
    assert results.find(Place("g", "y")) is None


def room_for(*answers: tuple[str, str]) -> int:
    results = Results(1 << 20)
    for before, answer in answers:
        results.remember(Place("g", before), tokens(answer), ended=True)
    return results.size


def test_what_was_used_last_is_forgotten_last() -> None:
    results = Results(room_for(("x", "a"), ("y", "b")))
    for before, answer in (("x", "a"), ("y", "b")):
        results.remember(Place("g", before), tokens(answer), ended=True)
    assert results.find(Place("g", "x")) is not None
    results.remember(Place("g", "z"), tokens("c"), ended=True)
    assert results.find(Place("g", "x")) is not None
    assert results.find(Place("g", "y")) is None


def test_forgetting_an_older_answer_leaves_the_newer_one_at_the_same_place() -> None:
    both = (("x", "abc"), ("xa", "zzz"))
    results = Results(room_for(*both))
    for before, answer in (*both, ("y", "b")):
        results.remember(Place("g", before), tokens(answer), ended=True)
    assert results.find(Place("g", "x")) is None
    newer = results.find(Place("g", "xa"))
    assert newer is not None
    assert newer.text == "zzz"
