"""Reuse of the previous request's text by an editor's next request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.completer.cache.completion_cache import CacheKey
from jupyter_turbopilot.completer.plan import Admission, Plan
from jupyter_turbopilot.completer.suggestion_plan import plan_suggestion
from jupyter_turbopilot.completer.text import Remainder, Text, remainder_after, typed_since
from jupyter_turbopilot.protocol.engine_request import EngineRequest, PrefixConstraint, Sampling, Token
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.suggestion.writing import Verbatim

from .desk import request

HERE = CacheKey("g", "x = ")


def written_text(*texts: str) -> Text:
    writing = Verbatim()
    writing.take([Token(text.encode(), 0.9) for text in texts])
    return Text(HERE, writing, EngineRequest([1, 2]), ids=[*range(len(texts))])


def plan(source: str, tenant: str = "", **more: object) -> Plan:
    return plan_suggestion(request(source, **more), "model", Turbopilot(), Admission(tenant=tenant))


@pytest.mark.parametrize(
    ("typed", "continues"),
    [("", True), ("al", True), ("alpha", True), ("alpha b", True), ("b", False), ("alpha" + "b" * 40, False)],
)
def test_text_is_continued_if_the_typed_text_agrees(typed: str, continues: bool) -> None:
    text = written_text("al", "pha")
    text.cache_key = plan("x = ").cache_key
    newer = plan("x = " + typed)
    assert text.is_continued_by(newer, newer.cache_key, text.remainder(newer.cache_key), ()) is continues


def test_text_is_continued_after_the_user_has_typed_all_of_it() -> None:
    text = written_text("alpha")
    text.cache_key, text.writing = plan("x = alpha").cache_key, Verbatim()
    newer = plan("x = alphab")
    assert text.is_continued_by(newer, newer.cache_key, text.remainder(newer.cache_key), ())


@pytest.mark.parametrize(
    "other",
    [
        {"n": 2},
        {"temperature": 0.8},
        {"max_tokens": 3},
        {"path": "b.ipynb"},
        {"trigger": "automatic"},
        {"tenant": "another"},
    ],
)
def test_text_is_not_continued_by_another_kind_of_request(other: dict[str, object]) -> None:
    text = written_text("al", "pha")
    text.cache_key = plan("x = ").cache_key
    newer = plan("x = al", **other)  # type: ignore[arg-type]
    assert not text.is_continued_by(newer, newer.cache_key, text.remainder(newer.cache_key), ())


@pytest.mark.parametrize(
    ("names", "constrained", "continues"),
    [
        ((), False, True),
        (("alpha",), False, True),
        (("alphabet",), False, False),
        (("alphabet",), True, True),
        (("beta",), True, False),
    ],
)
def test_text_is_continued_if_it_can_become_one_of_the_names(
    names: tuple[str, ...], constrained: bool, continues: bool
) -> None:
    text = written_text("al", "pha")
    text.cache_key = plan("x = ").cache_key
    candidates = (b"alphabet",) if constrained else ()
    text.engine_request = EngineRequest([1, 2], Sampling(beginning=PrefixConstraint(candidates)))
    newer = plan("x = ")
    assert text.is_continued_by(newer, newer.cache_key, text.remainder(newer.cache_key), names) is continues


texts = st.text(max_size=12)
pieces = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=8)


def tokens(*pieces: str) -> list[Token]:
    return [Token(piece.encode(), 0.5, number) for number, piece in enumerate(pieces)]


def text(found: Remainder) -> str:
    return b"".join(token.data for token in found.tokens).decode()


@given(texts, texts)
def test_typed_since_returns_the_added_text(before: str, typed: str) -> None:
    assert typed_since(CacheKey("g", before), CacheKey("g", before + typed)) == typed


@given(texts, texts)
def test_typed_since_returns_none_for_another_text(before: str, other: str) -> None:
    found = typed_since(CacheKey("g", before), CacheKey("g", other))
    assert (found is None) == (not other.startswith(before))


@given(pieces, st.data())
def test_remainder_after_removes_the_typed_text(pieces: list[str], data: st.DataObject) -> None:
    whole = "".join(pieces)
    typed = whole[: data.draw(st.integers(0, len(whole)))]
    remainder = remainder_after(tokens(*pieces), typed.encode())
    assert remainder is not None
    assert typed + text(remainder) == whole
    assert remainder.typed_ahead == b""
    assert [token.id for token in remainder.tokens] == list(range(len(pieces)))[
        len(pieces) - len(remainder.tokens) :
    ]
    assert remainder.aligned == (
        not remainder.tokens or remainder.tokens[0].data.decode() == pieces[remainder.tokens[0].id]
    )


@given(pieces, texts)
def test_remainder_after_returns_text_typed_ahead(pieces: list[str], more: str) -> None:
    remainder = remainder_after(tokens(*pieces), ("".join(pieces) + more).encode())
    assert remainder == Remainder((), typed_ahead=more.encode())


@given(pieces, texts)
def test_remainder_after_returns_none_for_contradicting_text(pieces: list[str], typed: str) -> None:
    whole = "".join(pieces)
    agrees = whole.startswith(typed) or typed.startswith(whole)
    assert (remainder_after(tokens(*pieces), typed.encode()) is not None) == agrees


def test_remainder_after_handles_a_character_of_several_tokens() -> None:
    halves = [Token("é".encode()[:1], 0.9), Token("é".encode()[1:], 0.9), Token(b"t", 0.9)]
    remainder = remainder_after(halves, "é".encode())
    assert remainder is not None
    assert text(remainder) == "t"
