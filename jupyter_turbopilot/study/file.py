"""The file of a study log: whole lines, of several processes, in a file that only its owner can read.

Each write locks, opens, looks and closes: a file that was rotated, deleted or replaced meanwhile by whomever
is noticed, and none of ours is held open where that would keep it from being renamed.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from jupyter_turbopilot.files import MEGABYTE, free_room, is_writable, size_of
from jupyter_turbopilot.study.events import FAMILY, MAGIC, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LIMIT = 10 * MEGABYTE  # bytes of a file, then the next one is begun
KEPT = 9  # files beside the one that is written; then the oldest goes
PATIENCE = 2.0  # seconds that another process may hold the file
POLL = 0.002  # seconds between looks at whether it still does: it writes for less than that
ROOM = 64 * 1024  # bytes that a disk has at least, or it counts as full
LINE = 512  # bytes of a file's first line that tell it from others: a session and when it began
_FLAGS = (
    os.O_RDWR
    | os.O_APPEND
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # opening a pipe would wait for its other end
    | getattr(os, "O_BINARY", 0)
)


def located(name: str | Path) -> Path:
    """Return the file that a setting names; an OSError says why it names none."""
    try:
        path = Path(name).expanduser()
    except RuntimeError:
        raise OSError(errno.ENOENT, "the home folder that it begins with is not known") from None
    if not path.is_absolute():
        raise OSError(errno.EINVAL, "it is a relative path; write an absolute one, or begin it with ~/")
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "it is not a valid path")
    if not path.name:
        raise OSError(errno.EISDIR, "it is a folder")
    return path


def lock_path(path: Path) -> Path:
    """Return what is locked while the file is written."""
    return path.parent / f".{path.name}.lock"


def older(path: Path, number: int) -> Path:
    """Return where the file is that was begun so many files ago."""
    return path.parent / f"{path.name}.{number}" if number else path


def files_of(path: Path) -> list[Path]:
    """Return the files of a log, the oldest first; what is none of ours is none of it."""
    return [found for number in range(KEPT, -1, -1) if is_ours(found := older(path, number))]


def is_ours(path: Path, begins: bytes = FAMILY) -> bool:
    """Tell whether a path is a file that begins as a study log does, by default one of any version."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        with path.open("rb") as file:
            return file.read(len(begins)) == begins
    except OSError:
        return False


def reason_of(error: OSError) -> str:
    """Say what is wrong with the file, without its path."""
    if isinstance(error, TimeoutError):
        return "another process has held it for too long"
    if error.errno in {errno.ELOOP, errno.EMLINK}:
        return "it is a link"
    return error.strerror or type(error).__name__


@contextmanager
def locked(path: Path, patience: float) -> Iterator[None]:
    """Hold a log for a moment: nobody else writes it, or moves its files."""
    _check_folder(path)
    try:
        lock = FileLock(lock_path(path), timeout=patience, mode=0o600)
        lock.acquire(poll_interval=POLL)
    except NotImplementedError:
        raise OSError(errno.ENOLCK, "its file system cannot lock files") from None
    try:
        yield
    finally:
        lock.release()


class LogFile:
    """Appends lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.patience = PATIENCE
        # The file that our head is in: which one, and its first line, because another may get its number.
        self._headed: tuple[int, int, bytes] | None = None

    def check(self) -> None:
        """Raise an OSError that says why nothing could be written now; nothing is changed."""
        _check_folder(self._path)
        if not is_writable(self._path.parent):
            raise OSError(errno.EACCES, "its folder cannot be written to")
        if free_room(self._path) < ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        try:
            handle = self._open()
        except FileNotFoundError:
            return
        os.close(handle)

    def obstacle(self) -> str:
        """Say what keeps the file from being moved when it is full; empty if nothing is in the way."""
        for number in range(1, KEPT + 1):
            part = older(self._path, number)
            if os.path.lexists(part) and not is_ours(part):
                return f"{part.name} is no study log, so nothing is moved and the file grows beyond its limit"
        return ""

    def append(self, lines: Sequence[bytes], head: bytes) -> None:
        """Write lines, all or none; `head` stands before them in a file that it is not in yet."""
        with locked(self._path, self.patience):
            if size_of(self._path) + sum(map(len, lines)) > LIMIT and is_ours(self._path, MAGIC):
                self._rotate()
            if size_of(self._path) < len(MAGIC) and not (head or lines[0]).startswith(MAGIC):
                raise OSError(errno.EINVAL, "the line that it has to begin with could not be made")
            handle = self._open(os.O_CREAT)
            try:
                self._write(handle, lines, head)
            finally:
                os.close(handle)

    def _write(self, handle: int, lines: Sequence[bytes], head: bytes) -> None:
        status = os.fstat(handle)
        size, which = status.st_size, (status.st_dev, status.st_ino)
        if 0 < size < len(MAGIC):  # a head that was being written when its process was killed
            os.ftruncate(handle, 0)
            size = 0
        data = b"".join(lines)
        if not size or self._headed != (*which, _first_line(handle)):
            data = head + data
        if size and _last_byte(handle, size) != b"\n":  # a process was killed within a line
            data = b"\n" + data
        if os.write(handle, data) != len(data):
            with suppress(OSError):  # else the next one who writes begins a new line
                os.ftruncate(handle, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._headed = (*which, _first_line(handle))

    def _open(self, create: int = 0) -> int:
        """Open the file and look at it: what is none of ours is left alone."""
        with suppress(FileNotFoundError):
            _check_kind(self._path.lstat().st_mode)
        handle = os.open(self._path, _FLAGS | create, 0o600)
        try:
            _check_owner(handle)
            if create:
                _restrict(handle)
        except BaseException:
            os.close(handle)
            raise
        return handle

    def _rotate(self) -> None:
        """Move the file and those before it; where that cannot be done, the file goes on."""
        if self.obstacle():
            return
        # Only up to the first gap: one that a kill, or a file that would not move, has left is closed first.
        free = next((n for n in range(1, KEPT) if not older(self._path, n).exists()), KEPT)
        with suppress(OSError):
            for number in range(free, 0, -1):
                older(self._path, number - 1).replace(older(self._path, number))


def _check_folder(path: Path) -> None:
    if not path.parent.is_dir():
        # It may be a drive that is not there yet: what was written in its place would not be found.
        raise OSError(errno.ENOENT, "its folder does not exist")


def _check_kind(mode: int) -> None:
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "it is a link")
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, "it is a folder")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EEXIST, "it is a pipe or a device, not a file")


def _check_owner(handle: int) -> None:
    """Raise an OSError that says why a file is none of ours."""
    status = os.fstat(handle)
    _check_kind(status.st_mode)
    if sys.platform != "win32" and status.st_uid != os.getuid():
        raise OSError(errno.EACCES, "it belongs to another user")
    begins = os.read(handle, LINE)
    if MAGIC.startswith(begins[: len(MAGIC)]):
        return
    if found := re.match(re.escape(FAMILY) + rb'(\d+)"', begins):
        said = f"it is a log of version {found[1].decode()}, and this release writes version {VERSION}"
        raise OSError(errno.EEXIST, said)
    raise OSError(errno.EEXIST, "it is another file, not a study log")


def _restrict(handle: int) -> None:
    """Take from others what they may do with the file."""
    if sys.platform != "win32" and os.fstat(handle).st_mode & 0o077:
        os.fchmod(handle, 0o600)


def _first_line(handle: int) -> bytes:
    os.lseek(handle, 0, os.SEEK_SET)
    return os.read(handle, LINE).partition(b"\n")[0]


def _last_byte(handle: int, size: int) -> bytes:
    os.lseek(handle, size - 1, os.SEEK_SET)
    return os.read(handle, 1)
