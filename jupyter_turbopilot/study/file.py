"""The file of a study log: JSON Lines that several processes write in turns and only the owner can read.

The file is opened for each write, so that a file that was deleted or replaced in the meantime is noticed.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from jupyter_turbopilot.errors import BadRequestError, NotReadyError
from jupyter_turbopilot.files import MEGABYTE, describe_size, is_writable
from jupyter_turbopilot.study.events import Session, event_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.study.events import Event

LIMIT = 100 * MEGABYTE  # bytes of a log: a few hundred thousand suggestions
PATIENCE = 2.0  # seconds to wait for the lock
POLL = 0.005  # seconds between two attempts to get it: another process holds it for less
FIRST_LINE = 1024  # bytes; more than a session line has
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def located(name: str | Path) -> Path:
    """Return the file that a setting names; an OSError says why it names none."""
    try:
        path = Path(name).expanduser()
    except RuntimeError:
        raise OSError(errno.ENOENT, "its home folder is not known") from None
    if not path.is_absolute():
        raise OSError(errno.EINVAL, "it is a relative path; write an absolute one, or begin it with ~/")
    return path


def is_log(path: Path) -> bool:
    """Return whether a path is a regular file whose first line is a session line."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        with path.open("rb") as file:
            return isinstance(event_of(file.readline(FIRST_LINE)), Session)
    except OSError:
        return False


def need_log(path: Path) -> None:
    """Raise an error if a path is no study log."""
    if not is_log(path):
        what = "is no study log" if os.path.lexists(path) else "does not exist"
        raise BadRequestError(f"{path} {what}. Name the file of a study log.")


def check(path: Path) -> None:
    """Raise an OSError that says why a log cannot be written; change nothing."""
    if not path.parent.is_dir():
        # It may be on a drive that is not mounted: a folder made in its place would hide the log.
        raise OSError(errno.ENOENT, "its folder does not exist")
    if not is_writable(path.parent):
        raise OSError(errno.EACCES, "its folder cannot be written to")
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EEXIST, "it is a link, a folder or a device, not a file")
    if sys.platform != "win32" and status.st_uid != os.getuid():
        raise OSError(errno.EACCES, "it belongs to another user")
    if status.st_size and not is_log(path):
        raise OSError(errno.EEXIST, "it is another file, not a study log")
    if status.st_size >= LIMIT:
        raise _full()


def _full() -> OSError:
    return OSError(errno.EFBIG, f"it is full: a log has at most {describe_size(LIMIT)}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a log, without which no process writes or deletes it."""
    try:
        lock = FileLock(lock_path(path), timeout=PATIENCE, mode=0o600).acquire(poll_interval=POLL)
    except Timeout:
        raise TimeoutError(errno.ETIMEDOUT, "another process has held it for too long") from None
    except NotImplementedError:
        raise OSError(errno.ENOLCK, "its file system cannot lock files") from None
    with lock:
        yield


def lock_path(path: Path) -> Path:
    """Return the file that is locked while a log is written."""
    return path.parent / f".{path.name}.lock"


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Lock a log and open it for appending."""
    check(path)
    with locked(path):
        handle = os.open(path, _FLAGS, 0o600)
        try:
            yield handle
        finally:
            os.close(handle)


def append(handle: int, data: bytes) -> None:
    """Append whole lines, all or none."""
    size = os.fstat(handle).st_size
    if size + len(data) > LIMIT:
        raise _full()
    if os.write(handle, data) != len(data):
        os.ftruncate(handle, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def delete(path: Path) -> None:
    """Delete a log, also while other processes write to it."""
    with locked(path):
        path.unlink(missing_ok=True)
        with suppress(OSError):  # Windows does not delete a file that is open
            lock_path(path).unlink(missing_ok=True)


class Reading:
    """The events of a log, each checked against its schema; the other lines are counted.

    A log may have a hundred megabytes: each iteration reads the file again, line by line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken = 0
        self.has_text = False
        need_log(path)

    def __iter__(self) -> Iterator[Event]:
        self.broken = 0
        try:
            with self.path.open("rb") as file:
                for line in file:
                    self.has_text |= b'"text":"' in line
                    if event := event_of(line):
                        yield event
                    else:
                        self.broken += 1
        except OSError as error:
            raise NotReadyError(f"{self.path} cannot be read: {error.strerror}.", code="no_study") from None
