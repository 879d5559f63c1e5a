"""Notebooks and files in a folder on the disk. Links are not followed: they lead out, or in circles."""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.memory.left_out import ENVIRONMENT, MOST_BYTES, is_wanted, is_wanted_folder
from jupyter_turbopilot.memory.source import MOST_LOOKED_AT, Looked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_ANSWER_IN = 0.01  # seconds to look whether files are there, for somebody who types
_FLAGS = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)


class LocalFiles:
    """A folder on the disk; `is_listed` tells of names whether they are shown to the person."""

    def __init__(self, root: str | Path, is_listed: Callable[[str], bool] = lambda _: True) -> None:
        self.root = os.path.realpath(Path(root).expanduser())
        self.identity = f"folder {self.root}"
        self._is_listed = is_listed

    def walk(self, folder: str = "") -> Iterator[Looked]:
        """Iterate over the files under a folder, those of outer folders first."""
        self._check()
        waiting, left = deque([folder] if self._is_ours(folder) else []), MOST_LOOKED_AT
        while waiting:
            above = waiting.popleft()
            entries = self._entries(above)
            if above and not ENVIRONMENT.isdisjoint(entry.name for entry in entries):
                continue
            for entry in entries:
                left -= 1
                if left < 0:
                    return
                path = f"{above}/{entry.name}" if above else entry.name
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        if is_wanted_folder(entry.name) and self._is_listed(entry.name):
                            waiting.append(path)
                    elif (
                        entry.is_file(follow_symlinks=False)
                        and is_wanted(path)
                        and self._is_listed(entry.name)
                    ):
                        yield _looked(path, entry.stat(follow_symlinks=False))

    def look(self, path: str) -> Looked | None:
        """Look at a file."""
        if not is_wanted(path) or not self._is_ours(path):
            return None
        folders = Path(path).parents[:-1]
        if any((Path(self.root) / folder / name).exists() for folder in folders for name in ENVIRONMENT):
            return None
        found = self._status(path)
        return _looked(path, found) if found and self._is_listed(path.rpartition("/")[2]) else None

    def stamp(self, path: str) -> str | None:
        """Return when a file was changed, and its size."""
        try:
            return _stamp(os.lstat(self._at(path)))
        except ValueError:
            return None
        except OSError:
            self._check()
            return None

    def stamps(self, paths: Iterable[str]) -> Iterator[tuple[str, str | None]]:
        """Iterate over files that were looked at before, each with its state."""
        for path in paths:
            yield path, self.stamp(path)

    def read(self, path: str) -> str:
        """Return the text of a file in UTF-8, and no more of it than is remembered."""
        try:
            handle = os.open(self._at(path), _FLAGS)
            with os.fdopen(handle, "rb") as file:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    return ""
                content = file.read(MOST_BYTES + 1)
            return content.decode("utf-8-sig") if len(content) <= MOST_BYTES else ""
        except (OSError, UnicodeDecodeError):
            return ""

    def there(self, paths: Iterable[str], *, otherwise: bool) -> set[str]:
        """Return those that are there; `otherwise`: whether those count that there is no time to look at."""
        until = time.monotonic() + _ANSWER_IN
        return {path for path in paths if (otherwise if time.monotonic() > until else self._status(path))}

    def _check(self) -> None:
        """Raise OSError where the root folder is not there: a disk that is not mounted has lost no file."""
        os.scandir(self.root).close()

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._at(folder)) as entries:
                return [*entries]
        except OSError:
            return []

    def _status(self, path: str) -> os.stat_result | None:
        try:
            found = os.lstat(self._at(path))
        except (OSError, ValueError):
            return None
        return found if stat.S_ISREG(found.st_mode) else None

    def _is_ours(self, path: str) -> bool:
        """Tell whether a path leads to its place, and not by a link to another."""
        at = self._at(path)
        try:
            return os.path.realpath(at) == at
        except (OSError, ValueError):
            return False

    def _at(self, path: str) -> str:
        return os.path.join(self.root, *path.split("/")) if path else self.root  # noqa: PTH118 - many, and fast


def _looked(path: str, found: os.stat_result) -> Looked:
    return Looked(path, _stamp(found), found.st_mtime, found.st_size)


def _stamp(found: os.stat_result) -> str:
    return f"{found.st_mtime_ns} {found.st_size}"
