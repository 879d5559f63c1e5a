"""Where a SQLite file stands: which files belong to it, and whether anybody else could have put them."""

from __future__ import annotations

import errno
import glob
import os
import stat
from contextlib import suppress
from pathlib import Path

from jupyter_turbopilot.files import UNFINISHED, is_unfinished, others_may_write

_BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a file
_ADVICE = "it has to be in a folder that only you can write to"


def located(name: str | Path) -> Path:
    """Return the file that a setting names: what is looked at, replaced and deleted is never a link to it.

    An OSError says why it names none. A relative path would be another file for each working folder.
    """
    try:
        path = Path(name).expanduser()
    except RuntimeError:
        raise OSError(errno.ENOENT, "the home folder that it begins with is not known") from None
    if not path.is_absolute():
        raise OSError(errno.EINVAL, "it is a relative path; write an absolute one, or begin it with ~/")
    if not path.name:
        raise OSError(errno.EISDIR, "it names a folder")
    try:
        return Path(os.path.realpath(path))
    except ValueError:
        raise OSError(errno.EINVAL, "it is not a valid path") from None


def beside(path: Path) -> list[Path]:
    """Return what SQLite may keep beside a file."""
    return [path.with_name(path.name + end) for end in _BESIDE]


def lock_path(path: Path) -> Path:
    """Return what is locked while a server prepares the file."""
    return path.with_name(f".{path.name}.lock")


def unfinished(path: Path) -> list[Path]:
    """Return what a server left that was killed while it prepared the file."""
    return [
        left
        for end in ("", *_BESIDE)
        for left in path.parent.glob(f"{glob.escape(path.name)}.*{UNFINISHED}{end}")
        if is_unfinished(left.name.removesuffix(end))
        and left.name.removesuffix(end).rpartition(".")[0].rpartition(".")[0] == path.name
    ]


def check(path: Path) -> None:
    """Refuse a place where another user could put or has put a file: SQLite would believe what it says.

    A log beside the file, for example, is taken for its content, whoever wrote it.
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
        if file != path and not stat.S_ISREG(status.st_mode):
            raise _refusal(f"{file.name} is not a file")


def _check_folder(folder: Path) -> None:
    if not hasattr(os, "getuid"):
        return  # Windows: a person's folders are that person's
    status = folder.stat()
    if status.st_uid not in {0, os.getuid()}:
        raise _refusal("its folder belongs to another user")
    if others_may_write(status):
        raise _refusal("others may write to its folder")


def _refusal(what: str) -> PermissionError:
    return PermissionError(errno.EACCES, f"{what}; {_ADVICE}")


def restrict(path: Path) -> None:
    """Take from others what they may do with the file."""
    for file in (path, *beside(path)):
        with suppress(FileNotFoundError):
            if (mode := file.stat().st_mode) & 0o077:
                file.chmod(mode & 0o700)


def delete(path: Path) -> None:
    """Delete a file with what SQLite keeps beside it: that first, it must not outlive the file."""
    for file in (*beside(path), path):
        file.unlink(missing_ok=True)
