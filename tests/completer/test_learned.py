from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.completer.learned import SUBJECTS, Learned, Week, read, week_of
from jupyter_turbopilot.completer.outcomes import Observations, Terms, Verdict
from jupyter_turbopilot.suggestion.learning import AS_FITTED, Calibration

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()  # a Wednesday
DAY = 86400


def verdict(*, right: bool, subject: str = "subject", promised: float | None = 0.65) -> Verdict:
    return Verdict(Terms(subject, 0.575, promised), 0.7, right)


def judged(*verdicts: Verdict) -> Observations:
    return Observations(verdicts=verdicts)


@pytest.fixture
def _in_auckland(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "NZDT-13")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_in_auckland")
def test_a_week_begins_on_monday_where_the_server_is() -> None:
    monday = datetime(2026, 11, 22, 11, tzinfo=UTC).timestamp()  # Monday, 0:00 there
    assert week_of(monday) == week_of(monday + 7 * DAY - 1) == week_of(monday - 1) + 1


def test_the_counts_are_this_weeks() -> None:
    learned = Learned().after(Observations(2, 1), NOW)
    assert learned.week == Week(week_of(NOW), 2, 1)
    assert learned.counted(Observations(), NOW) == learned.week
    assert learned.counted(Observations(), NOW + 7 * DAY) == Week(week_of(NOW) + 1)
    later = learned.after(Observations(1), NOW + 7 * DAY)
    assert (later.week.shown, later.week.taken) == (1, 0)


@pytest.mark.parametrize("jump", [-40 * 365 * DAY, 40 * 365 * DAY])
def test_after_the_clock_has_jumped_the_counts_begin_anew_and_what_was_learned_stays(jump: float) -> None:
    learned = Learned().after(Observations(2, 1, (verdict(right=False),)), NOW)
    jumped = learned.after(Observations(1), NOW + jump)
    assert jumped.week == Week(week_of(NOW + jump), 1, 0)
    assert jumped.calibrations == learned.calibrations


def test_what_was_shown_last_week_may_be_taken_in_this_one() -> None:
    week = Learned().after(Observations(1), NOW).after(Observations(0, 1), NOW + 7 * DAY).week
    assert (week.shown, week.taken) == (1, 1)


def test_each_subject_is_learned_of_for_itself() -> None:
    learned = Learned().after(judged(verdict(right=False), verdict(right=True, subject="other")), NOW)
    assert learned.calibration("subject").offset < 0 < learned.calibration("other").offset
    assert learned.calibration("third") == AS_FITTED


def test_where_a_setting_promises_nothing_suggestions_are_only_counted() -> None:
    assert Learned().after(judged(verdict(right=False, promised=None)), NOW).calibrations == {}


def test_the_subject_that_was_used_longest_ago_is_forgotten() -> None:
    verdicts = [verdict(right=True, subject=str(number)) for number in range(SUBJECTS)]
    again = [verdict(right=True, subject="0"), verdict(right=True, subject="new")]
    learned = Learned().after(judged(*verdicts, *again), NOW)
    assert len(learned.calibrations) == SUBJECTS
    assert {"0", "new"} <= learned.calibrations.keys()
    assert "1" not in learned.calibrations


@given(st.lists(st.builds(verdict, right=st.booleans(), subject=st.sampled_from("abc")), max_size=30))
def test_what_is_written_is_read_again(verdicts: list[Verdict]) -> None:
    learned = Learned().after(Observations(1, 1, tuple(verdicts)), NOW)
    assert read(json.loads(json.dumps(learned.content()))) == learned


GOOD = {"slope": 1.1, "offset": 0.2, "seen": 9}
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
    ],
)
def test_what_is_damaged_begins_anew_and_the_rest_stays(damaged: Any) -> None:
    kept = read(
        {"calibrations": {"good": GOOD, "bad": damaged}, "week": {"number": 1, "shown": 2, "taken": 1}}
    )
    assert kept == Learned({"good": Calibration(1.1, 0.2, 9)}, Week(1, 2, 1))


@pytest.mark.parametrize("week", [None, 3, {}, {"number": 1, "shown": 1, "taken": 2}, {"number": -1}])
def test_a_damaged_week_has_no_counts(week: Any) -> None:
    assert read({"calibrations": [], "week": week}) == Learned()


@given(st.dictionaries(st.sampled_from(["calibrations", "week", "x"]), JSON))
def test_no_json_is_too_odd_to_be_read(content: dict[str, Any]) -> None:
    assert read(content).counted(Observations(), NOW).shown >= 0
