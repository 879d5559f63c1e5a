import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.plugins.protocols.deltas import (
    Delta,
    Deltas,
    placed_tokens,
    probabilities,
    token_text,
)
from jupyter_turbopilot.protocol.engine_request import Token
from jupyter_turbopilot.protocol.reply import Item, Reply


def tokens(*pieces: bytes) -> tuple[Token, ...]:
    return tuple(Token(piece, 0.5, number) for number, piece in enumerate(pieces))


def item(text: str, reason: str = "streaming", index: int = 0, *pieces: bytes) -> Item:
    return Item(text, 0.5, reason, index, tokens=tokens(*pieces))


def reply(*items: Item) -> Reply:
    return Reply("id", "tiny", items)


@st.composite
def growing_texts(draw: st.DrawFn) -> tuple[str, list[Item]]:
    """Generate replies with growing texts of several tokens, and the last reply."""
    pieces = draw(st.lists(st.text("aé😀", min_size=1).map(str.encode), max_size=6))
    text = b"".join(pieces).decode()
    lengths = sorted(draw(st.lists(st.integers(0, len(pieces)), max_size=5)))
    shown = [item(b"".join(pieces[:length]).decode(), "streaming", 0, *pieces[:length]) for length in lengths]
    return text, [*shown, item(text, "stop", 0, *pieces)]


@given(growing_texts())
def test_deltas_join_to_the_text_and_contain_each_token_once(case: tuple[str, list[Item]]) -> None:
    text, items = case
    deltas = Deltas()
    sent: list[Delta] = [delta for each in items for delta in deltas.of(reply(each))]
    assert "".join(delta.text for delta in sent) == text
    placed = [token for delta in sent for token in delta.tokens]
    assert placed == placed_tokens(items[-1])
    assert [delta.last for delta in sent] == [False] * (len(sent) - 1) + [True]


@given(growing_texts())
def test_token_offset_is_the_end_of_the_previous_token(case: tuple[str, list[Item]]) -> None:
    text, items = case
    placed = placed_tokens(items[-1])
    assert "".join(token.text for token in placed) == text
    for before, after in pairwise(placed):
        assert before.offset + len(before.text) == after.offset


def test_unchanged_items_and_ended_items_yield_no_delta() -> None:
    deltas = Deltas()
    assert [delta.text for delta in deltas.of(reply(item("a")))] == ["a"]
    assert list(deltas.of(reply(item("a")))) == []
    assert [(delta.text, delta.last) for delta in deltas.of(reply(item("a", "stop")))] == [("", True)]
    assert list(deltas.of(reply(item("a", "stop")))) == []


@given(st.binary(max_size=4), st.binary(max_size=4))
def test_token_text_is_unique_per_token(first: bytes, second: bytes) -> None:
    assert (token_text(first) == token_text(second)) == (first == second)


def test_token_text_escapes_invalid_utf8_like_openai() -> None:
    assert token_text(b"\xc3") == "bytes:\\xc3"


@pytest.mark.parametrize(
    ("drawn", "value", "rivals", "expected"),
    [(False, "logprob", "top_logprobs", math.log(0.5)), (True, "prob", "top_probs", 0.5)],
)
def test_probabilities_are_logprobs_only_before_the_samplers(
    drawn: bool, value: str, rivals: str, expected: float
) -> None:
    whole = Item("a", 0.5, "stop", tokens=(Token(b"a", 0.5, 97, ((97, math.log(0.5)), (98, -3.0))),))
    (entry,) = probabilities(placed_tokens(whole), lambda token: chr(token).encode(), drawn=drawn)
    assert (entry["id"], entry["token"], entry["bytes"]) == (97, "a", [97])
    assert entry[value] == pytest.approx(expected)
    assert [rival["token"] for rival in entry[rivals]] == ["a", "b"]
    assert entry[rivals][1][value] == pytest.approx(math.exp(-3.0) if drawn else -3.0)
