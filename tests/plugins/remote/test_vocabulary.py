import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.plugins.remote.vocabulary import MIDDLE, PREFIX, SUFFIX, CodePoints

WORDS = CodePoints()


@given(st.text())
def test_code_points_round_trip(text: str) -> None:
    tokens = WORDS.tokenize(text)
    assert len(tokens) == len(text)
    assert b"".join(map(WORDS.piece, tokens)) == text.encode("utf-8", "replace")


@given(st.text())
def test_code_points_never_contain_markers(text: str) -> None:
    assert not {PREFIX, SUFFIX, MIDDLE} & set(CodePoints(fills=True).tokenize(text))


def test_code_points_piece_of_markers_and_unknown_tokens() -> None:
    assert WORDS.piece(PREFIX) == b""
    for token in (-1, sys.maxunicode + 9):
        with pytest.raises(IndexError):
            WORDS.piece(token)
