"""Removes the files and processes that programs leave behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import psutil

from jupyter_turbopilot.util.parent_process import wait_for_parent

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = "folder"  # the program's own folder, inside the temporary one
PATIENCE = 2.0  # seconds to wait for killed processes
_BLOCK = 4096  # minimum size of a file in bytes, so that many empty files count too


@contextmanager
def supervisor(place: str, started: float) -> Iterator[None]:
    """Start a process that ends the program and removes its folder if this process is killed.

    The program cannot do that itself: it may be inside a C function that holds the interpreter lock.
    """
    code = f"from {__name__} import clean_up_after_parent; clean_up_after_parent()"
    with subprocess.Popen(
        [sys.executable, "-P", "-c", code, place, str(started), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            yield
        finally:
            process.kill()


def clean_up_after_parent() -> None:
    """Entry point of the supervisor: wait for the parent's end, end the program, remove its folder."""
    place, started, parent = sys.argv[1:]
    wait_for_parent(int(parent))
    kill_leftover(os.path.join(place, FOLDER), float(started))  # noqa: PTH118
    remove(place)


def kill_leftover(folder: str, started: float) -> None:
    """Kill the processes that have the program's folder in their environment."""
    until = time.monotonic() + PATIENCE
    while (left := _leftover(folder, started)) and time.monotonic() < until:
        for one in left:
            with suppress(psutil.Error):
                one.kill()
        psutil.wait_procs(left, PATIENCE / 4)


def _leftover(folder: str, started: float) -> list[psutil.Process]:
    """Return the processes that have the program's folder in their environment."""
    left = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            newer = process.create_time() > started - 1
            if newer and process.status() != psutil.STATUS_ZOMBIE and process.environ().get("HOME") == folder:
                left.append(process)
    return left


def size_of(folder: str | os.PathLike[str], most: int) -> int:
    """Return the size of a folder in bytes; counting stops above `most`."""
    size, folders = 0, [os.fspath(folder)]
    while folders and size <= most:
        for entry in _entries(folders.pop()):
            size += _BLOCK
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    size += entry.stat(follow_symlinks=False).st_size
            if size > most:
                break
    return size


def remove(folder: str) -> None:
    """Remove a folder as far as possible, without errors.

    Nested folders are moved up first, as their paths may be too long to open.
    """
    emptied, number = [folder], 0
    for one in emptied:  # the list grows
        with suppress(OSError):
            os.chmod(one, 0o700)  # noqa: PTH101
        for entry in [*_entries(one)]:
            with suppress(OSError):
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)  # noqa: PTH108
                    continue
                os.chmod(entry.path, 0o700)  # noqa: PTH101 - moving a folder requires write access to it
                number += 1
                moved = os.path.join(folder, f"{number}.moved")  # noqa: PTH118
                os.rename(entry.path, moved)  # noqa: PTH104
                emptied.append(moved)
    for one in reversed(emptied):
        with suppress(OSError):
            os.rmdir(one)  # noqa: PTH106


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(folder) as entries:
        yield from entries
