from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.remote.back_off import FIRST, LONGEST, Rests, pause, retry_after

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
