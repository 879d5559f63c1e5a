from __future__ import annotations

from jupyter_turbopilot.engine.cancel import Cancel


def test_the_first_reason_stands() -> None:
    cancel = Cancel()
    cancel.set("superseded")
    cancel.set("deadline")
    assert cancel.reason == "superseded"


def test_what_is_under_way_is_interrupted_once_at_once() -> None:
    cancel, calls = Cancel(), []
    with cancel.interrupting(lambda: calls.append(1)):
        assert not calls
        cancel.set("stop")
        cancel.set("stop")
    assert calls == [1]


def test_a_signal_that_came_earlier_interrupts_at_the_start() -> None:
    cancel, calls = Cancel(), []
    cancel.set("stop")
    with cancel.interrupting(lambda: calls.append(1)):
        assert calls == [1]


def test_nothing_is_interrupted_after_the_end() -> None:
    cancel, calls = Cancel(), []
    with cancel.interrupting(lambda: calls.append(1)):
        pass
    cancel.set("late")
    assert not calls
