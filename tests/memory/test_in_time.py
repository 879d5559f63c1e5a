from __future__ import annotations

import threading
import time

import pytest  # noqa: TC002 - fixtures

from jupyter_turbopilot.memory import in_time
from jupyter_turbopilot.memory.in_time import InTime


def test_what_is_done_in_time_is_done() -> None:
    done: list[int] = []
    asking = InTime()
    assert all(asking.run(lambda at=at: done.append(at), 20) for at in range(50))  # type: ignore[misc]
    assert done == [*range(50)]


def test_what_is_stuck_is_not_waited_for_and_little_waits_behind_it() -> None:
    asking, goes_on, done = InTime(), threading.Event(), []
    assert not asking.run(lambda: goes_on.wait(600), 0.01)
    for _ in range(50):
        assert not asking.run(lambda: done.append(1), 0.01)
    goes_on.set()
    end = time.monotonic() + 20
    while not asking.run(lambda: None, 20):
        assert time.monotonic() < end
    assert len(done) <= 8


def test_the_thread_ends_where_nothing_is_asked_and_another_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_time, "_IDLE", 0.02)
    asking = InTime()
    for _ in range(3):
        assert asking.run(lambda: None, 20)
        end = time.monotonic() + 20
        while asking._runs:
            assert time.monotonic() < end
            time.sleep(0.01)


def test_an_error_is_nobodys_and_the_next_one_is_run() -> None:
    asking = InTime()
    assert not asking.run(lambda: 1 / 0, 0.2)
    assert asking.run(lambda: None, 20)
