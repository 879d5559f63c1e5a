from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.llama.gbnf import parse
from jupyter_turbopilot.engine.remote.beginning_grammar import among, grammar_for
from jupyter_turbopilot.generation import Beginning, Token

from ..llama.test_gbnf import accepts

LETTERS = st.sampled_from('ab"\\\n]é漢😀\u0800\ud7ff\U0010ffff')


@given(st.data(), st.lists(st.text(LETTERS, min_size=1, max_size=3), min_size=1, max_size=3))
def test_a_text_is_accepted_if_its_bytes_begin_in_one_of_the_ways(
    data: st.DataObject, texts: list[str]
) -> None:
    ways = tuple(text.encode()[: data.draw(st.integers(1, len(text.encode())))] for text in texts)
    grammar = parse(grammar_for(Beginning(ways)))
    for text in [*texts, texts[0] + "a", data.draw(st.text(LETTERS, max_size=4))]:
        assert accepts(grammar, text) == text.encode().startswith(ways)


def test_a_banned_token_is_the_only_one_that_may_not_be_first() -> None:
    assert grammar_for(Beginning(banned=7)) == "root ::= !<[7]> .*"
    assert parse(grammar_for(Beginning(banned=7)))
    assert grammar_for(Beginning()) == ""


PIECES = [b"", b"wo", b"world", b"x", b"word"]


def piece(token: int) -> bytes:
    return PIECES[token]


def token(of: int, *top: tuple[int, float]) -> Token:
    return Token(PIECES[of], 0.25, of, tuple((other, math.log(chance)) for other, chance in top))


def test_a_token_is_as_probable_as_it_is_among_those_that_fit() -> None:
    told = token(1, (3, 0.4), (1, 0.25), (2, 0.25), (0, 0.05), (99, 0.01))
    assert among(told, (b"wor",), piece) == pytest.approx(0.5)
    assert among(token(2), (b"world",), piece) == 1.0


@given(st.floats(0, 1), st.lists(st.tuples(st.integers(-1, 9), st.floats(-40, 0)), max_size=5))
@example(0.0, [])
def test_a_probability_stays_one(chance: float, top: list[tuple[int, float]]) -> None:
    assert 0 <= among(Token(b"wo", chance, 1, tuple(top)), (b"word",), piece) <= 1
