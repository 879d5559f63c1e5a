from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue

import pytest

from jupyter_turbopilot.engine.isolated.time_limit import TimeLimit

expired: SimpleQueue[float] = SimpleQueue()


@pytest.fixture
def limit() -> Iterator[TimeLimit]:
    limit = TimeLimit(expired.put)
    yield limit
    limit.close()
    assert not limit._thread.is_alive()


def test_what_takes_too_long_is_told_with_its_limit(limit: TimeLimit) -> None:
    with limit.within(0.01):
        assert expired.get(timeout=30) == 0.01


def test_what_is_in_time_is_not(limit: TimeLimit) -> None:
    for _ in range(100):
        with limit.within(60):
            pass
    with limit.within(0.01):
        assert expired.get(timeout=30) == 0.01
    with pytest.raises(Empty):
        expired.get_nowait()


def test_a_limit_can_be_shortened_from_another_thread_but_not_made_longer(limit: TimeLimit) -> None:
    with limit.within(60):
        threading.Thread(target=limit.shorten, args=(0.02,)).start()
        assert expired.get(timeout=30) == 0.02
    with limit.within(0.01):
        limit.shorten(60)
        assert expired.get(timeout=30) == 0.01


def test_it_is_told_once(limit: TimeLimit) -> None:
    with limit.within(0.01):
        expired.get(timeout=30)
        with pytest.raises(Empty):
            expired.get(timeout=0.05)


def test_the_thread_is_not_woken_for_every_limit(limit: TimeLimit, monkeypatch: pytest.MonkeyPatch) -> None:
    woken = []
    notify = limit._changed.notify
    monkeypatch.setattr(limit._changed, "notify", lambda: (woken.append(1), notify()))
    for _ in range(1000):
        with limit.within(60):
            # The first wakes it; those that come before it has looked do so, too.
            while limit._wakes > limit._end:
                pass
    assert len(woken) == 1
