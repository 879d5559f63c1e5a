from __future__ import annotations

from jupyter_turbopilot.study.words import holdings


def test_what_a_log_holds_is_worded() -> None:
    assert holdings(text=True) == "numbers and the text of suggestions"
    assert holdings(text=False) == "numbers, no text"
