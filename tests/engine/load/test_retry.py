from __future__ import annotations

from jupyter_turbopilot.engine.load.retry import AFTER_LOAD, LOOKS, LoadConditions, Recovery


def test_a_model_that_was_loaded_and_cannot_compute_is_not_loaded_again_at_once() -> None:
    now = 100.0
    recovery = Recovery(lambda: now)
    kernel_context = LoadConditions("model", 1 << 30)
    recovery.loaded(kernel_context)
    now += 2 * LOOKS
    assert not recovery.due("engine", lambda: kernel_context)
    now += AFTER_LOAD
    assert recovery.due("engine", lambda: kernel_context)


def test_an_engine_that_is_gone_is_the_workers_to_load_again() -> None:
    recovery = Recovery(lambda: 1e6)
    assert not recovery.due("engine_gone", LoadConditions)
    assert recovery.due("engine", LoadConditions)
