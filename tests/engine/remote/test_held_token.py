from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.remote.held_token import FREE, LISTED, after, ask_for_one, held_token
from jupyter_turbopilot.engine.vocabulary import CodePoints
from jupyter_turbopilot.generation import Ask, Beginning, Sampling, Token

PIECES = [b"", b"wo", b"world", b"x", b"word", b"\xa4"]


class Words(CodePoints):
    """A vocabulary of a few words."""

    def piece(self, token: int) -> bytes:
        return PIECES[token]

    def tokenize(self, text: str, *, behind: bool = False) -> list[int]:
        assert behind
        return [PIECES.index(text.encode())] if text.encode() in PIECES else []


WORDS = Words()
chances = st.dictionaries(st.integers(0, 9), st.floats(0.001, 0.09), max_size=9)


def listing(chances: dict[int, float], of: int = 3) -> Token:
    top = tuple((token, math.log(chance)) for token, chance in chances.items())
    return Token(PIECES[of], chances.get(of, 0.1), of, top)


def test_the_likeliest_that_fits_is_as_probable_as_among_those_that_may_follow() -> None:
    token = held_token(Beginning((b"wor",)), listing({3: 0.4, 1: 0.1, 2: 0.3, 0: 0.2}), WORDS)
    assert token is not None
    assert (token.data, token.id) == (b"world", 2)
    assert token.probability == pytest.approx(0.75)


def test_what_is_not_listed_counts_as_if_it_could_follow() -> None:
    token = held_token(Beginning((b"wor",)), listing({3: 0.5, 2: 0.1}), WORDS)
    assert token is not None
    assert token.probability == pytest.approx(0.2)  # 0.4 is not listed


@given(chances, st.sampled_from([(b"wor",), (b"x", b"wo"), (b"\xa4",), (b"none",)]), st.integers(0, 4))
def test_only_what_fits_is_taken_and_never_what_is_banned(
    chances: dict[int, float], ways: tuple[bytes, ...], banned: int
) -> None:
    token = held_token(Beginning(ways, banned=banned), listing(chances), WORDS)
    if token:
        assert token.id != banned
        assert token.data
        assert any(way.startswith(token.data) or token.data.startswith(way) for way in ways)
        assert 0 <= token.probability <= 1


def test_where_nothing_listed_fits_a_token_of_the_way_is_taken_of_which_nothing_is_known() -> None:
    token = held_token(Beginning((b"y", b"word")), listing({3: 0.9}), WORDS)
    assert token is not None
    assert (token.data, token.probability) == (b"word", 0.0)
    assert held_token(Beginning((b"word",)), None, WORDS) == Token(b"word", 0.0, 4)
    assert held_token(Beginning((b"y", b"\xa4")), None, WORDS) is None


def test_beside_a_banned_token_the_far_side_chooses() -> None:
    sampling = Sampling(9, temperature=0.5, logit_bias=((3, 1.0),), beginning=Beginning(banned=7))
    one = ask_for_one(Ask((1,), sampling, hint=(2,))).sampling
    assert (one.max_tokens, one.temperature, one.beginning, one.top) == (1, 0.5, FREE, LISTED)
    assert one.logit_bias == ((3, 1.0), (7, -1e9))
    token = held_token(sampling.beginning, listing({7: 0.5, 3: 0.25}), WORDS)
    assert token is not None
    assert (token.id, token.probability) == (3, pytest.approx(0.5))
    assert held_token(sampling.beginning, None, WORDS) is None


def test_a_list_is_asked_for_whatever_else_is_wanted() -> None:
    ask = Ask((1,), Sampling(9, temperature=0.5, beginning=Beginning((b"x",)), cached=False), hint=(2,))
    one = ask_for_one(ask)
    assert (one.prompt, one.hint) == ((1,), ())
    assert one.sampling == Sampling(1, top=LISTED, ignore_end=True, cached=False)


def test_what_is_left_goes_on_behind_the_token() -> None:
    ask = Ask((1,), Sampling(9, beginning=Beginning((b"world!", b"x"), typed=3)), hint=(1, 2))
    left = after(ask, Token(b"wo", 0.5, 1))
    assert (left.prompt, left.hint, left.sampling.max_tokens) == ([1, 1], (2,), 8)
    assert left.sampling.beginning == Beginning((b"rld!",), 1)
    free = after(ask, Token(b"x", 0.5, 3))
    assert (free.hint, free.sampling.beginning.ways) == ((), ())
    assert after(Ask((1,), Sampling(2, beginning=Beginning(banned=3))), Token(b"wo", 0.5, 1)).hint == ()
