import math

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.util.backoff import backoff


def test_backoff_doubles_up_to_the_longest_delay() -> None:
    assert [backoff(failures, 1.0, 60.0) for failures in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


@given(st.integers(0, 10_000))
def test_backoff_never_decreases_and_is_finite(failures: int) -> None:
    assert 2.0 <= backoff(failures, 2.0, math.inf) <= backoff(failures + 1, 2.0, math.inf) < math.inf
