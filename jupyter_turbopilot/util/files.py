"""Atomic file replacement, disk space, permissions, and small helpers."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import secrets
import shutil
import stat
import string
import sys
import time
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator


MEGABYTE, GIGABYTE = 1_000_000, 1_000_000_000  # bytes, as for disks and downloads
TWO_DIGITS = 10  # from here on, sizes are shown without a fraction
ROOM_TO_SPARE = 256 * MEGABYTE  # disk space left free: notebooks and kernels need some as well
UNFINISHED = ".new"  # suffix of a small file while it is written
RANDOM_BYTES = 4  # in its name, so that several can be written at once
# On Windows an open file cannot be replaced or deleted: sharing and lock violations, and the error for an
# open target.
_OPEN_ELSEWHERE, _DENIED = frozenset({32, 33}), 5
_PATIENCE, _PAUSE = 1.0, 0.01  # seconds to wait for readers; between two attempts
KEY_BYTES = 16
# Bytes hashed per call. From 2048 bytes on, hashlib releases the GIL: while another thread computes in
# Python, getting it back can take 5 ms.
PIECE = 2040


def absolute_path(name: str | Path) -> Path:
    """Return the absolute path that a setting names; an OSError explains an invalid name.

    A relative path would be a different file in each working folder.
    """
    try:
        path = Path(name).expanduser()
    except RuntimeError:
        raise OSError(errno.ENOENT, "the home folder at its beginning is unknown") from None
    if not path.is_absolute():
        raise OSError(errno.EINVAL, "it is a relative path; write an absolute one, or begin it with ~/")
    return path


def describe_size(size: float) -> str:
    """Return a size in bytes as text, in the front end's format: 0 MB only if it is 0."""
    megabytes = math.floor(size / MEGABYTE + 0.5)
    if megabytes * MEGABYTE >= GIGABYTE:
        return f"{math.floor(10 * size / GIGABYTE + 0.5) / 10:.1f} GB"
    if megabytes >= TWO_DIGITS or not size:
        return f"{megabytes} MB"
    return f"{max(1, math.floor(10 * size / MEGABYTE + 0.5)) / 10:.1f}".removesuffix(".0") + " MB"


def _nearest(path: Path) -> Path:
    path = path.absolute()
    return next(one for one in (path, *path.parents) if one.is_dir())


def free_room(path: Path) -> int:
    return shutil.disk_usage(_nearest(path)).free


def is_writable(folder: Path) -> bool:
    """Return whether the user has permission to create files in a folder."""
    return os.access(_nearest(folder), os.W_OK | os.X_OK)


def is_readable(path: Path) -> bool:
    """Return whether the user has permission to read a file, or list a folder."""
    return os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0))


def others_may_write(folder: os.stat_result) -> bool:
    """Return whether the mode of a folder lets other users create or replace files in it."""
    shared_with_group = folder.st_mode & stat.S_IWGRP and _has_other_members(folder.st_gid)
    return bool(folder.st_mode & stat.S_IWOTH or shared_with_group)


def _has_other_members(group: int) -> bool:
    """Return whether a group has other members; many systems give each user a private group."""
    if sys.platform == "win32":
        return False
    import grp
    import pwd

    own = os.getuid()
    try:
        named = grp.getgrgid(group).gr_mem
    except KeyError:  # a container's group need not have a name
        named = []
    members = [user for user in pwd.getpwall() if user.pw_gid == group or user.pw_name in named]
    known = {user.pw_name for user in members}
    return any(user.pw_uid not in {0, own} for user in members) or any(name not in known for name in named)


def is_forbidden(error: OSError) -> bool:
    """Return whether an error is about permissions: more space or another attempt would not help."""
    if getattr(error, "winerror", None) in _OPEN_ELSEWHERE:
        return False
    return error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}


def need_room(target: Path, size: int, refuse: Callable[[str], Exception]) -> None:
    """Raise the given error if the disk lacks space, before anything is written."""
    if (free := free_room(target.parent)) < size + ROOM_TO_SPARE:
        raise refuse(
            f"{target.name}: {describe_shortage(size, free)}. Delete files, or choose another folder."
        )


def describe_shortage(size: int, free: int) -> str:
    required = f"{describe_size(size + ROOM_TO_SPARE)} of disk space"
    parts = f"{describe_size(size)}, and {describe_size(ROOM_TO_SPARE)} to spare"
    return f"{required} required ({parts}), {describe_size(free)} free"


def partial_path(target: Path) -> Path:
    """Return the path of a large file while it is written."""
    return target.with_name(f".{target.name}.partial")


def lock_path(target: Path) -> Path:
    """Return the path of the lock file of a file."""
    return target.with_name(f".{target.name}.lock")


@contextmanager
def write_atomically(target: Path, refuse: Callable[[str], Exception]) -> Iterator[Path]:
    """Yield a path to write a large file to, then move it to the target; OSErrors become the given error.

    The path is the same for each attempt: a partial file of a killed process is overwritten.
    """
    try:
        with _put(target, partial_path(target)) as partial:
            yield partial
            flush(partial)
    except OSError as error:
        raise refuse(f"{target.name} could not be written: {error.strerror or error}.") from None


def replace_content(target: Path, data: bytes, *, private: bool = False) -> None:
    """Replace a small file atomically, also if the system crashes, and wait for the disk.

    `private`: readable only by its owner.
    """
    with open_replacement(target, private=private) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def open_replacement(target: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """Open a file that replaces the target at the end; the last writer wins."""
    unfinished = f"{target.name}.{secrets.token_hex(RANDOM_BYTES)}{UNFINISHED}"
    with _put(target, target.with_name(unfinished)) as fresh:
        handle = os.open(
            fresh,
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0),
            0o600 if private else 0o666,
        )
        with os.fdopen(handle, "wb") as file:
            yield file


def is_unfinished(name: str) -> bool:
    """Return whether a name is that of an unfinished file of `open_replacement`."""
    target, _, random = name.removesuffix(UNFINISHED).rpartition(".")
    drawn = len(random) == 2 * RANDOM_BYTES and set(random) <= set(string.hexdigits)
    return name.endswith(UNFINISHED) and bool(target) and drawn


@contextmanager
def _put(target: Path, beside: Path) -> Iterator[Path]:
    """Move a file to its target after it was written; an unfinished one is deleted."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield beside
        move(beside, target)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def move(fresh: Path, target: Path) -> None:
    """Move a file to its target; on Windows, wait briefly while another process has the target open."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fresh.replace(target)
        except PermissionError as error:
            if (
                getattr(error, "winerror", None) not in {*_OPEN_ELSEWHERE, _DENIED}
                or time.monotonic() > until
            ):
                raise
            time.sleep(_PAUSE)
        else:
            return


def flush(path: Path) -> None:
    """Flush a file to the disk: later references to it must not arrive there first."""
    with path.open("r+b") as file:  # Windows only flushes files that are open for writing
        os.fsync(file.fileno())


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; a missing or invalid file counts as an empty one."""
    try:
        return object_in(path.read_bytes())
    except OSError:
        return {}


def object_in(data: bytes) -> dict[str, Any]:
    """Parse a JSON object; any other content counts as an empty one."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def remove(path: Path) -> int:
    """Delete a file, if it exists, and return the bytes freed."""
    with suppress(FileNotFoundError):
        size = path.stat().st_size
        path.unlink()
        return size
    return 0


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(*parts: Hashable) -> bytes:
    """Return a digest of plain values (text, numbers, None, tuples of them), the same in every process."""
    data = memoryview(repr(parts).encode("utf-8", "surrogatepass"))
    found = blake2b(digest_size=KEY_BYTES)
    for at in range(0, len(data), PIECE):
        found.update(data[at : at + PIECE])
    return found.digest()


def count_of(number: int, what: str, several: str = "") -> str:
    """Return a number with its noun in singular or plural."""
    return f"{number} {what if number == 1 else several or f'{what}s'}"
