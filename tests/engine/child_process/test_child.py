from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.child_process import child
from jupyter_turbopilot.engine.child_process.child import Host, QueuedRequest, listen
from jupyter_turbopilot.engine.child_process.messages import (
    FramePipe,
    Interrupt,
    Release,
    Resume,
    Step,
    Suspend,
    UseThreads,
    encode,
)

from ..jobs import SmallEngine

Parent = tuple[FramePipe, SimpleQueue[QueuedRequest], list[int]]


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parent]:
    """The parent's end of a pipe, the queued requests of the child, and its exit status."""
    reading, writing = os.pipe()
    nothing = open(os.devnull, "rb")  # noqa: SIM115, PTH123
    pipe = FramePipe(nothing, os.fdopen(writing, "wb", buffering=0))
    queue: SimpleQueue[QueuedRequest] = SimpleQueue()
    ended: list[int] = []
    monkeypatch.setattr(child.os, "_exit", ended.append)
    own = FramePipe(os.fdopen(reading, "rb"), open(os.devnull, "wb"))  # noqa: SIM115, PTH123
    thread = threading.Thread(target=listen, args=(own, queue))
    thread.start()
    yield pipe, queue, ended
    pipe.close()
    thread.join(30)
    own.close()
    assert ended == [0]


def test_listen_applies_interrupts_to_the_previous_request(parent: Parent) -> None:
    pipe, queue, _ = parent
    for message in (Interrupt(), Step((1,)), Interrupt(), Step((2,)), Step((3,)), Interrupt(), UseThreads(1)):
        pipe.send(encode(message))
    requests = [queue.get(timeout=30) for _ in range(4)]
    assert [one.request for one in requests] == [Step((1,)), Step((2,)), Step((3,)), UseThreads(1)]
    assert [one.interrupt.is_set() for one in requests] == [True, False, True, False]


@pytest.mark.parametrize("data", [b"", b"<html>", b"\xc1", encode(["Nonsense"])])
def test_listen_ends_the_process_for_an_invalid_request(parent: Parent, data: bytes) -> None:
    parent[0].send(data)


def test_host_reports_unknown_runs() -> None:
    host = Host(SmallEngine("word"))
    for request in (Step((1,)), Suspend(1), Resume(1), Release(1)):
        assert host.reply(request, Cancel()).failure


def test_child_ends_after_invalid_input() -> None:
    for given in (b"", b"\x01\x00\x00\x00\xc1", b"GET / HTTP/1.1\r\n\r\n"):
        ended = subprocess.run(
            [sys.executable, "-P", "-m", child.__name__, str(os.getpid())],
            input=given,
            capture_output=True,
            timeout=60,
        )
        assert (ended.returncode, ended.stdout) == (0, b"")
