from __future__ import annotations

from jupyter_turbopilot.engine.cancel import Cancel


def test_cancel_keeps_the_first_reason() -> None:
    cancel = Cancel()
    cancel.set("superseded")
    cancel.set("deadline")
    assert cancel.reason == "superseded"


def test_cancel_interrupts_a_running_block_once() -> None:
    cancel, calls = Cancel(), []
    with cancel.interrupting(lambda: calls.append(1)):
        assert not calls
        cancel.set("stop")
        cancel.set("stop")
    assert calls == [1]


def test_cancel_interrupts_at_the_start_if_already_set() -> None:
    cancel, calls = Cancel(), []
    cancel.set("stop")
    with cancel.interrupting(lambda: calls.append(1)):
        assert calls == [1]


def test_cancel_does_not_interrupt_after_the_block() -> None:
    cancel, calls = Cancel(), []
    with cancel.interrupting(lambda: calls.append(1)):
        pass
    cancel.set("late")
    assert not calls
