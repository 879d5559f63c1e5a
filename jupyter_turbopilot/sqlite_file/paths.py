"""The files that belong to a SQLite file, and whether another user could have put them there."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from jupyter_turbopilot.files import others_may_write

if TYPE_CHECKING:
    from pathlib import Path

_BESIDE = ("-journal", "-wal", "-shm")  # what SQLite may keep beside a file
_ADVICE = "it has to be in a folder that only you can write to"


def beside(path: Path) -> list[Path]:
    """Return what SQLite may keep beside a file."""
    return [path.with_name(path.name + end) for end in _BESIDE]


def lock_path(path: Path) -> Path:
    """Return the file that is locked while a process prepares the SQLite file."""
    return path.with_name(f".{path.name}.lock")


def check(path: Path) -> None:
    """Refuse a path where another user could put or has put a file: SQLite would trust its content.

    A journal beside the file, for example, is written back into it, whoever made the journal.
    """
    with suppress(FileNotFoundError):
        _check_folder(path.parent)
    for file in (path, *beside(path), lock_path(path)):
        try:
            status = file.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        if stat.S_ISLNK(status.st_mode):
            raise _refusal(f"{file.name} is a link")
        if hasattr(os, "getuid") and status.st_uid != os.getuid():
            raise _refusal(f"{file.name} belongs to another user")
        if not stat.S_ISREG(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, f"a folder, or no regular file, is at {file.name}")


def _check_folder(folder: Path) -> None:
    if not hasattr(os, "getuid"):
        return  # on Windows, only the user can write to the user's folders
    status = folder.stat()
    if status.st_uid not in {0, os.getuid()}:
        raise _refusal("its folder belongs to another user")
    if others_may_write(status):
        raise _refusal("others may write to its folder")


def _refusal(what: str) -> PermissionError:
    return PermissionError(errno.EACCES, f"{what}; {_ADVICE}")


def delete(path: Path) -> None:
    """Delete a file and what SQLite keeps beside it: that first, or a new file would take it for its own."""
    for file in (*beside(path), path):
        file.unlink(missing_ok=True)


def move(path: Path, target: Path) -> None:
    """Move a file and what SQLite keeps beside it in place of another one."""
    delete(target)
    for file, other in zip((path, *beside(path)), (target, *beside(target)), strict=True):
        with suppress(FileNotFoundError):
            file.rename(other)
