from __future__ import annotations

from jupyter_turbopilot.wording import count_of


def test_a_count_is_worded() -> None:
    assert count_of(1, "file") == "1 file"
    assert count_of(2, "index", "indexes") == "2 indexes"
    assert count_of(0, "file") == "0 files"
