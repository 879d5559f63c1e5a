"""The work for the hostile bodies of fixes and renames is counted, and bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hostile import FIXES, RENAMES, REPEATS
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.protocol.request import parse_fix, parse_rename, parse_repeat
from jupyter_turbopilot.util.bounds import MOST_OPERATIONS, Operations, counted_operations
from tests.fixes.test_operations import check, encoded, find, rename, repeat

MOST_BODY = 2**20


# How to make, parse and answer the body of each request after an edit.
EDITS: dict[str, tuple[Callable[[int], dict[str, Any]], Callable[[bytes], Any], Callable[[Any], None]]] = {
    **{f"rename, {name}": (make, parse_rename, rename) for name, make in RENAMES.items()},
    **{f"repeat, {name}": (make, parse_repeat, repeat) for name, make in REPEATS.items()},
}


@settings(max_examples=30)
@given(st.sampled_from([*FIXES]), st.integers(1, 12_000), st.booleans())
def test_find_fixes_counts_operations(name: str, size: int, reported: bool) -> None:
    body = encoded(FIXES[name](size))
    request = parse_fix(body)
    check(body, lambda: find(request, reported=reported))


@settings(max_examples=60)
@given(st.sampled_from([*EDITS]), st.integers(1, 12_000))
def test_renames_and_repeats_count_operations(name: str, size: int) -> None:
    make, parse, run = EDITS[name]
    body = encoded(make(size))
    request = parse(body)
    check(body, lambda: run(request))


def largest(make: Callable[[int], dict[str, Any]]) -> bytes:
    """Return the largest body that the server admits."""
    size = MOST_BODY
    while len(body := encoded(make(size))) > MOST_BODY:
        size = size * 9 // 10
    return body


@pytest.mark.parametrize("name", FIXES)
def test_find_fixes_ends_at_the_limit_for_the_largest_body(name: str) -> None:
    request = parse_fix(largest(FIXES[name]))
    operations = Operations(MOST_OPERATIONS)
    with counted_operations(operations):
        find(request, reported=False)
    assert operations.count < 1.5 * MOST_OPERATIONS


@pytest.mark.parametrize("name", EDITS)
def test_renames_and_repeats_end_at_the_limit_for_the_largest_body(name: str) -> None:
    make, parse, run = EDITS[name]
    request = parse(largest(make))
    operations = Operations(MOST_OPERATIONS)
    with counted_operations(operations):
        run(request)
    assert operations.count < 1.5 * MOST_OPERATIONS
