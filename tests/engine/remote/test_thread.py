from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError

import pytest

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.remote.thread import Connections


async def nothing() -> None: ...


def test_work_is_done_on_a_thread_of_its_own_which_ends() -> None:
    connections = Connections()

    async def who() -> threading.Thread:
        return threading.current_thread()

    thread = connections.wait_for(who(), Cancel())
    assert thread is not threading.current_thread()
    connections.close(nothing())
    thread.join(30)
    assert not thread.is_alive()


def test_work_that_is_cancelled_stops() -> None:
    connections, cancel, stopped = Connections(), Cancel(), threading.Event()

    async def forever() -> None:
        cancel.set("test")
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    with pytest.raises(CancelledError):
        connections.wait_for(forever(), cancel)
    assert stopped.wait(30)
    connections.close(nothing())


def test_what_is_under_way_is_ended_before_the_last_thing() -> None:
    connections, begun, order = Connections(), threading.Event(), []

    async def forever() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            order.append("ended")

    async def last() -> None:
        order.append("last")

    connections.begin(forever())
    assert begun.wait(30)
    connections.close(last())
    assert order == ["ended", "last"]
