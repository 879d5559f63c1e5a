from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.generation import Beginning


def test_a_text_that_has_begun_as_one_of_the_ways_is_free() -> None:
    begun = Beginning((b"price", b"cost"))
    assert begun.after(b"pr").ways == (b"ice",)
    assert begun.after(b"pr").after(b'ice"]').ways == ()


def test_what_was_typed_is_counted_down() -> None:
    assert Beginning((b"al",), typed=2).after(b"a") == Beginning((b"l",), typed=1)


@given(st.lists(st.binary(min_size=1, max_size=5), max_size=4), st.binary(min_size=1, max_size=6))
def test_what_is_left_of_a_way_and_what_was_written_make_a_way(ways: list[bytes], data: bytes) -> None:
    assert all(data + way in ways for way in Beginning(tuple(ways)).after(data).ways)
