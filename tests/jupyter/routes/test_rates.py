from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.jupyter.routes.limits import RateLimiter
from jupyter_turbopilot.protocol.errors import BusyError


def refusal(
    rates: RateLimiter, caller: str, now: float, *, awaited: bool = True, count: float = 1.0
) -> float:
    """Take a token; return the seconds to wait, 0 if it was granted."""
    try:
        rates.take(caller, now, awaited=awaited, count=count)
    except BusyError as busy:
        assert (busy.status, busy.code) == (429, "too_many_requests")
        assert busy.after > 0
        return busy.after
    return 0.0


def test_rate_limiter_grants_a_burst_then_the_rate() -> None:
    rates = RateLimiter(60, 3)
    assert [refusal(rates, "a", 5.0) for _ in range(4)] == [0, 0, 0, 1]
    assert refusal(rates, "a", 5.75) == 0.25
    assert [refusal(rates, "a", 6.0), refusal(rates, "a", 6.0)] == [0, 1]
    assert refusal(rates, "b", 6.0) == 0


def test_rate_limiter_charges_the_count_up_to_the_burst() -> None:
    rates = RateLimiter(60, 4)
    assert [refusal(rates, "a", 0.0, count=3) for _ in range(2)] == [0, 2]
    assert [refusal(rates, "a", 0.0) for _ in range(2)] == [0, 1]
    assert [refusal(rates, "b", 0.0, count=1e9) for _ in range(2)] == [0, 4]
    assert refusal(rates, "b", 4.0, count=1e9) == 0


CLOCK = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60)


@given(CLOCK, st.integers(1, 1000), st.integers(1, 30))
def test_rate_limiter_survives_clock_jumps(times: list[float], per_minute: int, burst: int) -> None:
    rates = RateLimiter(per_minute, burst)
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
def test_rate_limiter_never_exceeds_rate_plus_one_burst(
    steps: list[tuple[float, bool]], per_minute: int, burst: int
) -> None:
    rates, now, granted = RateLimiter(per_minute, burst), 0.0, 0
    for pause, awaited in steps:
        now += pause
        granted += not refusal(rates, "a", now, awaited=awaited)
        assert granted <= burst + now * per_minute / 60 + 1e-6


@given(st.lists(st.text(max_size=3), max_size=300))
def test_rate_limiter_bounds_the_number_of_callers(callers: list[str]) -> None:
    rates = RateLimiter(60, 5, most=8)
    for number, caller in enumerate(callers):
        refusal(rates, caller, float(number))
        assert len(rates) <= 8


@given(st.integers(1, 100), st.integers(1, 50))
def test_rate_limiter_grants_prefetch_after_the_reported_delay(per_minute: int, burst: int) -> None:
    rates, now = RateLimiter(per_minute, burst), 0.0
    while not (wait := refusal(rates, "a", now, awaited=False)):
        pass
    assert refusal(rates, "a", now + 1.001 * wait + 1e-6, awaited=False) == 0


def test_rate_limiter_reports_the_wait_without_counting() -> None:
    rates = RateLimiter(60, 2)
    assert [rates.wait("a", 0.0), refusal(rates, "a", 0.0), refusal(rates, "a", 0.0)] == [0, 0, 0]
    assert [rates.wait("a", 0.25), rates.wait("a", 0.25), rates.wait("b", 0.25)] == [0.75, 0.75, 0]
    assert [rates.wait("a", 1.0), RateLimiter(0, 1).wait("a", 0.0)] == [0, 0]
