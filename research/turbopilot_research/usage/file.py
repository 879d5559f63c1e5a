"""The file of a usage log: JSON Lines, appended to by several processes, readable only by its owner.

It is opened for each write, to notice that it was deleted or replaced. At `LIMIT` bytes it is renamed, and
replaces the file that was renamed before.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import sys
import time
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from jupyter_turbopilot.protocol.errors import BadRequestError, NotReadyError
from jupyter_turbopilot.util.failures import DAMAGED
from jupyter_turbopilot.util.files import MEGABYTE, absolute_path, is_writable, lock_path
from jupyter_turbopilot.util.write_behind import WriteBehind
from turbopilot_research.usage.events import Event, event_of, line_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    MakeEvent = Callable[[], Event]

log = logging.getLogger(__name__)

LIMIT = 100 * MEGABYTE  # bytes of a file: a few hundred thousand suggestions
WAITING = 1000  # queued events; further ones are counted and dropped
RETRY = 5.0  # seconds after which a file that could not be written is tried again
END_PATIENCE = 1.0  # seconds that `close` waits for the queue to be written
LOCK_PATIENCE = 2.0  # seconds until waiting for the lock times out
POLL = 0.005  # seconds between two attempts to lock
FAILURE = "The file in c.Turbopilot.usage_log cannot be written: {}."
FIRST_LINE = 1024  # bytes; longer than any session line
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def older_file(path: Path) -> Path:
    """Return the name of a log that was renamed at its limit."""
    return path.with_name(f"{path.stem}.1{path.suffix}")


def is_log(path: Path) -> bool:
    """Return whether a path is a regular file whose first line is a session line."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        with path.open("rb") as file:
            event = event_of(file.readline(FIRST_LINE))
    except OSError:
        return False
    return event is not None and event.event == "session"


def check(path: Path) -> None:
    """Raise an OSError if a log cannot be written; change nothing."""
    if not path.parent.is_dir():
        # It may be on an unmounted drive: a folder created in its place would hide the log.
        raise OSError(errno.ENOENT, "its folder does not exist")
    if not is_writable(path.parent):
        raise OSError(errno.EACCES, "its folder cannot be written to")
    if os.path.lexists(path):
        _check_status(status := path.lstat())
        if status.st_size and not is_log(path):
            raise OSError(errno.EEXIST, "it is another file, not a usage log")


def _check_status(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EEXIST, "it is a link, a folder or a device, not a file")
    if sys.platform != "win32" and status.st_uid != os.getuid():
        raise OSError(errno.EACCES, "it belongs to another user")


class Writer:
    """Writes events in the background. `error` explains why they are not written, or is empty.

    Each file begins with the session line; so do the events of each process in it.
    """

    def __init__(self, name: str | Path, session: Event) -> None:
        self._name = name
        self._session = session
        self._lost = self._reported = 0  # number of dropped events
        self._file, self._end = 0, 0  # inode and size of the file after the last write
        self._behind = WriteBehind["MakeEvent"](self._write, FAILURE.format, room=WAITING, retry=RETRY)
        self._behind.start()  # a file that cannot be written is reported before the first event

    @property
    def error(self) -> str:
        """The reason to write nothing, or an empty text."""
        return self._behind.error

    def put(self, make: MakeEvent) -> None:
        """Queue an event; `make` is called on the writing thread."""
        if not self._behind.put(make):
            self._lost += 1

    def close(self) -> None:
        """Write the queued events and stop."""
        self._behind.close(END_PATIENCE)

    def _write(self, events: Sequence[MakeEvent]) -> None:
        path = absolute_path(self._name)
        check(path)
        lost = self._lost
        lines = [line for make in events if (line := _line(make))]
        if dropped := lost - self._reported + len(events) - len(lines):
            session = self._session.session
            lines.append(line_of(Event("dropped", round(time.time(), 1), session=session, lines=dropped)))
        if lines:
            try:
                with FileLock(lock_path(path), LOCK_PATIENCE, 0o600).acquire(poll_interval=POLL):
                    self._append(path, b"".join(lines))
            except Timeout:
                raise TimeoutError(errno.ETIMEDOUT, "another process has locked it for too long") from None
            except NotImplementedError:
                raise OSError(errno.ENOLCK, "its file system cannot lock files") from None
        self._reported = lost

    def _append(self, path: Path, data: bytes) -> None:
        """Append whole lines, all or none; complete a truncated last line first."""
        if os.path.lexists(path) and path.lstat().st_size >= LIMIT:
            if os.path.lexists(older := older_file(path)) and not is_log(older):
                raise OSError(errno.EEXIST, f"{older.name} is not a usage log")
            path.replace(older)
        handle = os.open(path, _FLAGS, 0o600)
        try:
            # In a folder that others can write to, it may have been replaced since the check.
            _check_status(status := os.fstat(handle))
            if sys.platform != "win32" and status.st_mode & 0o077:
                os.fchmod(handle, 0o600)
            size = status.st_size
            if status.st_ino != self._file or size < self._end:
                data = line_of(self._session) + data
            if size:
                os.lseek(handle, size - 1, os.SEEK_SET)
                data = data if os.read(handle, 1) == b"\n" else b"\n" + data
            if os.write(handle, data) != len(data):
                os.ftruncate(handle, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._file, self._end = status.st_ino, size + len(data)
        finally:
            os.close(handle)


def _line(make: MakeEvent) -> bytes:
    """Return the line of an event, or nothing if it does not match the schema."""
    try:
        return line_of(make())
    except DAMAGED:
        log.exception("Turbopilot: an event is not in the usage log")
        return b""


def read(path: Path) -> Iterator[Event | None]:
    """Yield the events of a log, the renamed file first; None for lines that do not match the schema."""
    if not is_log(path):
        what = "is no usage log" if os.path.lexists(path) else "does not exist"
        raise BadRequestError(f"{path} {what}. Name the file of a usage log.")
    try:
        for each in filter(is_log, (older_file(path), path)):
            with each.open("rb") as file:
                yield from map(event_of, file)
    except OSError as error:
        raise NotReadyError(f"{path} cannot be read: {error.strerror}.", code="no_usage_log") from None
