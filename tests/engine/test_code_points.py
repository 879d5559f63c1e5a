from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.code_points import MIDDLE, PREFIX, SUFFIX, CodePoints
from jupyter_turbopilot.prompt.formats import form_for

WORDS = CodePoints()


@given(st.text())
def test_text_comes_back_as_it_was(text: str) -> None:
    tokens = WORDS.tokenize(text)
    assert len(tokens) == len(text)
    assert b"".join(map(WORDS.piece, tokens)) == text.encode("utf-8", "replace")


@given(st.text())
def test_no_text_becomes_a_marker(text: str) -> None:
    assert not {PREFIX, SUFFIX, MIDDLE} & set(CodePoints(fills=True).tokenize(text))


def test_prompts_have_a_suffix_only_where_the_engine_can_fill_in() -> None:
    fills = CodePoints(fills=True)
    markers = form_for(fills.find_token, fills.markers).markers
    assert markers == {"prefix": PREFIX, "suffix": SUFFIX, "middle": MIDDLE}
    assert not form_for(WORDS.find_token, WORDS.markers).markers


def test_a_marker_has_no_bytes_and_a_number_beyond_them_is_no_token() -> None:
    assert WORDS.piece(PREFIX) == b""
    for token in (-1, sys.maxunicode + 9):
        with pytest.raises(IndexError):
            WORDS.piece(token)
