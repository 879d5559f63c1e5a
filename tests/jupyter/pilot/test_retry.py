from __future__ import annotations

from jupyter_turbopilot.jupyter.pilot.retry import AFTER_LOAD, LOOKS, LoadConditions, Recovery


def test_recovery_delays_a_reload_after_a_load() -> None:
    now = 100.0
    recovery = Recovery(lambda: now)
    conditions = LoadConditions("model", 1 << 30)
    recovery.loaded(conditions)
    now += 2 * LOOKS
    assert not recovery.due("engine", lambda: conditions)
    now += AFTER_LOAD
    assert recovery.due("engine", lambda: conditions)


def test_recovery_leaves_a_gone_engine_to_the_worker() -> None:
    recovery = Recovery(lambda: 1e6)
    assert not recovery.due("engine_gone", LoadConditions)
    assert recovery.due("engine", LoadConditions)
