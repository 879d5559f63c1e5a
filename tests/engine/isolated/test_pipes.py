from __future__ import annotations

import io
import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.isolated.pipes import LARGEST, BrokenFrameError, FramePipe


@given(st.lists(st.binary(max_size=200)))
def test_messages_come_whole_and_in_order(messages: list[bytes]) -> None:
    sent = io.BytesIO()
    out = FramePipe(io.BytesIO(), sent)
    for message in messages:
        out.send(message)
    back = FramePipe(io.BytesIO(sent.getvalue()), io.BytesIO())
    assert [back.receive() for _ in messages] == messages
    with pytest.raises(EOFError):
        back.receive()


@given(st.binary(max_size=20), st.data())
def test_a_message_that_is_cut_is_the_end(message: bytes, data: st.DataObject) -> None:
    sent = io.BytesIO()
    FramePipe(io.BytesIO(), sent).send(message)
    cut = data.draw(st.integers(0, len(sent.getvalue()) - 1))
    with pytest.raises(EOFError):
        FramePipe(io.BytesIO(sent.getvalue()[:cut]), io.BytesIO()).receive()


def test_a_message_larger_than_any_is_not_waited_for() -> None:
    frame = io.BytesIO((LARGEST + 1).to_bytes(4, "little"))
    with pytest.raises(BrokenFrameError):
        FramePipe(frame, io.BytesIO()).receive()


def test_a_message_larger_than_a_pipe_holds_comes_through() -> None:
    message = os.urandom(1_000_000)
    reading, writing = os.pipe()
    pipe = FramePipe(os.fdopen(reading, "rb"), os.fdopen(writing, "wb", buffering=0))
    sender = threading.Thread(target=pipe.send, args=(message,))
    sender.start()
    assert pipe.receive() == message
    sender.join()
    pipe.close()


def test_what_else_a_process_prints_and_reads_is_kept_off_its_pipes() -> None:
    script = """
import ctypes, os, sys
from jupyter_turbopilot.engine.isolated.pipes import take_standard_pipes
pipe = take_standard_pipes()
print("noise")
os.write(1, b"more noise")
ctypes.CDLL(None).puts(b"noise of native code")
ctypes.CDLL(None).fflush(None)
sys.stdout.flush()
assert sys.stdin.read() == "" and os.read(0, 9) == b""
pipe.send(pipe.receive()[::-1])
"""
    sent = io.BytesIO()
    FramePipe(io.BytesIO(), sent).send(b"abc")
    child = subprocess.run(
        [sys.executable, "-c", script], input=sent.getvalue(), capture_output=True, timeout=60
    )
    assert FramePipe(io.BytesIO(child.stdout), sent).receive() == b"cba"
    assert len(child.stdout) == 7
    assert b"more noise" in child.stderr
    assert b"noise of native code" in child.stderr
