from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.completer.learning.outcomes import (
    MOST,
    SECONDS,
    DisplayConditions,
    Observations,
    Outcomes,
    Verdict,
)
from jupyter_turbopilot.protocol.request import Feedback

TERMS = DisplayConditions("subject", 0.575, 0.65)
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
        ([("accepted", 4), ("retained", 4)], False),  # a part was accepted, the rest was not
        ([("accepted", 4), ("shown", 10), ("typed_over", 10)], True),  # a part accepted, the rest typed
        ([("accepted", 4), ("shown", 10), ("typed_over", 5)], False),
        ([("accepted", 4), ("shown", 10), ("accepted", 10), ("retained", 10)], True),
    ],
)
def test_receive_judges_typed_and_retained_suggestions_as_right(
    events: list[tuple[str, int]], right: bool
) -> None:
    assert verdicts(outcomes(), ("shown", 10), *events) == [(0.7, right)]


def test_receive_judges_by_the_shown_part() -> None:
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


def test_receive_counts_shown_and_accepted_once() -> None:
    events = [("shown", 10), ("shown", 6), ("accepted", 4), ("shown", 6), ("accepted", 10), ("retained", 10)]
    observed = receive(outcomes(), *events)
    assert (observed.shown, observed.accepted) == (1, 1)


@pytest.mark.parametrize(
    ("events", "saved"),
    [
        ([("accepted", 10)], 9),
        ([("accepted", 4), ("accepted", 10)], 8),  # in two parts
        ([("accepted", 10), ("accepted", 10)], 9),  # again after an undo
        ([("accepted", 1)], 0),
        ([("accepted", 1_000_000)], 9),
        ([("typed_over", 10), ("retained", 10)], 0),
    ],
)
def test_receive_counts_keystrokes_saved(events: list[tuple[str, int]], saved: int) -> None:
    assert receive(outcomes(), ("shown", 10), *events).saved == saved


@pytest.mark.parametrize(
    ("events", "counted"),
    [
        ([("accepted", 10), ("executed", 7), ("executed", 2)], (10, 7)),  # the first run counts
        ([("accepted", 4), ("accepted", 10), ("executed", 10)], (10, 10)),  # in two parts
        ([("accepted", 4), ("executed", 1_000_000)], (4, 4)),
        ([("executed", 10)], (0, 0)),
        ([("typed_over", 10), ("executed", 10)], (0, 0)),
    ],
)
def test_receive_counts_characters_retained_at_the_next_run(
    events: list[tuple[str, int]], counted: tuple[int, int]
) -> None:
    observed = receive(outcomes(), ("shown", 10), *events)
    assert (observed.executed, observed.retained) == counted


def test_receive_does_not_judge_at_the_next_run() -> None:
    assert verdicts(outcomes(), *WHOLE, ("executed", 0), ("retained", 10)) == [(0.7, True)]


def test_receive_ignores_unknown_and_expired_suggestions() -> None:
    events = [("shown", 10), ("accepted", 10), ("retained", 10), ("dismissed", 0), ("typed_over", 10)]
    assert not receive(outcomes(), *events, name="another")
    assert not receive(outcomes(), *events, now=SECONDS + 1)


@pytest.mark.parametrize(
    ("events", "right"),
    [
        (WHOLE, [True]),
        ([("shown", 10)], []),  # unknown
        ([("shown", 10), ("accepted", 4)], []),
        ([*WHOLE, ("retained", 0)], []),  # already judged
        ([*WHOLE, ("retained", 10), ("shown", 10)], []),  # deleted, then shown again
    ],
)
def test_end_judges_only_full_acceptances(events: list[tuple[str, int]], right: list[bool]) -> None:
    found = outcomes()
    receive(found, *events)
    assert [verdict.right for verdict in found.end().verdicts] == right
    assert found.end() == Observations()


def test_sent_tracks_a_limited_number() -> None:
    found = outcomes()
    receive(found, *WHOLE)
    for number in range(MOST + 50):
        found.sent(str(number), TERMS, 3, 0.7, 0.0)
    assert verdicts(found, ("dismissed", 0), name="0") == [(0.7, True)]  # of the first, which was accepted
    assert verdicts(found, ("dismissed", 0), name=str(MOST)) == [(0.7, False)]


EVENTS = st.tuples(
    st.sampled_from(["shown", "accepted", "typed_over", "dismissed", "executed", "retained"]),
    st.integers(0, 1_000_000),
)


@given(st.lists(st.tuples(st.sampled_from("abc"), EVENTS, st.integers(0, 20)), max_size=40))
def test_receive_judges_each_appearance_at_most_once(message: list[tuple[str, tuple[str, int], int]]) -> None:
    found = Outcomes()
    for name in "ab":
        found.sent(name, TERMS, 10, 0.7, 0.0)
    observed = dict.fromkeys("abc", Observations())
    for name, event, length in message:
        observed[name] += receive(found, event, name=name, length=length)
    for name, each in observed.items():
        appeared = sum(event == "shown" for about, (event, _), _ in message if about == name)
        assert len(each.verdicts) <= (appeared + 1) * (name != "c")
        assert each.shown <= (name != "c")
        assert each.accepted <= (name != "c")
        assert 0 <= each.retained <= each.executed


COUNTS = st.builds(
    Observations,
    st.integers(0, 9),
    st.integers(0, 9),
    st.lists(st.builds(Verdict, st.just(TERMS), st.floats(0, 1), st.booleans()), max_size=5).map(tuple),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 9),
)


@given(COUNTS, COUNTS)
def test_since_returns_the_added_observations(first: Observations, later: Observations) -> None:
    assert (first + later).since(first) == later
    assert bool(first + later) == (bool(first) or bool(later))
