from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.protocol.engine_request import PrefixConstraint


def test_beginning_is_free_after_one_of_its_ways() -> None:
    begun = PrefixConstraint((b"price", b"cost"))
    assert begun.after(b"pr").candidates == (b"ice",)
    assert begun.after(b"pr").after(b'ice"]').candidates == ()


def test_beginning_counts_down_typed_bytes() -> None:
    assert PrefixConstraint((b"al",), typed=2).after(b"a") == PrefixConstraint((b"l",), typed=1)


@given(st.lists(st.binary(min_size=1, max_size=5), max_size=4), st.binary(min_size=1, max_size=6))
def test_beginning_keeps_the_rest_of_each_way(candidates: list[bytes], data: bytes) -> None:
    assert all(
        data + candidate in candidates
        for candidate in PrefixConstraint(tuple(candidates)).after(data).candidates
    )
