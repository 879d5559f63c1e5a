from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.vocabulary import MIDDLE, PREFIX, SUFFIX, CodePoints
from jupyter_turbopilot.plugins.remote.text_prompt import Spellings, TextPrompt, parts, spread
from jupyter_turbopilot.prompt.formats import FORMATS

MARKERS = [
    text for known in FORMATS for text in (known.prefix, known.suffix, known.middle, *known.extra) if text
]
SPELLINGS = Spellings(MARKERS)
CHARACTERS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.floats(0, 1), max_size=3))
def test_spread_keeps_text_and_probability(text: str, chances: list[float]) -> None:
    tokens = spread(text, chances)
    assert b"".join(token.data for token in tokens) == text.encode()
    whole = math.prod(chances) if chances else 0.0
    assert not text or math.prod(token.probability for token in tokens) == pytest.approx(whole)


def ids(before: str, after: str | None = None) -> list[int]:
    tokenize = CodePoints().tokenize
    if after is None:
        return tokenize(before)
    return [PREFIX, *tokenize(before), SUFFIX, *tokenize(after), MIDDLE]


@given(CHARACTERS, st.none() | CHARACTERS)
def test_parts_returns_the_texts_of_a_prompt(before: str, after: str | None) -> None:
    assert parts(ids(before, after)) == (before, after)


def test_parts_accepts_the_suffix_first() -> None:
    assert parts([SUFFIX, 98, MIDDLE, 97]) == ("a", "b")


@pytest.mark.parametrize(
    "marker", [*MARKERS, "<|endoftext|>", "<|im_start|>", "</s>", "<\uff5cend\u2581of\u2581sentence\uff5c>"]
)
def test_spellings_remove_lines_with_markers(marker: str) -> None:
    prompt = SPELLINGS.prompt(ids(f"a\nx = '{marker}'\nb", f"c\n{marker}\nd\n"))
    assert prompt == TextPrompt("a\nb", "c\nd\n")


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("cut", range(3))
def test_spellings_reject_a_marker_on_the_cursors_line(marker: str, cut: int) -> None:
    line = f"x{marker}y"
    at = (0, len(line) // 2, len(line))[cut]
    assert SPELLINGS.prompt(ids(f"a\n{line[:at]}", f"{line[at:]}\nb")) is None


@given(CHARACTERS, st.sampled_from(MARKERS), CHARACTERS)
def test_spellings_never_send_markers(one: str, marker: str, two: str) -> None:
    prompt = SPELLINGS.prompt(ids(f"{one}{marker}{two}\n{two}", one))
    if prompt:
        assert not any(text.strip() in prompt.before + (prompt.after or "") for text in MARKERS)


@given(st.text("abc =()<|>\n"))
def test_spellings_keep_code_without_markers(text: str) -> None:
    prompt = SPELLINGS.prompt(ids(text))
    assert prompt == TextPrompt(text, None) or SPELLINGS.found(text)
