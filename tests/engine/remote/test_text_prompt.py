from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.remote.text_prompt import Spellings, TextPrompt, parts
from jupyter_turbopilot.engine.vocabulary import MIDDLE, PREFIX, SUFFIX, CodePoints
from jupyter_turbopilot.prompt.formats import FORMATS

MARKERS = [
    text for known in FORMATS for text in (known.prefix, known.suffix, known.middle, *known.extra) if text
]
SPELLINGS = Spellings(MARKERS)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def ids(before: str, after: str | None = None) -> list[int]:
    tokenize = CodePoints().tokenize
    if after is None:
        return tokenize(before)
    return [PREFIX, *tokenize(before), SUFFIX, *tokenize(after), MIDDLE]


@given(TEXT, st.none() | TEXT)
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


@given(TEXT, st.sampled_from(MARKERS), TEXT)
def test_no_marker_is_ever_sent(one: str, marker: str, two: str) -> None:
    prompt = SPELLINGS.prompt(ids(f"{one}{marker}{two}\n{two}", one))
    if prompt:
        assert not any(text.strip() in prompt.before + (prompt.after or "") for text in MARKERS)


@given(st.text("abc =()<|>\n"))
def test_code_without_markers_is_sent_as_it_is(text: str) -> None:
    prompt = SPELLINGS.prompt(ids(text))
    assert prompt == TextPrompt(text, None) or SPELLINGS.found(text)
