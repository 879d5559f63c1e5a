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
    Interruption,
    Release,
    Resume,
    Step,
    Suspend,
    UseThreads,
    encode,
)

from ..jobs import SmallEngine


@pytest.fixture
def parent(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[FramePipe, SimpleQueue[QueuedRequest], list[int]]]:
    """The parent's end of a pipe, what has been heard at the other, and how that side ended."""
    reading, writing = os.pipe()
    nothing = open(os.devnull, "rb")  # noqa: SIM115, PTH123
    pipe = FramePipe(nothing, os.fdopen(writing, "wb", buffering=0))
    heard: SimpleQueue[QueuedRequest] = SimpleQueue()
    ended: list[int] = []
    monkeypatch.setattr(child.os, "_exit", ended.append)
    own = FramePipe(os.fdopen(reading, "rb"), open(os.devnull, "wb"))  # noqa: SIM115, PTH123
    thread = threading.Thread(target=listen, args=(own, heard))
    thread.start()
    yield pipe, heard, ended
    pipe.close()
    thread.join(30)
    own.close()
    assert ended == [0]


def test_attention_reaches_the_request_before_it_and_no_other(
    parent: tuple[FramePipe, SimpleQueue[QueuedRequest], list[int]],
) -> None:
    pipe, heard, _ = parent
    for message in (
        Interruption(),
        Step((1,)),
        Interruption(),
        Step((2,)),
        Step((3,)),
        Interruption(),
        UseThreads(1),
    ):
        pipe.send(encode(message))
    asked = [heard.get(timeout=30) for _ in range(4)]
    assert [one.request for one in asked] == [Step((1,)), Step((2,)), Step((3,)), UseThreads(1)]
    assert [one.interrupt.is_set() for one in asked] == [True, False, True, False]


@pytest.mark.parametrize("data", [b"", b"<html>", b"\xc1", encode(["Nonsense"])])
def test_what_is_no_request_ends_the_process(
    parent: tuple[FramePipe, SimpleQueue[QueuedRequest], list[int]], data: bytes
) -> None:
    parent[0].send(data)


def test_a_run_that_nobody_knows_is_a_failure() -> None:
    host = Host(SmallEngine("word"))
    for request in (Step((1,)), Suspend(1), Resume(1), Release(1)):
        assert host.reply(request, Cancel()).failure


def test_a_process_whose_parent_says_nothing_that_makes_sense_ends() -> None:
    for given in (b"", b"\x01\x00\x00\x00\xc1", b"GET / HTTP/1.1\r\n\r\n"):
        ended = subprocess.run(
            [sys.executable, "-P", "-m", child.__name__, str(os.getpid())],
            input=given,
            capture_output=True,
            timeout=60,
        )
        assert (ended.returncode, ended.stdout) == (0, b"")
