"""Ends a child process with its parent, even if that is killed."""

from __future__ import annotations

import os
import time
from functools import partial

from jupyter_turbopilot.util.threads import start_thread

_INTERVAL = 0.5  # seconds between two checks of the parent


def exit_with_parent(parent: int) -> None:
    """End this process when its parent ends. On Windows, its standard input is replaced.

    There, a thread waiting on standard input blocks native libraries that another thread loads: so the thread
    reads from a copy.
    """
    pipe = 0
    if os.name != "posix":
        pipe = os.dup(0)
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a device, not a path
            os.dup2(nothing.fileno(), 0)
    start_thread("parent", partial(_end, parent, pipe))


def _end(parent: int, pipe: int) -> None:
    wait_for_parent(parent, pipe)
    os._exit(1)


def wait_for_parent(parent: int, pipe: int = 0) -> None:
    """Wait until the parent process has ended: on Windows, the system then closes the pipe.

    Processes that the parent forked may keep the pipe open, so POSIX systems check the parent's id. It is
    passed as an argument, as the parent may end before the first check.
    """
    if os.name != "posix":
        os.read(pipe, 1)
        return
    while os.getppid() == parent:
        time.sleep(_INTERVAL)
