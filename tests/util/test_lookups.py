import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from jupyter_turbopilot.util import lookups as module
from jupyter_turbopilot.util.lookups import MOST, MOST_STUCK, STUCK, LookupThread

from ..index.folders import until

PATIENCE = 30.0  # independent of the load of the machine


class Held:
    """A call that blocks until it is released."""

    def __init__(self) -> None:
        self.entered, self.free = threading.Event(), threading.Event()
        self.thread = threading.current_thread()

    def __call__(self) -> None:
        self.thread = threading.current_thread()
        self.entered.set()
        assert self.free.wait(PATIENCE)


@pytest.fixture
def hold() -> Iterator[Callable[[LookupThread], Held]]:
    """Run a blocked call in a thread; all are released at the end."""
    made: list[Held] = []

    def hold(thread: LookupThread) -> Held:
        made.append(held := Held())
        assert thread.submit(held)
        assert held.entered.wait(PATIENCE)
        return held

    yield hold
    for held in made:
        held.free.set()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


Hold = Callable[[LookupThread], Held]


def test_lookups_log_a_failing_call_and_run_the_next(caplog: pytest.LogCaptureFixture) -> None:
    thread, ran = LookupThread(), threading.Event()

    def fail() -> None:
        raise SystemExit("no such disk")

    assert thread.submit(fail)
    assert thread.submit(ran.set)
    assert ran.wait(PATIENCE)
    assert "no such disk" in caplog.text


def test_lookups_reject_calls_if_the_queue_is_full(hold: Hold) -> None:
    thread, ran = LookupThread(), list[int]()
    held = hold(thread)
    assert all(thread.submit(lambda: ran.append(1)) for _ in range(MOST - 1))
    assert not thread.submit(lambda: ran.append(1))
    held.free.set()
    until(lambda: len(ran) == MOST - 1)


def test_lookups_replace_a_stuck_thread(hold: Hold, clock: list[float]) -> None:
    thread, ran = LookupThread(), list[threading.Thread]()
    held = hold(thread)
    assert thread.submit(lambda: ran.append(threading.current_thread()))
    clock[0] = STUCK + 1
    assert thread.submit(lambda: ran.append(threading.current_thread()))
    until(lambda: len(ran) == 2)
    assert held.thread not in ran
    held.free.set()
    held.thread.join(PATIENCE)
    assert not held.thread.is_alive()
    assert thread.submit(lambda: ran.append(threading.current_thread()))
    until(lambda: len(ran) == 3)


def test_lookups_limit_the_number_of_stuck_threads(hold: Hold, clock: list[float]) -> None:
    thread, ran = LookupThread(), threading.Event()
    stuck = []
    for _ in range(MOST_STUCK + 1):
        stuck.append(hold(thread))
        clock[0] += STUCK + 1
    assert not thread.submit(ran.set)
    stuck[0].free.set()  # its thread ends, and another may take over from the last one
    until(lambda: thread.submit(ran.set))
    assert ran.wait(PATIENCE)
