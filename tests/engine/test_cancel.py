from __future__ import annotations

from jupyter_turbopilot.engine.cancel import Cancel


def test_cancel_interrupts_a_running_block_once() -> None:
    cancel, calls = Cancel(), []
    with cancel.interrupting(lambda: calls.append(1)):
        assert not calls
        cancel.set("stop")
        cancel.set("stop")
    assert calls == [1]


def test_cancel_does_not_interrupt_after_the_block() -> None:
    cancel, calls = Cancel(), []
    with cancel.interrupting(lambda: calls.append(1)):
        pass
    cancel.set("late")
    assert not calls
