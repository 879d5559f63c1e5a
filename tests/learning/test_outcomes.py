from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.learning.outcomes import MOST, SECONDS, Observations, Outcomes, Terms, Verdict
from jupyter_turbopilot.request import Feedback

TERMS = Terms("subject", 0.575, 0.65)
WHOLE = [("shown", 10), ("accepted", 10)]


def outcomes(*sent: tuple[int, float]) -> Outcomes:
    found = Outcomes()
    for length, score in sent or ((10, 0.7),):
        found.sent("a", TERMS, length, score, 0.0)
    return found


def receive(
    found: Outcomes, *events: tuple[str, int], name: str = "a", now: float = 1.0, length: int = 0
) -> Observations:
    observed = Observations()
    for event, chars in events:
        feedback = Feedback(id=name, event=event, chars=chars, length=length)  # type: ignore[arg-type]
        observed += found.receive(feedback, now)
    return observed


def verdicts(found: Outcomes, *events: tuple[str, int], **more: Any) -> list[tuple[float, bool]]:
    return [(verdict.score, verdict.right) for verdict in receive(found, *events, **more).verdicts]


@pytest.mark.parametrize(
    ("events", "right"),
    [
        ([("typed_over", 10)], True),  # typed to its end
        ([("typed_over", 9)], False),
        ([("typed_over", 0)], False),
        ([("dismissed", 0)], False),
        ([("dismissed", 4)], False),
        ([("accepted", 10), ("retained", 10)], True),
        ([("accepted", 10), ("retained", 9)], True),
        ([("accepted", 10), ("retained", 8)], False),
        ([("accepted", 10), ("retained", 0)], False),
        ([("accepted", 4), ("retained", 4)], False),  # a part was taken, and the rest was not wanted
        ([("accepted", 4), ("shown", 10), ("typed_over", 10)], True),  # a part taken, the rest typed
        ([("accepted", 4), ("shown", 10), ("typed_over", 5)], False),
        ([("accepted", 4), ("shown", 10), ("accepted", 10), ("retained", 10)], True),
    ],
)
def test_it_was_right_if_all_of_it_was_typed_or_taken_and_kept(
    events: list[tuple[str, int]], right: bool
) -> None:
    assert verdicts(outcomes(), ("shown", 10), *events) == [(0.7, right)]


def test_it_is_judged_by_what_was_seen_of_it_though_more_was_on_its_way() -> None:
    taken = outcomes((4, 0.6), (10, 0.9))
    assert verdicts(taken, ("shown", 4), ("accepted", 4), ("retained", 4), length=4) == [(0.6, True)]
    typed = outcomes((4, 0.6), (10, 0.9))
    assert verdicts(typed, ("shown", 4), ("typed_over", 4), length=4) == [(0.6, True)]
    wrong = outcomes((4, 0.6), (10, 0.9))
    assert verdicts(wrong, ("shown", 4), ("dismissed", 4), length=4) == [(0.6, False)]
    whole = outcomes((4, 0.6), (10, 0.9))
    assert verdicts(whole, ("shown", 4), ("accepted", 10), ("retained", 10), length=10) == [(0.9, True)]
    unsaid = outcomes((4, 0.6), (10, 0.9))
    assert verdicts(unsaid, ("shown", 4), ("typed_over", 4)) == [(0.9, False)]


def test_shown_and_taken_are_counted_once() -> None:
    events = [("shown", 10), ("shown", 6), ("accepted", 4), ("shown", 6), ("accepted", 10), ("retained", 10)]
    observed = receive(outcomes(), *events)
    assert (observed.shown, observed.taken) == (1, 1)


def test_what_is_taken_after_a_typing_mistake_counts_as_taken_and_is_judged_anew() -> None:
    found = outcomes()
    assert verdicts(found, ("shown", 10), ("typed_over", 0)) == [(0.7, False)]
    observed = receive(found, *WHOLE, ("retained", 10))
    assert (observed.shown, observed.taken) == (0, 1)
    assert [verdict.right for verdict in observed.verdicts] == [True]


@pytest.mark.parametrize("last", ["typed_over", "accepted"])
def test_word_that_it_was_shown_counts_though_it_comes_last(last: str) -> None:
    found = outcomes()
    observed = receive(found, (last, 10), ("shown", 10))
    assert observed.shown == 1
    assert len(observed.verdicts) == (last == "typed_over")


def test_of_unknown_suggestions_and_after_an_hour_nothing_is_learned() -> None:
    events = [("shown", 10), ("accepted", 10), ("retained", 10), ("dismissed", 0), ("typed_over", 10)]
    assert not receive(outcomes(), *events, name="another")
    assert not receive(outcomes(), *events, now=SECONDS + 1)


def test_an_hour_is_counted_from_the_latest_feedback() -> None:
    found = outcomes()
    receive(found, *WHOLE, now=SECONDS - 1)
    assert verdicts(found, ("retained", 3), now=2 * SECONDS - 2) == [(0.7, False)]


def test_what_was_taken_whole_and_never_heard_of_again_was_right() -> None:
    found = outcomes()
    receive(found, *WHOLE)
    assert verdicts(found, ("shown", 1), name="another", now=SECONDS) == []
    assert verdicts(found, ("shown", 1), name="another", now=SECONDS + 2) == [(0.7, True)]
    assert verdicts(found, ("shown", 1), name="another", now=SECONDS + 3) == []


@pytest.mark.parametrize(
    ("events", "right"),
    [
        (WHOLE, [True]),
        ([("shown", 10)], []),  # nobody knows
        ([("shown", 10), ("accepted", 4)], []),
        ([*WHOLE, ("retained", 0)], []),  # that was judged
        ([*WHOLE, ("retained", 10), ("shown", 10)], []),  # it was deleted, and came back
    ],
)
def test_at_the_end_only_what_was_taken_whole_is_judged(
    events: list[tuple[str, int]], right: list[bool]
) -> None:
    found = outcomes()
    receive(found, *events)
    assert [verdict.right for verdict in found.end().verdicts] == right
    assert found.end() == Observations()


def test_it_remembers_so_many_and_no_more() -> None:
    found = outcomes()
    receive(found, *WHOLE)
    for number in range(MOST + 50):
        found.sent(str(number), TERMS, 3, 0.7, 0.0)
    assert verdicts(found, ("dismissed", 0), name="0") == [(0.7, True)]  # of the first, which was taken
    assert verdicts(found, ("dismissed", 0), name=str(MOST)) == [(0.7, False)]


EVENTS = st.tuples(
    st.sampled_from(["shown", "accepted", "typed_over", "dismissed", "retained"]), st.integers(0, 1_000_000)
)


@given(st.lists(st.tuples(st.sampled_from("abc"), EVENTS, st.integers(0, 20)), max_size=40))
def test_in_any_order_each_is_counted_once_and_judged_no_more_often_than_it_appeared(
    said: list[tuple[str, tuple[str, int], int]],
) -> None:
    found = Outcomes()
    for name in "ab":
        found.sent(name, TERMS, 10, 0.7, 0.0)
    observed = dict.fromkeys("abc", Observations())
    for name, event, length in said:
        observed[name] += receive(found, event, name=name, length=length)
    for name, each in observed.items():
        appeared = sum(event == "shown" for about, (event, _), _ in said if about == name)
        assert len(each.verdicts) <= (appeared + 1) * (name != "c")
        assert each.shown <= (name != "c")
        assert each.taken <= (name != "c")


COUNTS = st.builds(
    Observations,
    st.integers(0, 9),
    st.integers(0, 9),
    st.lists(st.builds(Verdict, st.just(TERMS), st.floats(0, 1), st.booleans()), max_size=5).map(tuple),
)


@given(COUNTS, COUNTS)
def test_what_came_since_is_what_was_added(first: Observations, later: Observations) -> None:
    assert (first + later).since(first) == later
    assert bool(first + later) == (bool(first) or bool(later))
