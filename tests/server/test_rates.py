from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.errors import BusyError
from jupyter_turbopilot.server.rates import Rates


def refusal(rates: Rates, caller: str, now: float, *, awaited: bool = True, count: float = 1.0) -> float:
    """Ask; return after how many seconds it may be asked, 0 if it was granted."""
    try:
        rates.take(caller, now, awaited=awaited, count=count)
    except BusyError as busy:
        assert (busy.status, busy.code) == (429, "too_many_requests")
        assert busy.after > 0
        return busy.after
    return 0.0


def test_so_many_are_granted_at_once_and_then_one_after_the_other() -> None:
    rates = Rates(60, 3)
    assert [refusal(rates, "a", 5.0) for _ in range(4)] == [0, 0, 0, 1]
    assert refusal(rates, "a", 5.75) == 0.25
    assert [refusal(rates, "a", 6.0), refusal(rates, "a", 6.0)] == [0, 1]
    assert refusal(rates, "b", 6.0) == 0


def test_what_is_done_ahead_is_refused_while_half_is_left_for_what_is_waited_for() -> None:
    rates = Rates(60, 4)
    assert [refusal(rates, "a", 0.0, awaited=False) for _ in range(3)] == [0, 0, 1]
    assert [refusal(rates, "a", 0.0) for _ in range(3)] == [0, 0, 1]


def test_what_counts_as_several_takes_their_part_and_never_more_than_there_can_be() -> None:
    rates = Rates(60, 4)
    assert [refusal(rates, "a", 0.0, count=3) for _ in range(2)] == [0, 2]
    assert [refusal(rates, "a", 0.0) for _ in range(2)] == [0, 1]
    assert [refusal(rates, "b", 0.0, count=1e9) for _ in range(2)] == [0, 4]
    assert refusal(rates, "b", 4.0, count=1e9) == 0


def test_without_a_limit_everything_is_granted_and_nobody_remembered() -> None:
    rates = Rates(0, 1)
    assert not any(refusal(rates, "a", 0.0) for _ in range(1000))
    assert len(rates) == 0


CLOCK = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60)


@given(CLOCK, st.integers(1, 1000), st.integers(1, 30))
def test_however_the_clock_jumps_nobody_is_granted_more_than_the_burst_at_once_or_shut_out(
    times: list[float], per_minute: int, burst: int
) -> None:
    rates = Rates(per_minute, burst)
    for now in times:
        granted = sum(not refusal(rates, "a", now) for _ in range(burst + 2))
        assert granted <= burst
        wait = refusal(rates, "a", now)
        assert 0 < wait <= 60 / per_minute * (1 + 1e-6)
        assert refusal(rates, "a", now + 1.001 * wait + 1e-6) == 0


@given(
    st.lists(st.tuples(st.floats(0, 0.5), st.booleans()), max_size=200),
    st.integers(1, 600),
    st.integers(1, 20),
)
def test_over_any_time_no_more_is_granted_than_the_rate_and_one_burst(
    steps: list[tuple[float, bool]], per_minute: int, burst: int
) -> None:
    rates, now, granted = Rates(per_minute, burst), 0.0, 0
    for pause, awaited in steps:
        now += pause
        granted += not refusal(rates, "a", now, awaited=awaited)
        assert granted <= burst + now * per_minute / 60 + 1e-6


@given(st.lists(st.text(max_size=3), max_size=300))
def test_only_so_many_callers_are_remembered(callers: list[str]) -> None:
    rates = Rates(60, 5, most=8)
    for number, caller in enumerate(callers):
        refusal(rates, caller, float(number))
        assert len(rates) <= 8


@given(st.integers(1, 100), st.integers(1, 50))
def test_what_is_done_ahead_is_granted_once_the_time_is_over_that_was_told(
    per_minute: int, burst: int
) -> None:
    rates, now = Rates(per_minute, burst), 0.0
    while not (wait := refusal(rates, "a", now, awaited=False)):
        pass
    assert refusal(rates, "a", now + 1.001 * wait + 1e-6, awaited=False) == 0
