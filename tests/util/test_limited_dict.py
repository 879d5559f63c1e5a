from __future__ import annotations

from jupyter_turbopilot.util.limited_dict import LimitedDict


def test_limited_dict_drops_the_item_that_was_set_first() -> None:
    limited = LimitedDict[str, int](2)
    limited["a"] = limited["b"] = 1
    limited["a"] = 2
    limited["c"] = 3
    assert [*limited.items()] == [("a", 2), ("c", 3)]
