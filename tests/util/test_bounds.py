import itertools
import sys
import unicodedata
from types import FrameType
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.util import bounds
from jupyter_turbopilot.util.bounds import (
    LimitedDict,
    OperationLimitError,
    Operations,
    cached_function,
    changed_region,
    common_prefix_length,
    count_operations,
    counted_operations,
    end_of,
    has_many_marks,
    normalized,
    pieces,
    tenant_cache,
)

# Marks of several classes, a mark that is two, letters that are marks or contain one, and other signs.
MARKS = st.text(alphabet="\u0301\u0316\u0323\u0344\u0f73\u0f71\uff9e\u3099é-\u2500a", max_size=120)


@given(MARKS, st.sampled_from(["NFC", "NFKC"]))
def test_normalized_is_the_normal_form(text: str, form: Literal["NFC", "NFKC"]) -> None:
    assert normalized(form, text) == unicodedata.normalize(form, text)


@pytest.mark.parametrize(
    ("text", "has_many"),
    [
        ("a" * 99, False),
        ("\u2500" * 99, False),
        ("e\u0301" * 99, False),
        ("\u0301\u0316" * 16, True),
        ("\u0f73" * 31, True),
    ],
)
def test_has_many_marks_counts_marks_after_each_other(text: str, *, has_many: bool) -> None:
    assert has_many_marks(text) is has_many


@given(st.text(alphabet="ab\n", max_size=300), st.integers(1, 100))
def test_end_of_keeps_at_least_three_quarters_of_the_room(text: str, room: int) -> None:
    kept = end_of(text, room)
    assert text.endswith(kept)
    assert min(len(text), room - room // 4 - 1) <= len(kept) <= room


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


def test_cached_function_counts_the_bytes_of_a_character() -> None:
    asked: list[str] = []

    @cached_function(10_000)
    def same(text: str) -> str:
        asked.append(text)
        return text

    for text in ("a" * 800, "😀" * 800):
        same(text)
        same(text)
    assert [text[0] for text in asked] == ["a", "😀", "😀"]


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


@given(st.text("ab"), st.text("ab"))
def test_common_prefix_length_is_the_longest(left: str, right: str) -> None:
    length = common_prefix_length(left, right)
    assert left[:length] == right[:length]
    assert left[: length + 1] != right[: length + 1] or length == len(left) == len(right)


@given(st.text("ab"), st.text("ab"))
def test_changed_region_is_the_smallest(before: str, after: str) -> None:
    start, end, end_after = changed_region(before, after)
    assert start <= end <= len(before)
    assert start <= end_after <= len(after)
    assert before[:start] + after[start:end_after] + before[end:] == after
    assert start in {end, end_after} or before[end - 1] != after[end_after - 1]
    assert start in {end, end_after} or before[start] != after[start]


def test_limited_dict_drops_the_item_that_was_set_first() -> None:
    limited = LimitedDict[str, int](2)
    limited["a"] = limited["b"] = 1
    limited["a"] = 2
    limited["c"] = 3
    assert [*limited.items()] == [("a", 2), ("c", 3)]


@pytest.mark.parametrize("line", range(5))
def test_limited_dict_may_be_cleared_while_an_item_is_set(line: int) -> None:
    limited = LimitedDict[str, int](2)
    limited["b"] = limited["c"] = 1
    seen = itertools.count()

    def clear(frame: FrameType, event: str, _: object) -> object:
        if event == "line" and frame.f_code is LimitedDict.__setitem__.__code__ and next(seen) == line:
            limited.clear()  # as another thread might, before any line
        return clear

    before = sys.gettrace()
    sys.settrace(clear)
    try:
        limited["a"] = 1
    finally:
        sys.settrace(before)
    assert len(limited) <= 1


@given(st.text(alphabet="ab\n ", max_size=60), st.integers(1, 9))
def test_pieces_are_the_text_and_end_with_lines(text: str, least: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "_PIECE", least)
        found = [*pieces(text)]
    assert "".join(found) == text
    assert all(
        len(each) > least and each.endswith("\n") and "\n" not in each[least:-1] for each in found[:-1]
    )
