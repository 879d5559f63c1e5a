from __future__ import annotations

from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.completer.results_file.row import Row, answer_of, row_of
from jupyter_turbopilot.generation import Token
from jupyter_turbopilot.suggestion.cache import Answer, Place, Results

from .answers import answers

TOKENS = st.lists(
    st.builds(Token, st.binary(min_size=1, max_size=5), st.floats(0, 1), st.integers(-1, 1 << 18))
)


@given(TOKENS, st.tuples(st.integers(), st.booleans()), st.booleans())
def test_an_answer_comes_back_as_it_was(tokens: list[Token], limit: object, ended: bool) -> None:
    kept: list[Answer] = []
    Results(1 << 24, kept.append).remember(Place("g", "x ", limit=limit, lasts=True), tokens, ended=ended)  # type: ignore[arg-type]
    for answer in kept:
        back = answer_of(row_of(answer))
        assert back is not None
        assert vars(back) | {"text": back.text} == vars(answer) | {"text": answer.text}
    assert kept


@given(st.data())
def test_a_row_of_which_a_byte_has_changed_is_no_answer(data: st.DataObject) -> None:
    (answer,) = answers([1])
    row = row_of(answer)
    field = data.draw(st.sampled_from(Row._fields))
    content = bytearray(getattr(row, field))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    assert answer_of(row._replace(**{field: bytes(content)})) is None


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_neither_is_one_that_was_not_written_as_rows_are(keys: bytes, written: bytes) -> None:
    (answer,) = answers([1])
    row = row_of(answer)
    signed = row_of(Answer((keys,), answer.tokens, "", ended=True))  # its digest is right, its keys are not
    assert answer_of(signed) is None
    assert answer_of(row._replace(answer=written)) is None


def test_it_is_json_that_holds_neither_the_text_around_the_cursor_nor_what_was_asked_for() -> None:
    (answer,) = answers([77])
    written = msgspec.json.decode(row_of(answer).answer)
    assert written == [
        [[token.data.decode(), token.probability, 77] for token in answer.tokens],
        "(48, True, 0.5)",
        False,
    ]


@given(
    st.floats().filter(lambda chance: not 0 <= chance <= 1.001) | st.just(0.5),
    st.integers(-(1 << 63), (1 << 63) - 1).filter(lambda number: not -1 <= number < 1 << 31),
)
def test_neither_is_one_with_an_impossible_probability_or_token(chance: float, number: int) -> None:
    (answer,) = answers([1])
    for token in (Token(b"a", 0.5, number), Token(b"a", chance, number if chance == 0.5 else 1)):
        assert answer_of(row_of(replace(answer, tokens=(token, *answer.tokens[1:])))) is None
