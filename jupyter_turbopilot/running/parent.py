"""The lifetime of a child process whose standard input is an empty pipe from its parent."""

from __future__ import annotations

import os
import select
import threading

_INTERVAL = 0.5  # seconds between two looks at the parent


def end_with_parent(parent: int) -> None:
    """End this process when its parent ends, even if the parent is killed. Its standard input is empty then.

    On Windows, a read of the standard input that waits in one thread blocks native libraries that are
    loaded in another: so the thread reads from a copy.
    """
    pipe = os.dup(0)
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a device, not a path
        os.dup2(nothing.fileno(), 0)
    threading.Thread(target=_end, args=(parent, pipe), daemon=True).start()


def _end(parent: int, pipe: int) -> None:
    wait_for_parent(parent, pipe)
    os._exit(1)


def wait_for_parent(parent: int, pipe: int = 0) -> None:
    """Wait until the process that started this one has ended. The system then closes the pipe.

    Processes that the parent forked may keep the pipe open, so POSIX systems are asked for the parent's id,
    too, which the parent passes: it may end before this process asks for the first time.
    """
    if os.name != "posix":
        os.read(pipe, 1)
        return
    while os.getppid() == parent and not select.select([pipe], [], [], _INTERVAL)[0]:
        pass
