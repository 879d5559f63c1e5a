import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.util.failures import backoff, on_failure


def test_on_failure_undoes_and_raises_even_for_an_interrupt() -> None:
    undone: list[str] = []
    with pytest.raises(KeyboardInterrupt), on_failure(lambda: undone.append("it")):
        raise KeyboardInterrupt
    assert undone == ["it"]


def test_on_failure_can_ignore_a_kind_of_error() -> None:
    undone: list[str] = []
    with pytest.raises(KeyError), on_failure(lambda: undone.append("it"), unless=(LookupError,)):
        raise KeyError
    assert undone == []


def test_backoff_doubles_up_to_the_longest_delay() -> None:
    assert [backoff(failures, 1.0, 60.0) for failures in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


@given(st.integers(0, 10_000))
def test_backoff_never_decreases_and_is_finite(failures: int) -> None:
    assert 2.0 <= backoff(failures, 2.0, math.inf) <= backoff(failures + 1, 2.0, math.inf) < math.inf
