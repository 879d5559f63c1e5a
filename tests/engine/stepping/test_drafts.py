from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.stepping.drafts import MAX_BATCH, Drafting, look_up

small = st.lists(st.integers(0, 300), max_size=40)


@given(small, small, st.integers(0, 10))
def test_look_up_returns_tokens_after_the_same_ngram(tokens: list[int], corpus: list[int], room: int) -> None:
    found = look_up(tokens, corpus, room)
    assert len(found) <= room
    if found:
        ends = [
            at
            for at in range(2, len(corpus))
            if corpus[at : at + len(found)] == found and corpus[at - 2 : at] == tokens[-2:]
        ]
        assert ends


def test_look_up_prefers_long_and_then_late_matches() -> None:
    assert look_up([1, 2, 3], [1, 2, 3, 7, 9, 2, 3, 8], 1) == [7]
    assert look_up([2, 3], [2, 3, 7, 2, 3, 8], 1) == [8]


@given(st.integers(1, 40), st.integers(0, 40), st.booleans())
def test_drafting_limits_the_batch_size(pending: int, available: int, begun: bool) -> None:
    count = Drafting().length("aligned", pending, available, continues=begun)
    assert 0 <= count <= available
    assert count == 0 or pending + count <= MAX_BATCH
