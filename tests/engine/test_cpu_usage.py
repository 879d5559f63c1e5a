from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from jupyter_turbopilot.engine import cpu_usage
from jupyter_turbopilot.engine.cpu_usage import CPULoad, Effort, Pause

from ..waiting import until


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CPULoad, "others", lambda _: 0.0)
    monkeypatch.setattr(cpu_usage, "on_battery", lambda: False)


@pytest.mark.usefixtures("quiet")
def test_effort_halves_threads_and_rests_while_a_kernel_is_busy() -> None:
    one = Effort(kernel_busy=lambda: True)
    one.full = 4
    assert (one.threads(), one.resting()) == (2, True)
    assert one.pause() is Pause.KERNEL
    one.full = 1
    assert one.threads() == 1


@pytest.mark.usefixtures("quiet")
def test_effort_uses_all_threads_unless_considerate() -> None:
    one = Effort(yield_cpu=False, kernel_busy=lambda: True)
    one.full = 4
    assert (one.threads(), one.resting()) == (4, False)


@pytest.mark.parametrize(("others", "threads"), [(0.2, 4), (0.7, 3), (1.1, 3), (1.8, 2), (9.0, 1)])
def test_effort_leaves_busy_cores_to_other_processes(
    monkeypatch: pytest.MonkeyPatch, others: float, threads: int
) -> None:
    monkeypatch.setattr(cpu_usage, "on_battery", lambda: False)
    monkeypatch.setattr(CPULoad, "others", lambda _: others)
    monkeypatch.setattr(psutil, "cpu_count", lambda **_: 1)
    one = Effort()
    one.full = 4
    assert one.threads() == threads


def test_effort_ignores_the_load_of_cores_that_a_container_leaves_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cpu_usage, "on_battery", lambda: False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    monkeypatch.setattr(psutil, "cpu_count", lambda **_: 64)
    one = Effort()
    one.full = 4  # the container's quota
    monkeypatch.setattr(CPULoad, "others", lambda _: 50.0)
    assert one.threads() == 4
    monkeypatch.setattr(CPULoad, "others", lambda _: 62.0)
    assert one.threads() == 2


def test_load_measures_other_processes() -> None:
    load = CPULoad()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            until(lambda: load.others() > 0.4)
            load._at -= 60
            assert load.others() == 0
        finally:
            other.kill()


def raises(*_: object, **__: object) -> float:
    raise psutil.AccessDenied


def test_effort_ignores_failed_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", raises, raising=False)
    one = Effort(kernel_busy=raises)  # type: ignore[arg-type]
    one.full = 4
    monkeypatch.setattr(psutil, "cpu_percent", raises)
    monkeypatch.setattr(cpu_usage, "_LOAD_INTERVAL", 0.0)
    assert (one.threads(), one.resting()) == (4, False)
    assert Effort().threads() == 1
