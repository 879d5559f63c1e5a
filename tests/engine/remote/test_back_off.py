from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.remote.back_off import (
    FIRST,
    LEAST,
    LONGEST,
    Rests,
    Waits,
    pause,
    retry_after,
)

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def test_the_first_address_that_does_not_rest_is_next() -> None:
    rests = Rests(2)
    assert rests.next(0.0) == 0
    rests.failed(0, 0.0)
    assert (rests.next(0.5), rests.next(1.0)) == (1, 0)
    rests.failed(1, 0.5)
    assert rests.next(0.6) is None


def test_what_was_tried_is_not_next() -> None:
    assert Rests(2).next(0.0, tried=0) == 1
    assert Rests(1).next(0.0, tried=0) is None


def test_a_rest_doubles_up_to_a_minute_and_an_answer_ends_it() -> None:
    rests, now, seen = Rests(1), 0.0, []
    for _ in range(8):
        rests.failed(0, now)
        start = now
        while rests.next(now) is None:
            now += 0.5
        seen.append(now - start)
    assert seen == [1, 2, 4, 8, 16, 32, 60, 60]
    rests.answered(0)
    rests.failed(0, now)
    assert rests.next(now + 1.0) == 0


def test_requests_that_fail_together_are_one_failure() -> None:
    rests = Rests(1)
    for _ in range(20):
        rests.failed(0, 0.0)
    assert rests.next(1.0) == 0


@given(st.integers(0, 10_000))
def test_a_pause_is_between_a_second_and_a_minute(failures: int) -> None:
    assert FIRST <= pause(failures) <= pause(failures + 1) <= LONGEST


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        (" 120 ", 120.0),
        ("Sun, 22 Nov 2026 12:00:07 GMT", 7.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("Sun, 22 Nov 2026 12:00:07 -0000", 7.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


@given(st.text(max_size=40))
def test_any_header_is_a_time_or_nothing(header: str) -> None:
    seconds = retry_after(header, NOW)
    assert seconds is None or seconds >= 0


def test_a_session_that_was_told_to_wait_waits_and_no_other_does() -> None:
    waits = Waits()
    assert waits.asked(0, "a", 429, 3.0, 10.0) == 3.0
    assert waits.left(0, "a", 11.0) == (2.0, 429)
    assert waits.left(0, "b", 11.0)[0] == waits.left(1, "a", 11.0)[0] == waits.left(0, "a", 13.0)[0] == 0.0


def test_who_may_be_asked_at_once_is_left_alone_for_a_moment() -> None:
    waits = Waits()
    assert waits.asked(0, "a", 503, 0.0, 0.0) == LEAST
    assert waits.left(0, "a", 0.0) == (LEAST, 503)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e9)), min_size=1, max_size=50))
def test_however_the_clock_jumps_what_is_remembered_is_over_in_a_minute(
    asked: list[tuple[float, float]],
) -> None:
    waits = Waits()
    for number, (now, seconds) in enumerate(asked):
        waits.asked(0, str(number), 429, seconds, now)
        assert 0 < waits.left(0, str(number), now)[0] <= LONGEST + 1e-6
        assert waits.left(0, str(number), now + LONGEST + 1e-3)[0] == 0
    waits.asked(0, "last", 429, 1.0, 2e6)
    assert len(waits._waits) == 1
