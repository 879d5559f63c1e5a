from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.bytetable import ByteTable


@given(
    st.lists(st.binary(min_size=1, max_size=4), min_size=1, max_size=30), st.binary(min_size=1, max_size=4)
)
def test_the_compatible_tokens_are_those_that_agree_with_the_typed_bytes(
    pieces: list[bytes], typed: bytes
) -> None:
    expected = {i for i, piece in enumerate(pieces) if piece.startswith(typed) or typed.startswith(piece)}
    assert set(ByteTable(pieces).compatible(typed).tolist()) == expected
