from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import pytest

from jupyter_turbopilot.errors import BusyError, NotReadyError
from jupyter_turbopilot.pilot import threads
from jupyter_turbopilot.pilot.threads import DISK_THREADS, MOST, BackgroundThreads, DiskThreads


async def test_run_limits_concurrency_and_leaves_the_default_threads_free() -> None:
    ours, free, running = BackgroundThreads(), threading.Event(), []

    def wait() -> None:
        running.append(threading.get_ident())
        free.wait(30)

    flood = [asyncio.create_task(ours.run(wait)) for _ in range(MOST)]
    assert await asyncio.to_thread(lambda: 7) == 7
    with pytest.raises(BusyError):
        await ours.run(wait)
    assert len(running) <= threads.THREADS
    free.set()
    await asyncio.gather(*flood)
    assert await ours.run(lambda *given, **named: (given, named), 1, a=2) == ((1,), {"a": 2})
    ours.close()


async def test_run_passes_the_callers_context() -> None:
    ours, owner = BackgroundThreads(), ContextVar("owner", default="")
    owner.set("ada")
    assert await ours.run(owner.get) == "ada"
    ours.close()


async def test_run_raises_the_functions_error_and_fails_after_close() -> None:
    ours = BackgroundThreads()
    for kind in (RuntimeError, ValueError):

        def fail(kind: Any = kind) -> None:
            raise kind

        with pytest.raises(kind):
            await ours.run(fail)
    ours.close()
    with pytest.raises(NotReadyError):
        await ours.run(lambda: None)


async def test_disk_threads_run_one_call_per_key_and_leave_others_free() -> None:
    disk, responds, begun = DiskThreads(), threading.Event(), []

    def read(name: str) -> str:
        begun.append(name)
        responds.wait(60)
        return name

    for _ in range(DISK_THREADS):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(disk.run("a", read, "a"), 0.001)
    pending = asyncio.create_task(disk.run("a", read, "a"))
    assert await disk.run("b", lambda: 7) == 7
    responds.set()
    assert await pending == "a"
    assert begun == ["a"]
    assert await disk.run("a", read, "a again") == "a again"
    disk.close()


async def test_disk_threads_pass_an_error_to_each_caller() -> None:
    disk = DiskThreads()

    def fail() -> None:
        raise FileNotFoundError

    results = await asyncio.gather(*(disk.run("a", fail) for _ in range(2)), return_exceptions=True)
    assert [type(result) for result in results] == [FileNotFoundError] * 2
    disk.close()
