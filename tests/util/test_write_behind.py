import errno
import logging
import os
import signal
import threading
import time
from collections.abc import Sequence

import pytest

from jupyter_turbopilot.util.write_behind import WriteBehind

from ..index.folders import until

PATIENCE = 30.0  # independent of the load of the machine


def failure(reason: str) -> str:
    return f"it is not written: {reason}."


class File:
    """A fake file that can block or reject writes."""

    def __init__(self) -> None:
        self.written: list[list[int]] = []
        self.errors: list[Exception] = []
        self.entered = threading.Event()
        self.free = threading.Event()
        self.free.set()

    def write(self, items: Sequence[int]) -> None:
        self.entered.set()
        assert self.free.wait(PATIENCE)
        if self.errors:
            raise self.errors[0]
        self.written.append(list(items))

    @property
    def items(self) -> list[int]:
        return [item for items in self.written for item in items]


@pytest.fixture
def file() -> File:
    return File()


def test_write_behind_keeps_the_order_and_writes_the_rest_at_close(file: File) -> None:
    threads: list[threading.Thread] = []
    behind = WriteBehind[int](
        file.write, failure, room=1000, at_end=lambda: threads.append(threading.current_thread())
    )
    assert behind._thread is None, "the thread starts with the first item"
    for number in range(1000):
        assert behind.put(number)
    behind.close(PATIENCE)
    assert file.items == [*range(1000)]
    assert threads == [behind._thread]
    assert not behind.put(1000)
    behind.start()
    assert file.items == [*range(1000)]


def test_put_never_waits_and_rejects_items_of_a_full_queue(file: File) -> None:
    file.free.clear()
    behind = WriteBehind[int](file.write, failure, room=10)
    behind.put(0)
    assert file.entered.wait(PATIENCE)
    begun = time.monotonic()
    assert [behind.put(number) for number in range(1, 15)] == [True] * 9 + [False] * 5
    behind.close(0.01)
    assert time.monotonic() - begun < 5
    file.free.set()
    until(lambda: file.items == [*range(10)])


def test_retry_keeps_items_until_they_are_written(file: File, caplog: pytest.LogCaptureFixture) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/a/path")
    file.errors = [full]
    behind = WriteBehind[int](file.write, failure, room=5, retry=0.01)
    for number in range(9):
        behind.put(number)
    until(lambda: behind.error == os.strerror(errno.ENOSPC))
    time.sleep(0.05)
    assert [record.getMessage() for record in caplog.records] == [
        f"Turbopilot: it is not written: {os.strerror(errno.ENOSPC)}."
    ]
    assert not behind.put(9)
    file.errors = []
    until(lambda: not behind.error)
    assert behind.put(10)
    behind.close(PATIENCE)
    assert file.items == [0, 1, 2, 3, 4, 10]


def test_error_without_retry_closes_the_queue(file: File, caplog: pytest.LogCaptureFixture) -> None:
    ended = threading.Event()
    file.errors = [TimeoutError("a path")]
    behind = WriteBehind[int](file.write, failure, room=5, at_end=ended.set)
    behind.put(0)
    assert ended.wait(PATIENCE)
    assert behind.error == "TimeoutError"
    assert not behind.put(1)
    assert not behind._queue
    behind.close(PATIENCE)
    assert len(caplog.records) == 1
    assert "a path" not in caplog.text


def test_unexpected_error_is_logged_once_with_its_traceback(
    file: File, caplog: pytest.LogCaptureFixture
) -> None:
    file.errors = [ValueError("a value")]
    behind = WriteBehind[int](file.write, failure, room=5, retry=0.001)
    behind.put(0)
    until(lambda: behind.error == "an unexpected error occurred, see the log (ValueError)")
    time.sleep(0.05)
    behind.close(PATIENCE)
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]
    assert caplog.text.count("ValueError: a value") == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork processes")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_process_writes_nothing_and_does_not_wait(file: File) -> None:
    behind = WriteBehind[int](file.write, failure, room=5)
    behind.put(0)
    until(lambda: file.items == [0])
    with behind._wake:  # so that the thread does not hold it
        child = os.fork()
    if child == 0:
        signal.alarm(30)
        behind.put(1)
        behind.close(PATIENCE)
        os._exit(len(file.items))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    behind.close(PATIENCE)
    assert file.items == [0]
