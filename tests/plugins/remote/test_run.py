import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.plugins.remote.dialect import EventContent
from jupyter_turbopilot.plugins.remote.run import ANY, RemoteResponse, RemoteRun
from jupyter_turbopilot.plugins.remote.vocabulary import CodePoints
from jupyter_turbopilot.protocol.engine_request import EngineRequest, PrefixConstraint, Sampling, Token


def tokens(text: str) -> list[Token]:
    return [Token(character.encode(), 0.5, ord(character)) for character in text]


def run_of(limit: int = 8, beginning: PrefixConstraint = ANY, hint: tuple[int, ...] = ()) -> RemoteRun:
    engine_request = EngineRequest((1, 2), Sampling(limit, beginning=beginning), hint=hint)
    return RemoteRun(engine_request, limit, beginning, answer=RemoteResponse(limit))


def text_of(run: RemoteRun) -> bytes:
    return b"".join(token.data for token in run.fresh)


@given(st.lists(st.text("ab", max_size=4), max_size=6), st.integers(1, 8))
def test_take_stops_at_the_limit(pieces: list[str], limit: int) -> None:
    run = run_of(limit)
    for piece in pieces:
        enough = run.answer.receive(EventContent(tokens(piece)))
        run.take()
        if enough:
            break
    assert text_of(run) == "".join(pieces).encode()[:limit]
    assert run.done == (len("".join(pieces)) >= limit)
    assert run.request.usage.predicted_tokens == len(run.written)


@given(st.text("ab", min_size=1, max_size=6), st.integers(0, 6))
def test_take_omits_typed_text(text: str, typed: int) -> None:
    typed = min(typed, len(text))
    run = run_of(beginning=PrefixConstraint((text[: max(1, typed)].encode(),), typed))
    run.answer.receive(EventContent(tokens(text), ended=True))
    run.take()
    assert text_of(run) == text[typed:].encode()
    assert [token.probability for token in run.fresh[:typed]] == [1.0] * typed
    assert run.done


def test_take_fails_if_the_text_violates_the_constraint() -> None:
    run = run_of(beginning=PrefixConstraint((b"print",), 2))
    run.answer.receive(EventContent(tokens("xy")))
    run.take()
    assert run.error
    assert text_of(run) == b""


def test_take_cuts_a_text_that_violates_the_constraint_later() -> None:
    run = run_of(beginning=PrefixConstraint((b"abc",), 1))
    run.answer.receive(EventContent(tokens("abx")))
    run.take()
    assert (text_of(run), run.done, run.error) == (b"b", True, None)
    assert run.request.usage.cut


def test_left_returns_the_ask_for_the_rest() -> None:
    run = run_of(5, PrefixConstraint((b"abc", b"abd"), 1), hint=(97, 98, 99, 100))
    assert run.left().sampling.max_tokens == 5
    run.answer.receive(EventContent(tokens("ab")))
    run.take()
    left = run.left()
    assert (left.prompt, left.hint) == ([1, 2, 97, 98], [99, 100])
    assert (left.sampling.max_tokens, left.sampling.beginning) == (3, PrefixConstraint((b"c", b"d")))
    run = run_of(hint=(1, 2))
    run.answer.receive(EventContent(tokens("a")))
    run.take()
    assert run.left().hint == []


def test_pending_is_the_prompt_until_the_first_token() -> None:
    run = run_of()
    assert (run.pending, run.news) == (2, False)
    run.answer.receive(EventContent(tokens("a"), cached=1))
    assert run.news
    run.take()
    assert (run.pending, run.request.usage.cached_tokens) == (1, 1)


@given(st.integers(0, 6), st.integers(0, 6), st.booleans())
def test_usage_reports_a_cut_before_the_limit(count: int, limit: int, reported: bool) -> None:
    run = run_of(limit)
    run.answer.receive(EventContent(tokens("a" * count), ended=True, cut=reported))
    run.take()
    assert run.done
    assert run.request.usage.cut == (reported and count < limit)


def test_usage_reports_no_cut_after_the_end() -> None:
    run = run_of()
    run.answer.receive(EventContent(tokens("a"), ended=True))
    assert run.answer.receive(EventContent(tokens("b"), ended=True, cut=True))
    run.take()
    assert (text_of(run), run.request.usage.cut) == (b"a", False)


PIECES = [b"", b"wo", b"world", b"x", b"word", b"\xa4"]


class Words(CodePoints):
    """A vocabulary of a few words."""

    def piece(self, token: int) -> bytes:
        return PIECES[token]


def probability(beginning: PrefixConstraint, of: int, chances: dict[int, float]) -> float:
    """Return the probability of a token that the server lists with others."""
    run = run_of(beginning=beginning)
    run.vocabulary = Words()
    top = tuple((token, math.log(chance)) for token, chance in chances.items())
    run.answer.receive(EventContent([Token(PIECES[of], chances[of], of, top)]))
    run.take()
    return run.fresh[0].probability


def test_probability_is_relative_to_allowed_tokens() -> None:
    assert probability(PrefixConstraint((b"wor",)), 2, {3: 0.4, 1: 0.1, 2: 0.3, 0: 0.2}) == pytest.approx(
        0.75
    )
    assert probability(PrefixConstraint(banned=1), 3, {1: 0.5, 3: 0.25}) == pytest.approx(0.5)
    assert probability(ANY, 3, {1: 0.5, 3: 0.25}) == pytest.approx(0.25)


def test_probability_counts_unlisted_tokens_as_allowed() -> None:
    # 0.4 is not listed.
    assert probability(PrefixConstraint((b"wor",)), 2, {3: 0.5, 2: 0.1}) == pytest.approx(0.2)


@given(
    st.dictionaries(st.integers(-1, 9), st.floats(0.001, 1.0), max_size=9),
    st.sampled_from([(), (b"wor",), (b"x", b"wo"), (b"world",)]),
    st.none() | st.integers(0, 1),
)
def test_probability_is_valid_for_any_listing(
    chances: dict[int, float], candidates: tuple[bytes, ...], banned: int | None
) -> None:
    of = 3 if b"x" in candidates else 2
    assert 0 <= probability(PrefixConstraint(candidates, banned=banned), of, {of: 0.5} | chances) <= 1
