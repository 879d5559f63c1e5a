from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.token_bytes import ByteTable


@given(
    st.lists(st.binary(min_size=1, max_size=4), min_size=1, max_size=30),
    st.lists(st.binary(min_size=1, max_size=4), min_size=1, max_size=4),
)
def test_the_compatible_tokens_are_those_that_agree_with_one_way_to_begin(
    pieces: list[bytes], ways: list[bytes]
) -> None:
    expected = {
        i
        for i, piece in enumerate(pieces)
        if any(piece.startswith(way) or way.startswith(piece) for way in ways)
    }
    assert ByteTable(pieces).compatible(ways).tolist() == sorted(expected)
