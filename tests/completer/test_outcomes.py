from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.completer.outcomes import MOST, SECONDS, Lesson, News, Outcomes, Terms
from jupyter_turbopilot.request import Feedback

TERMS = Terms("model", "fit", 0.575, 0.65)


def outcomes(*told: tuple[int, float]) -> Outcomes:
    found = Outcomes()
    for length, score in told or ((10, 0.7),):
        found.told("a", TERMS, length, score, 0.0)
    return found


def hear(found: Outcomes, *events: tuple[str, int], name: str = "a", now: float = 1.0) -> list[News]:
    return [found.hear(Feedback(id=name, event=event, chars=chars), now) for event, chars in events]  # type: ignore[arg-type]


def verdicts(found: Outcomes, *events: tuple[str, int], **more: Any) -> list[tuple[float, bool]]:
    lessons = [news.lesson for news in hear(found, *events, **more)]
    return [(lesson.score, lesson.right) for lesson in lessons if lesson]


@pytest.mark.parametrize(
    ("events", "right"),
    [
        ([("typed_over", 10)], True),  # typed to its end
        ([("typed_over", 9)], False),
        ([("typed_over", 0)], False),
        ([("dismissed", 0)], False),
        ([("dismissed", 4)], False),
        ([("taken", 10), ("retained", 10)], True),
        ([("taken", 10), ("retained", 9)], True),
        ([("taken", 10), ("retained", 8)], False),
        ([("taken", 10), ("retained", 0)], False),
        ([("taken", 4), ("retained", 4)], False),  # a part was taken, and the rest was not wanted
        ([("taken", 4), ("shown", 10), ("typed_over", 10)], True),  # a part taken, the rest typed
        ([("taken", 4), ("shown", 10), ("typed_over", 5)], False),
        ([("taken", 4), ("shown", 10), ("taken", 10), ("retained", 10)], True),
    ],
)
def test_it_was_right_if_all_of_it_was_typed_or_taken_and_kept(
    events: list[tuple[str, int]], right: bool
) -> None:
    assert verdicts(outcomes(), ("shown", 10), *events) == [(0.7, right)]


def test_what_was_taken_is_judged_once_it_is_known_what_is_left_of_it() -> None:
    found = outcomes()
    assert verdicts(found, ("shown", 10), ("taken", 10)) == []
    assert hear(found, ("retained", 10)) == [News(lesson=Lesson(TERMS, 0.7, right=True))]


def test_what_was_taken_while_it_was_written_is_judged_by_what_was_seen() -> None:
    early = outcomes((4, 0.6), (10, 0.9))
    assert verdicts(early, ("shown", 4), ("taken", 4), ("retained", 4)) == [(0.6, True)]
    whole = outcomes((4, 0.6), (10, 0.9))
    assert verdicts(whole, ("shown", 4), ("taken", 10), ("retained", 10)) == [(0.9, True)]


def test_shown_and_taken_are_counted_once() -> None:
    events = [("shown", 10), ("shown", 6), ("taken", 4), ("shown", 6), ("taken", 10), ("retained", 10)]
    news = hear(outcomes(), *events)
    assert (sum(one.shown for one in news), sum(one.taken for one in news)) == (1, 1)


def test_what_is_left_of_what_was_not_taken_says_nothing() -> None:
    assert hear(outcomes(), ("retained", 10)) == [News()]


def test_of_unknown_suggestions_and_after_an_hour_nothing_is_learned() -> None:
    events = [("shown", 10), ("taken", 10), ("retained", 10), ("dismissed", 0), ("typed_over", 10)]
    assert set(hear(outcomes(), *events, name="another")) == {News()}
    assert set(hear(outcomes(), *events, now=SECONDS + 1)) == {News()}


def test_it_remembers_so_many_and_no_more() -> None:
    found = Outcomes()
    for number in range(MOST + 50):
        found.told(str(number), TERMS, 3, 0.7, 0.0)
    assert len(found) == MOST
    assert verdicts(found, ("dismissed", 0), name="0") == []
    assert verdicts(found, ("dismissed", 0), name=str(MOST)) == [(0.7, False)]


EVENTS = st.tuples(
    st.sampled_from(["shown", "taken", "typed_over", "dismissed", "retained"]), st.integers(0, 1_000_000)
)


@given(st.lists(st.tuples(st.sampled_from("abc"), EVENTS), max_size=40))
def test_in_any_order_each_suggestion_is_counted_and_judged_once_at_most(
    said: list[tuple[str, tuple[str, int]]],
) -> None:
    found = Outcomes()
    for name in "ab":
        found.told(name, TERMS, 10, 0.7, 0.0)
    news = {
        name: [hear(found, event, name=name)[0] for told, event in said if told == name] for name in "abc"
    }
    for name, told in news.items():
        assert sum(one.lesson is not None for one in told) <= (name != "c")
        assert sum(one.shown for one in told) <= (name != "c")
        assert sum(one.taken for one in told) <= (name != "c")
