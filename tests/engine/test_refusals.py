from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.refusals import LONGEST, Refusals


def test_whoever_is_refused_comes_back_one_text_after_the_other() -> None:
    refusals = Refusals(running=1)
    assert [refusals.refuse("a") for _ in range(3)] == [1.0, 2.0, 3.0]
    assert refusals.refuse("b") == 1.0
    assert [refusals.refuse("a") for _ in range(9)][-1] == LONGEST


def test_two_texts_at_a_time_are_written_in_half_the_time() -> None:
    refusals = Refusals(running=2)
    assert [refusals.refuse("a") for _ in range(2)] == [0.5, 1.0]


def test_the_time_follows_the_texts_and_one_very_long_one_hardly_counts() -> None:
    refusals = Refusals(running=1)
    for _ in range(50):
        refusals.ended(0.1)
    assert 0.1 <= refusals.refuse("a") < 0.11
    refusals.ended(600.0)
    assert refusals.refuse("b") < 1.2


def test_those_that_came_back_are_no_longer_waited_for() -> None:
    refusals = Refusals(running=1)
    for _ in range(3):
        refusals.refuse("a")
    refusals.accept("a", 8)
    assert refusals.refuse("a") == 3.0
    refusals.accept("a", 0)  # nothing of theirs waited: those who did not come back are forgotten
    assert refusals.refuse("a") == 1.0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 3)), max_size=60))
def test_nobody_is_remembered_who_was_not_refused(events: list[tuple[str, bool, int]]) -> None:
    refusals, refused = Refusals(running=1), set()
    for caller, refuse, waiting in events:
        if refuse:
            assert 0 < refusals.refuse(caller) <= LONGEST
            refused.add(caller)
        else:
            refusals.accept(caller, waiting)
            refused -= set() if waiting else {caller}
        assert set(refusals._refused) <= refused
        assert all(count > 0 for count in refusals._refused.values())
