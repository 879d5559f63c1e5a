from jupyter_turbopilot.jupyter.pilot.retry import AFTER_LOAD, LATEST_MEMORY, LOOKS, SHARE, Recovery


def test_recovery_delays_a_reload_after_a_load() -> None:
    now = 100.0
    recovery = Recovery(lambda: now)
    recovery.loaded("model")
    now += 2 * LOOKS
    assert not recovery.due("engine", lambda: "model")
    now += AFTER_LOAD
    assert recovery.due("engine", lambda: "model")


def test_recovery_leaves_a_gone_engine_to_the_worker() -> None:
    recovery = Recovery(lambda: 1e6)
    assert not recovery.due("engine_gone", str)
    assert recovery.due("engine", str)


def test_recovery_retries_soon_where_memory_may_be_freed() -> None:
    now = 100.0
    recovery = Recovery(lambda: now)
    for _ in range(9):
        recovery.failed("model")
    now += LATEST_MEMORY
    assert not recovery.due("engine", lambda: "model")
    now += LOOKS
    assert recovery.due("memory", lambda: "model")


def test_recovery_limits_the_share_of_long_loads_without_memory() -> None:
    now = 100.0
    recovery = Recovery(lambda: now)
    for _ in range(2):
        recovery.failed("model", took=40)
        now += 40 * SHARE - LOOKS
        assert not recovery.due("memory", lambda: "model")
        now += LOOKS
        assert recovery.due("memory", lambda: "model")
