"""The file of a usage log: JSON Lines, appended to by several processes, readable only by its owner.

The file is opened for each write, to notice that it was deleted or replaced.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from jupyter_turbopilot.plugins.usage.events import Dropped, Session, event_of, line_of
from jupyter_turbopilot.protocol.errors import BadRequestError, NotReadyError
from jupyter_turbopilot.util.failures import DAMAGED
from jupyter_turbopilot.util.files import MEGABYTE, absolute_path, describe_size, is_writable
from jupyter_turbopilot.util.write_behind import WriteBehind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from jupyter_turbopilot.plugins.usage.events import Event

log = logging.getLogger(__name__)

LIMIT = 100 * MEGABYTE  # bytes of a log: a few hundred thousand suggestions
WAITING = 1000  # queued events; further ones are counted and dropped
RETRY = 5.0  # seconds after which a file that could not be written is tried again
END_PATIENCE = 1.0  # seconds that `close` waits for the queue to be written
PATIENCE = 2.0  # seconds until waiting for the lock times out
POLL = 0.005  # seconds between two attempts to lock
FIRST_LINE = 1024  # bytes; longer than any session line
_FLAGS = (
    os.O_RDWR
    | os.O_APPEND
    | os.O_CREAT
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # opening a pipe would block
    | getattr(os, "O_BINARY", 0)
)


def locate(name: str | Path) -> Path:
    """Return the file that a setting names; an OSError explains an invalid name."""
    path = absolute_path(name)
    if "\0" in str(path) or not path.name:
        raise OSError(errno.EINVAL, "it is not the path of a file")
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


def require_log(path: Path) -> None:
    """Raise an error if a path is not a usage log."""
    if not is_log(path):
        what = "is no usage log" if os.path.lexists(path) else "does not exist"
        raise BadRequestError(f"{path} {what}. Name the file of a usage log.")


def check(path: Path) -> None:
    """Raise an OSError if a log cannot be written; change nothing."""
    if not path.parent.is_dir():
        # It may be on an unmounted drive: a folder created in its place would hide the log.
        raise OSError(errno.ENOENT, "its folder does not exist")
    if not is_writable(path.parent):
        raise OSError(errno.EACCES, "its folder cannot be written to")
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    _check_status(status)
    if status.st_size and not is_log(path):
        raise OSError(errno.EEXIST, "it is another file, not a usage log")
    if status.st_size >= LIMIT:
        raise _full()


def _check_status(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EEXIST, "it is a link, a folder or a device, not a file")
    if sys.platform != "win32" and status.st_uid != os.getuid():
        raise OSError(errno.EACCES, "it belongs to another user")


def _full() -> OSError:
    return OSError(errno.EFBIG, f"it is full: a log has at most {describe_size(LIMIT)}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that is required to write or delete a log."""
    try:
        lock = FileLock(lock_path(path), timeout=PATIENCE, mode=0o600).acquire(poll_interval=POLL)
    except Timeout:
        raise TimeoutError(errno.ETIMEDOUT, "another process has locked it for too long") from None
    except NotImplementedError:
        raise OSError(errno.ENOLCK, "its file system cannot lock files") from None
    with lock:
        yield


def lock_path(path: Path) -> Path:
    """Return the lock file of a log."""
    return path.parent / f".{path.name}.lock"


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Lock a log and open it for appending."""
    check(path)
    with locked(path):
        handle = os.open(path, _FLAGS, 0o600)
        try:
            # In a folder that others can write to, it may have been replaced since the check.
            _check_status(status := os.fstat(handle))
            if sys.platform != "win32" and status.st_mode & 0o077:
                os.fchmod(handle, 0o600)
            yield handle
        finally:
            os.close(handle)


def append(handle: int, data: bytes) -> None:
    """Append whole lines, all or none; complete a truncated last line first."""
    size = os.fstat(handle).st_size
    if size:
        os.lseek(handle, size - 1, os.SEEK_SET)
        data = data if os.read(handle, 1) == b"\n" else b"\n" + data
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


class Writer:
    """Writes events in the background. `error` explains why they are not written, or is empty.

    Before the first event of a session, and of a file, its session line is written.
    """

    def __init__(self, name: str | Path, session: Session) -> None:
        self.session = session  # of the events that are put from now on
        self._name = name
        self._lines: list[tuple[Session, bytes]] = []  # lines of the queued events that were checked
        self._lost = self._reported = 0  # number of dropped events
        self._in_file: Session | None = None  # the last session line in the file
        self._file, self._end = 0, 0  # inode and size of the file after the last write
        self._behind = WriteBehind[tuple[Session, "Callable[[], Event]"]](
            self._write, _failure, room=WAITING, retry=RETRY
        )
        self._behind.start()  # a file that cannot be written is reported before the first event

    @property
    def error(self) -> str:
        """The reason to write nothing, or an empty text."""
        return self._behind.error

    def put(self, make: Callable[[], Event]) -> None:
        """Queue an event; `make` is called on the writing thread."""
        if not self._behind.put((self.session, make)):
            self._lost += 1

    def close(self) -> None:
        """Write the queued events and stop."""
        self._behind.close(END_PATIENCE)

    def _write(self, events: Sequence[tuple[Session, Callable[[], Event]]]) -> None:
        path = locate(self._name)
        check(path)
        self._lines += [(session, _line(make)) for session, make in events[len(self._lines) :]]
        lines = [(session, line) for session, line in self._lines if line]
        lost = self._lost
        if dropped := lost - self._reported + len(self._lines) - len(lines):
            event = Dropped(t=round(time.time(), 1), session=self.session.session, lines=dropped)
            lines.append((self.session, line_of(event)))
        if lines:
            with opened(path) as handle:
                self._append(handle, lines)
        self._lines.clear()
        self._reported = lost

    def _append(self, handle: int, lines: list[tuple[Session, bytes]]) -> None:
        status = os.fstat(handle)
        replaced = status.st_ino != self._file or status.st_size < self._end
        in_file = None if replaced else self._in_file
        parts = []
        for session, line in lines:
            if session is not in_file:
                parts.append(line_of(session))
                in_file = session
            parts.append(line)
        data = b"".join(parts)
        append(handle, data)
        self._in_file, self._file, self._end = in_file, status.st_ino, status.st_size + len(data)


def _line(make: Callable[[], Event]) -> bytes:
    """Return the line of an event, or nothing if it does not match its schema."""
    try:
        return line_of(make())
    except DAMAGED:
        log.exception("Turbopilot: an event is not in the usage log")
        return b""


def _failure(reason: str) -> str:
    return f"The file in c.Turbopilot.usage_log cannot be written: {reason}."


class Reading:
    """The events of a log, each checked against its schema; other lines are counted.

    A log may be large: each iteration reads the file again, line by line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken = 0
        self.has_text = False
        require_log(path)

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
            raise NotReadyError(
                f"{self.path} cannot be read: {error.strerror}.", code="no_usage_log"
            ) from None
