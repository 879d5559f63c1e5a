"""A folder that a program has filled: how much there is in it, and its removal, however deep it is."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 4096  # bytes that a file takes at least, so that many empty ones count too


def size_of(folder: str | os.PathLike[str], most: int) -> int:
    """Return how many bytes a folder holds, counted until they are more than `most`."""
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
    """Remove a folder as far as the system lets one; it never fails.

    Folders within are moved up first, for a path may be too long to be opened.
    """
    emptied, number = [folder], 0
    for one in emptied:  # which grows
        with suppress(OSError):
            os.chmod(one, 0o700)  # noqa: PTH101
        for entry in [*_entries(one)]:
            with suppress(OSError):
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)  # noqa: PTH108
                    continue
                os.chmod(entry.path, 0o700)  # noqa: PTH101 - one has to be allowed to change what moves
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
