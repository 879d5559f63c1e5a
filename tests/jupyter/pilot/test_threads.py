import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.jupyter.pilot import threads
from jupyter_turbopilot.jupyter.pilot.threads import DISK_THREADS, MAX_PENDING, BackgroundThreads, DiskThreads
from jupyter_turbopilot.protocol.errors import BusyError, NotReadyError

from ...waiting import reached


class Held:
    """A call that blocks until it is released."""

    def __init__(self) -> None:
        self.running: list[threading.Thread] = []
        self._free = threading.Event()

    def __call__(self) -> None:
        self.running.append(threading.current_thread())
        assert self._free.wait(60)

    async def runs(self, count: int) -> None:
        """Wait until a number of calls have begun."""
        await reached(lambda: len(self.running) >= count)

    def release(self) -> None:
        self._free.set()


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held.release()


async def test_run_reserves_capacity_for_other_callers(held: Held) -> None:
    ours = BackgroundThreads()
    flood = [asyncio.create_task(ours.run("eve", held)) for _ in range(MAX_PENDING // 2)]
    assert await asyncio.to_thread(lambda: 7) == 7
    with pytest.raises(BusyError):
        await ours.run("eve", held)
    await held.runs(threads.THREADS // 2)
    assert await ours.run("ada", lambda *given, **named: (given, named), 1, a=2) == ((1,), {"a": 2})
    assert len(held.running) == threads.THREADS // 2
    held.release()
    await asyncio.gather(*flood)
    assert await ours.run("eve", lambda: 7) == 7
    ours.close()


async def test_run_serves_callers_in_turn(held: Held) -> None:
    ours, order = BackgroundThreads(1), list[str]()
    first = asyncio.create_task(ours.run("eve", held))
    await held.runs(1)
    names = ["eve", "eve", "ada", "eve", "bob", "ada"]
    calls = [asyncio.create_task(ours.run(name, order.append, name)) for name in names]
    await asyncio.sleep(0)
    held.release()
    await asyncio.gather(first, *calls)
    assert order == ["eve", "ada", "bob", "eve", "ada", "eve"]
    ours.close()


@given(limit=st.integers(1, 9), names=st.lists(st.sampled_from("abcde"), max_size=24))
@settings(deadline=None, max_examples=30)
def test_run_makes_each_call_once_within_the_limit(limit: int, names: list[str]) -> None:
    running, most, ran, lock = 0, 0, list[int](), threading.Lock()

    def call(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            ran.append(number)
        time.sleep(0.0002)
        with lock:
            running -= 1
        return number

    async def run() -> list[int]:
        ours = BackgroundThreads(limit)
        calls = (ours.run(name, call, number) for number, name in enumerate(names))
        return await asyncio.wait_for(asyncio.gather(*calls), 60)

    assert asyncio.run(run()) == [*range(len(names))]
    assert sorted(ran) == [*range(len(names))]
    assert most <= limit


async def test_run_removes_cancelled_calls_from_the_queue(held: Held) -> None:
    ours = BackgroundThreads(1)
    first = asyncio.create_task(ours.run("eve", held))
    await held.runs(1)
    for _ in range(2):  # the queue has room for one such flood
        flood = [asyncio.create_task(ours.run("ada", lambda: 7)) for _ in range(MAX_PENDING // 3)]
        await asyncio.sleep(0)
        assert not any(call.done() for call in flood)
        for call in flood:
            call.cancel()
        assert [*map(type, await asyncio.gather(*flood, return_exceptions=True))] == [
            asyncio.CancelledError
        ] * len(flood)
    held.release()
    await first
    ours.close()


async def test_close_refuses_waiting_calls(held: Held) -> None:
    ours = BackgroundThreads(1)
    first = asyncio.create_task(ours.run("ada", held))
    await held.runs(1)
    waiting = asyncio.create_task(ours.run("ada", held))
    await asyncio.sleep(0)
    ours.close()
    with pytest.raises(NotReadyError):
        await waiting
    held.release()
    await first
    assert len(held.running) == 1


async def test_run_raises_the_functions_error_and_fails_after_close() -> None:
    ours = BackgroundThreads()
    for kind in (RuntimeError, ValueError):

        def fail(kind: Any = kind) -> None:
            raise kind

        with pytest.raises(kind):
            await ours.run("ada", fail)
    ours.close()
    with pytest.raises(NotReadyError):
        await ours.run("ada", lambda: None)


async def test_disk_threads_run_one_call_per_key_and_leave_others_free() -> None:
    disk, responds, begun = DiskThreads(), threading.Event(), []

    def read(name: str) -> str:
        begun.append(name)
        responds.wait(60)
        return name

    for _ in range(DISK_THREADS):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(disk.run("ada", "a", read, "a"), 0.001)
    pending = asyncio.create_task(disk.run("ada", "a", read, "a"))
    assert await disk.run("ada", "b", lambda: 7) == 7
    responds.set()
    assert await pending == "a"
    assert begun == ["a"]
    assert await disk.run("ada", "a", read, "a again") == "a again"
    disk.close()


async def test_disk_threads_leave_some_to_others_if_paths_hang(held: Held) -> None:
    disk = DiskThreads()
    hung = [asyncio.create_task(disk.run("eve", path, held)) for path in range(2 * DISK_THREADS)]
    await held.runs(DISK_THREADS // 2)
    assert await asyncio.wait_for(disk.run("ada", "a", lambda: 7), 60) == 7
    held.release()
    await asyncio.gather(*hung)
    disk.close()
