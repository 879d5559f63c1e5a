from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.completer.learned import MODELS, Learned, Week, read, week_of
from jupyter_turbopilot.completer.outcomes import Lesson, News, Terms
from jupyter_turbopilot.suggestion.learning import AS_FITTED, Calibration

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()  # a Monday
DAY = 86400


def lesson(*, right: bool, model: str = "model", fit: str = "fit", promised: float | None = 0.65) -> News:
    return News(lesson=Lesson(Terms(model, fit, 0.575, promised), 0.7, right))


def test_a_week_begins_on_monday() -> None:
    monday = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
    assert week_of(monday) == week_of(monday + 7 * DAY - 1) == week_of(monday - 1) + 1


def test_the_counts_are_this_weeks() -> None:
    learned = Learned().after([News(shown=1), News(shown=1), News(taken=1)], NOW)
    assert learned.counted(NOW) == Week(week_of(NOW), 2, 1)
    assert learned.counted(NOW + 7 * DAY) == Week(week_of(NOW) + 1)
    later = learned.after([News(shown=1)], NOW + 7 * DAY)
    assert (later.week.shown, later.week.taken) == (1, 0)


def test_what_was_shown_last_week_may_be_taken_in_this_one() -> None:
    week = Learned().after([News(shown=1)], NOW).after([News(taken=1)], NOW + 7 * DAY).week
    assert (week.shown, week.taken) == (1, 1)


def test_each_model_is_learned_of_for_itself() -> None:
    learned = Learned().after([lesson(right=False), lesson(right=True, model="other")], NOW)
    assert learned.calibration("model", "fit").offset < 0 < learned.calibration("other", "fit").offset
    assert learned.calibration("third", "fit") == AS_FITTED


def test_another_fit_begins_anew() -> None:
    learned = Learned().after([lesson(right=False)] * 9, NOW)
    assert learned.calibration("model", "refitted") == AS_FITTED
    again = learned.after([lesson(right=True, fit="refitted")], NOW)
    assert again.calibration("model", "refitted").seen == 1
    assert again.calibration("model", "fit") == AS_FITTED


def test_where_a_setting_promises_nothing_suggestions_are_counted_alone() -> None:
    assert Learned().after([lesson(right=False, promised=None)], NOW).models == {}


def test_the_model_that_was_used_longest_ago_is_forgotten() -> None:
    news = [lesson(right=True, model=str(number)) for number in range(MODELS)]
    learned = Learned().after([*news, lesson(right=True, model="0"), lesson(right=True, model="new")], NOW)
    assert len(learned.models) == MODELS
    assert {"0", "new"} <= learned.models.keys()
    assert "1" not in learned.models


@given(st.lists(st.builds(lesson, right=st.booleans(), model=st.sampled_from("abc")), max_size=30))
def test_what_is_written_is_read_again(news: list[News]) -> None:
    learned = Learned().after([*news, News(shown=1, taken=1)], NOW)
    assert read(json.loads(json.dumps(learned.content()))) == learned


GOOD = {"fit": "f", "slope": 1.1, "offset": 0.2, "seen": 9}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@pytest.mark.parametrize(
    "damaged",
    [
        [],
        None,
        {},
        GOOD | {"slope": 9},
        GOOD | {"slope": "1"},
        GOOD | {"slope": True},
        GOOD | {"offset": float("nan")},
        GOOD | {"offset": -1e308},
        GOOD | {"seen": -1},
        GOOD | {"seen": 1e400},
        GOOD | {"fit": 3},
    ],
)
def test_what_is_damaged_begins_anew_and_the_rest_stays(damaged: Any) -> None:
    kept = read({"models": {"good": GOOD, "bad": damaged}, "week": {"number": 1, "shown": 2, "taken": 1}})
    assert kept == Learned({"good": ("f", Calibration(1.1, 0.2, 9))}, Week(1, 2, 1))


@pytest.mark.parametrize("week", [None, 3, {}, {"number": 1, "shown": 1, "taken": 2}, {"number": -1}])
def test_a_damaged_week_has_no_counts(week: Any) -> None:
    assert read({"models": [], "week": week}) == Learned()


@given(st.dictionaries(st.sampled_from(["models", "week", "x"]), JSON))
def test_no_json_is_too_odd_to_be_read(content: dict[str, Any]) -> None:
    assert read(content).counted(NOW).shown >= 0
