"""The files beside a kernel: their names, and the columns in the first line of a table. Reads the disk."""

from __future__ import annotations

import csv
import gzip
import os
import stat
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.analysis.texts import Readable

MOST_FILES, MOST_BYTES, LONGEST = 1000, 64 * 1024, 120
_UNDECODED = "\ufffd"  # of another encoding
_GZIP = b"\x1f\x8b"
_NOT_WRITABLE = frozenset("\"'\\`")


def read(base: str, base_id: str, readable: Readable, is_allowed: Callable[[str], bool]) -> Texts | None:
    """Return the names in a folder or the columns of a file; None if they are unknown.

    `base`, `base_id`: the folder of the kernel, which may be one of another machine. Only its disk is read:
    another may not answer. `is_allowed` returns whether a path without links may be read.
    """
    with suppress(OSError, ValueError, EOFError, csv.Error):
        found = os.stat(base)  # noqa: PTH116
        path = os.path.join(base, readable.code)  # noqa: PTH118 - of the kernel, as text
        if f"{found.st_dev} {found.st_ino}" == base_id and _is_allowed(path, is_allowed):
            read_one = _columns if readable.kind == "header" else _names
            return read_one(path, found.st_dev, readable, is_allowed)
    return None


def _is_allowed(path: str, is_allowed: Callable[[str], bool]) -> bool:
    """Return whether a path and the file that it leads to may be read."""
    return is_allowed(os.path.normpath(path)) and is_allowed(os.path.realpath(path))


def _names(folder: str, device: int, _: Readable, is_allowed: Callable[[str], bool]) -> Texts | None:
    """Return the names of the files and folders in a folder; those of folders end with a slash."""
    if os.stat(folder).st_dev != device:  # noqa: PTH116
        return None
    with os.scandir(folder) as entries:
        found = [*islice(entries, MOST_FILES + 1)]
    real = os.path.realpath(folder)

    def may_be_listed(entry: os.DirEntry[str]) -> bool:
        # Looking for links in the whole path would take time for each name.
        if entry.is_symlink():
            return _is_allowed(entry.path, is_allowed)
        return is_allowed(os.path.join(real, entry.name))  # noqa: PTH118

    visible = [entry for entry in found[:MOST_FILES] if not entry.name.startswith(".")]
    names = [
        entry.name + "/" * entry.is_dir(follow_symlinks=False)
        for entry in visible
        if _is_writable(entry.name) and may_be_listed(entry)
    ]
    return Texts(tuple(sorted(names)), len(found) <= MOST_FILES and len(names) == len(visible))


def _columns(path: str, device: int, readable: Readable, _: Callable[[str], bool]) -> Texts | None:
    """Return the columns in the first line of a text file, which may be compressed."""
    opened = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(opened, "rb") as file:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode) or found.st_dev != device:
            return None
        begun = file.read(MOST_BYTES)
        if begun.startswith(_GZIP):
            file.seek(0)
            with gzip.open(file) as unpacked:
                begun = unpacked.read(MOST_BYTES)
    lines = begun.decode("utf-8-sig", "replace").splitlines(keepends=True)
    if not lines or not (lines[0].endswith(("\n", "\r")) or len(begun) < MOST_BYTES):
        return None  # the line may be longer
    labels = next(csv.reader(lines, delimiter=readable.separator), [])
    named = [label or f"Unnamed: {number}" for number, label in enumerate(labels)]
    is_plain = all(
        len(label) <= LONGEST and label.isprintable() and _UNDECODED not in label for label in named
    )
    return Texts(tuple(named), all=True) if named and is_plain and len({*named}) == len(named) else None


def _is_writable(name: str) -> bool:
    """Return whether a name can be written between quotes as it is."""
    return len(name) <= LONGEST and name.isprintable() and _NOT_WRITABLE.isdisjoint(name)
