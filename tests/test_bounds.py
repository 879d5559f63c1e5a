from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.bounds import (
    OperationLimitError,
    Operations,
    cached_function,
    count_operations,
    counted_operations,
    end_of,
    tenant_cache,
)


@given(st.text(alphabet="ab\n", max_size=300), st.integers(1, 100))
def test_end_of_keeps_at_least_three_quarters_of_the_room(text: str, room: int) -> None:
    kept = end_of(text, room)
    assert text.endswith(kept)
    assert min(len(text), room - room // 4 - 1) <= len(kept) <= room


def test_end_of_seldom_moves_its_start() -> None:
    begins = {400 + more - len(end_of("x" * (400 + more), 400)) for more in range(1, 401)}
    assert begins == {100, 200, 300, 400}


def test_remembered_is_bounded_by_size() -> None:
    asked: list[str] = []

    @cached_function(10_000)
    def twice(text: str) -> str:
        asked.append(text)
        return text * 2

    assert twice("a") == twice("a") == "aa"
    assert asked == ["a"]
    twice("b" * 5000)
    twice("b" * 5000)
    assert len(asked) == 3, "a result as large as the cache is not cached"
    for number in range(100):
        twice(f"{number}" * 50)
    twice("a")
    assert asked.count("a") == 2


def test_remembered_evicts_the_least_recently_used() -> None:
    asked: list[str] = []

    @cached_function(4000)
    def same(text: str) -> str:  # about 400 characters each, including the markup
        asked.append(text)
        return text

    texts = [f"{number:0100}" for number in range(11)]
    for text in texts:
        same(text)
    same(texts[-1])
    assert asked == texts
    same(texts[0])
    assert asked == [*texts, texts[0]]


def test_remembering_for_separates_tenants() -> None:
    asked: list[str] = []

    @cached_function(10_000)
    def same(text: str) -> str:
        asked.append(text)
        return text

    for tenant in ("one", "other", "one", "other", ""):
        with tenant_cache(tenant):
            same("a")
    same("a")
    assert len(asked) == 3


def test_count_operations_counts_those_of_the_current_request() -> None:
    outer, inner = Operations(), Operations()
    with counted_operations(outer):
        count_operations(2)
        with counted_operations(inner):
            count_operations(3)
        count_operations(4)
    count_operations(5)  # without a request
    assert (outer.count, inner.count) == (6, 3)


def test_count_operations_raises_above_the_limit() -> None:
    with counted_operations(Operations(most=10)):
        count_operations(10)
        with pytest.raises(OperationLimitError):
            count_operations(1)


def test_count_operations_calls_the_check_before_it_counts() -> None:
    def disconnected() -> None:
        raise ConnectionError

    operations = Operations(check=disconnected)
    with counted_operations(operations), pytest.raises(ConnectionError):
        count_operations(1)
    assert operations.count == 0
