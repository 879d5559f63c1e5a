import sys
import threading
import time
from contextvars import ContextVar

import pytest

from jupyter_turbopilot.util.threads import Alarm, result_of, start_thread

PATIENCE = 30.0  # independent of the load of the machine


def test_thread_continues_after_an_exception(caplog: pytest.LogCaptureFixture) -> None:
    left = [SystemExit("one"), ValueError("two"), None]
    handled: list[int] = []

    def work() -> bool:
        if error := left.pop(0):
            raise error
        return False

    thread = start_thread("turbopilot-test", work, lambda: not handled.append(len(left)))
    assert thread
    thread.join(PATIENCE)
    assert handled == [2, 1]
    assert "SystemExit: one" in caplog.text
    assert "ValueError: two" in caplog.text


def test_result_of_a_call_in_a_thread_is_its_value_or_error() -> None:
    variable = ContextVar("variable", default="")
    variable.set("here")
    assert result_of("turbopilot-test", variable.get).result(PATIENCE) == "here"
    assert isinstance(result_of("turbopilot-test", sys.exit).exception(PATIENCE), RuntimeError)


def test_result_of_a_call_is_an_error_without_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyter_turbopilot.util.threads.start_thread", lambda *_: None)
    assert isinstance(result_of("turbopilot-test", list).exception(PATIENCE), RuntimeError)


def test_alarms_ring_in_order_and_survive_an_exception() -> None:
    rang: list[int] = []
    ended, now = threading.Event(), time.monotonic()
    Alarm(ended.set).set(now + 0.04)
    for number in (3, 1, 2):
        Alarm(lambda number=number: rang.append(number)).set(now + number / 100)  # type: ignore[misc]
    Alarm(lambda: 1 / 0).set(now)
    assert ended.wait(PATIENCE)
    assert rang == [1, 2, 3]


def test_alarm_rings_once_at_the_earliest_of_its_times() -> None:
    rang: list[float] = []
    ended, now = threading.Event(), time.monotonic()
    alarm = Alarm(lambda: rang.append(time.monotonic()))
    for at in (now + 0.05, now, now + 60):
        alarm.set(at)
    Alarm(ended.set).set(now + 0.1)
    assert ended.wait(PATIENCE)
    assert len(rang) == 1
    alarm.set(time.monotonic())
    second = threading.Event()
    Alarm(second.set).set(time.monotonic())
    assert second.wait(PATIENCE)
    assert len(rang) == 2
