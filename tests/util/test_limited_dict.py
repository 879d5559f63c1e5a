from __future__ import annotations

import itertools
import sys
from types import FrameType

import pytest

from jupyter_turbopilot.util.limited_dict import LimitedDict


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
