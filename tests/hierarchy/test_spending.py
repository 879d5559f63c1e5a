from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.hierarchy.spending import CHARACTERS, SPENT, TOO_LONG, Spending


@given(st.integers(0, 20), st.integers(1, 20), st.floats(0, 10), st.integers(0, 2 * CHARACTERS))
def test_a_function_is_refused_where_time_tokens_or_characters_are_used_up(
    tokens: int, most: int, now: float, characters: int
) -> None:
    spending = Spending(lambda: now, 5.0, most, tokens)
    spent = tokens >= most or now >= 5.0
    assert spending.refusal(["x" * characters]) == (
        SPENT if spent else TOO_LONG if characters > CHARACTERS else ""
    )
    assert spending.left >= 1
    assert spending.is_over is spent
