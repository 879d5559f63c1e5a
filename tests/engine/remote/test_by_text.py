from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.remote.by_text import ByText, Spellings, TextPrompt, parts, spread
from jupyter_turbopilot.engine.remote.words import StrangeAnswerError
from jupyter_turbopilot.engine.vocabulary import MIDDLE, PREFIX, SUFFIX, CodePoints
from jupyter_turbopilot.generation import Ask, Sampling
from jupyter_turbopilot.prompt.formats import FORMATS

from .test_far_side import JSON

MARKERS = [
    text for known in FORMATS for text in (known.prefix, known.suffix, known.middle, *known.extra) if text
]
SPELLINGS = Spellings(MARKERS)
CHARACTERS = st.text(st.characters(exclude_categories=["Cs"]))
TEXT = ByText("m", Spellings(), chances=True)


def read(text: str, logprobs: Any = None) -> list[tuple[bytes, float]]:
    heard = TEXT.read(json.dumps({"choices": [{"text": text, "logprobs": logprobs}]}).encode())
    return [(token.data, token.probability) for token in heard.tokens]


def test_a_hole_is_sent_as_a_suffix() -> None:
    request = TEXT.request(Ask(ids("a", "b"), Sampling(7)))
    assert request is not None
    assert {
        "prompt": "a",
        "suffix": "b",
        "max_tokens": 7,
        "model": "m",
        "logprobs": 1,
    }.items() <= request.body.items()
    plain = ByText("", Spellings(), chances=False).request(Ask(ids("a")))
    assert plain is not None
    assert not {"suffix", "model", "logprobs"} & plain.body.keys()


def test_nothing_is_asked_on_a_line_with_a_marker() -> None:
    assert TEXT.request(Ask(ids("x = '<|fim_prefix|>"))) is None


@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.floats(0, 1), max_size=3))
def test_characters_join_to_the_text_and_are_as_probable_as_it_is(text: str, chances: list[float]) -> None:
    tokens = spread(text, chances)
    assert b"".join(token.data for token in tokens) == text.encode()
    whole = math.prod(chances) if chances else 0.0
    assert not text or math.prod(token.probability for token in tokens) == pytest.approx(whole)


def test_each_far_token_keeps_its_own_probability() -> None:
    told = {"tokens": ["ab", "c"], "token_logprobs": [math.log(0.5), math.log(0.25)]}
    assert read("abc", told) == [(b"a", pytest.approx(0.5)), (b"b", 1.0), (b"c", pytest.approx(0.25))]


def test_tokens_that_are_not_the_text_are_as_probable_together() -> None:
    told = {"tokens": ["bytes:\\xc3", "bytes:\\xa9"], "token_logprobs": [math.log(0.5), math.log(0.5)]}
    assert read("é", told) == [("é".encode(), pytest.approx(0.25))]


def test_without_probabilities_they_are_unknown() -> None:
    assert read("a") == [(b"a", 0.0)]


def test_a_lone_surrogate_is_replaced() -> None:
    assert read("\ud800") == [(b"?", 0.0)]


@given(JSON)
def test_any_event_is_read_or_refused(value: Any) -> None:
    for data in (value, {"choices": [value]}, {"choices": [{"text": "x", "logprobs": value}]}):
        with contextlib.suppress(StrangeAnswerError):
            TEXT.read(json.dumps(data).encode())


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_a_text_that_ended_at_a_limit_is_told_from_a_whole_one(reason: str) -> None:
    heard = TEXT.read(json.dumps({"choices": [{"text": "a", "finish_reason": reason}]}).encode())
    assert (heard.ended, heard.cut) == (True, reason == "length")


def ids(before: str, after: str | None = None) -> list[int]:
    tokenize = CodePoints().tokenize
    if after is None:
        return tokenize(before)
    return [PREFIX, *tokenize(before), SUFFIX, *tokenize(after), MIDDLE]


@given(CHARACTERS, st.none() | CHARACTERS)
def test_the_texts_of_a_prompt_come_back(before: str, after: str | None) -> None:
    assert parts(ids(before, after)) == (before, after)


def test_the_suffix_may_stand_first() -> None:
    assert parts([SUFFIX, 98, MIDDLE, 97]) == ("a", "b")


@pytest.mark.parametrize(
    "marker", [*MARKERS, "<|endoftext|>", "<|im_start|>", "</s>", "<\uff5cend\u2581of\u2581sentence\uff5c>"]
)
def test_a_line_that_spells_a_marker_is_left_out(marker: str) -> None:
    prompt = SPELLINGS.prompt(ids(f"a\nx = '{marker}'\nb", f"c\n{marker}\nd\n"))
    assert prompt == TextPrompt("a\nb", "c\nd\n")


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("cut", range(3))
def test_nothing_is_asked_on_a_line_that_spells_one(marker: str, cut: int) -> None:
    line = f"x{marker}y"
    at = (0, len(line) // 2, len(line))[cut]
    assert SPELLINGS.prompt(ids(f"a\n{line[:at]}", f"{line[at:]}\nb")) is None


@given(CHARACTERS, st.sampled_from(MARKERS), CHARACTERS)
def test_no_marker_is_ever_sent(one: str, marker: str, two: str) -> None:
    prompt = SPELLINGS.prompt(ids(f"{one}{marker}{two}\n{two}", one))
    if prompt:
        assert not any(text.strip() in prompt.before + (prompt.after or "") for text in MARKERS)


@given(st.text("abc =()<|>\n"))
def test_code_without_markers_is_sent_as_it_is(text: str) -> None:
    prompt = SPELLINGS.prompt(ids(text))
    assert prompt == TextPrompt(text, None) or SPELLINGS.found(text)
