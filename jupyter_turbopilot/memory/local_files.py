"""Notebooks and files in a folder on the disk. Links are not followed: they lead out, or in circles."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections import deque
from contextlib import suppress
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.lookups import LookupThread
from jupyter_turbopilot.memory.base import Looked
from jupyter_turbopilot.memory.left_out import ENVIRONMENT, MOST_BYTES, is_wanted, is_wanted_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MOST_IN_A_FOLDER = 100_000  # files and folders, wanted or not
MOST_FOUND = 200_000  # folders, and files that may be remembered
_ANSWER_IN = 0.03  # seconds to look whether files are there, for somebody who types
_FLAGS = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)

_checks = LookupThread()  # apart from index look-ups, which wait for it


class LocalFiles:
    """A folder on the disk.

    `is_listed` tells of names whether they are shown to the person; `hidden` names what decides that, where
    it is not Jupyter's default: an index of what is hidden from some is not shared with them.
    """

    def __init__(
        self, root: str | Path, is_listed: Callable[[str], bool] = lambda _: True, hidden: str = ""
    ) -> None:
        self.root = os.path.realpath(Path(root).expanduser())
        self.identity = f"folder {self.root}" + (f" without {hidden}" if hidden else "")
        self._is_listed = is_listed

    def walk(self, folder: str = "", unseen: list[str] | None = None) -> Iterator[Looked]:
        """Iterate over the files under a folder, those of outer folders first."""
        unseen = [] if unseen is None else unseen
        waiting, left = deque([folder] if self._may_hold(folder) else []), MOST_FOUND
        while waiting:
            above = waiting.popleft()
            entries = self._entries(above, unseen)
            is_shared = cache(partial(self._is_shared, above))
            if above and not ENVIRONMENT.isdisjoint(entry.name for entry in entries):
                continue
            for entry in entries:
                path = f"{above}/{entry.name}" if above else entry.name
                try:
                    looked = self._kind(entry, path, is_shared)
                except OSError as error:
                    if not _says_gone(error):
                        unseen.append(above)
                    continue
                if looked is None:
                    continue
                left -= 1
                if left < 0:
                    unseen += [above, *waiting]
                    return
                if isinstance(looked, Looked):
                    yield looked
                else:
                    waiting.append(looked)

    def look(self, path: str) -> Looked | None:
        """Look at a file."""
        if not is_wanted(path) or not self._may_hold(path):
            return None
        found = self._status(path)
        return _looked(path, found) if found and stat.S_ISREG(found.st_mode) else None

    def exists(self, path: str) -> bool:
        """Tell whether there is a file or a folder."""
        return self._status(path) is not None

    def read(self, path: str) -> str:
        """Return the text of a file in UTF-8 that is not too long to be remembered."""
        with os.fdopen(os.open(self._at(path), _FLAGS), "rb") as file:
            found = os.fstat(file.fileno())
            # Another user may have replaced the file since it was found.
            is_foreign = not _is_own(found) and self._is_shared(path.rpartition("/")[0])
            if not stat.S_ISREG(found.st_mode) or is_foreign:
                return ""
            content = file.read(MOST_BYTES + 1)
        try:
            return content.decode("utf-8-sig") if len(content) <= MOST_BYTES else ""
        except UnicodeDecodeError:
            return ""

    def there(self, paths: Iterable[str], *, otherwise: bool) -> set[str]:
        """Return those that are there; `otherwise`: whether those count that there is no time to look at."""
        wanted = list(paths)
        seen: dict[str, bool] = {}
        ended, until = threading.Event(), time.monotonic() + _ANSWER_IN

        def look() -> None:
            for path in wanted:
                if time.monotonic() > until:
                    return
                try:
                    seen[path] = stat.S_ISREG(os.lstat(self._at(path)).st_mode)
                except (OSError, ValueError):
                    seen[path] = False
            ended.set()

        if wanted and _checks.submit(look):
            ended.wait(_ANSWER_IN)
        return {path for path in wanted if seen.get(path, otherwise)}

    def _kind(self, entry: os.DirEntry[str], path: str, is_shared: Callable[[], bool]) -> Looked | str | None:
        """Return a wanted file, the path of a wanted folder, or None."""
        if is_folder := entry.is_dir(follow_symlinks=False):
            wanted = is_wanted_folder(entry.name)
        else:
            wanted = is_wanted(path) and entry.is_file(follow_symlinks=False)
        if not wanted or not self._is_listed(entry.name):
            return None
        found = entry.stat(follow_symlinks=False)
        if not _is_own(found) and is_shared():
            return None
        return path if is_folder else _looked(path, found)

    def _entries(self, folder: str, unseen: list[str]) -> list[os.DirEntry[str]]:
        """Return what stands in a folder, as much of it as is looked at."""
        try:
            with os.scandir(self._at(folder)) as entries:
                found = list(islice(entries, MOST_IN_A_FOLDER + 1))
        except OSError as error:
            if not _says_gone(error):
                unseen.append(folder)
            elif not self._has_root():
                unseen.append("")
            return []
        if len(found) > MOST_IN_A_FOLDER:
            unseen.append(folder)
        return found

    def _has_root(self) -> bool:
        """Tell whether the root folder is there: a disk that is not mounted has lost no file."""
        try:
            os.scandir(self.root).close()
        except OSError:
            return False
        return True

    def _status(self, path: str) -> os.stat_result | None:
        """Return what the disk says of a path; None where nothing is there."""
        try:
            return os.lstat(self._at(path))
        except ValueError:
            return None
        except OSError as error:
            if _says_gone(error) and self._has_root():
                return None
            raise

    def _may_hold(self, path: str) -> bool:
        """Tell whether a path leads to its place by no link, and past nothing that is left out."""
        at, parts = self._at(path), path.split("/") if path else []
        try:
            if os.path.realpath(at) != at:
                return False
        except (OSError, ValueError):
            return False
        folders = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        for above, below in zip(("", *folders), folders, strict=False):
            with suppress(OSError):
                if not _is_own(os.lstat(self._at(below))) and self._is_shared(above):
                    return False
        return (
            all(map(self._is_listed, parts))
            and all(map(is_wanted_folder, parts[:-1]))
            and not any(
                os.path.lexists(self._at(f"{folder}/{name}")) for folder in folders for name in ENVIRONMENT
            )
        )

    def _is_shared(self, folder: str) -> bool:
        """Return whether other users may put files into a folder, as into /tmp."""
        try:
            return bool(os.stat(self._at(folder)).st_mode & (stat.S_IWGRP | stat.S_IWOTH))  # noqa: PTH116 - as elsewhere here
        except (OSError, ValueError):
            return False

    def _at(self, path: str) -> str:
        return os.path.join(self.root, *path.split("/")) if path else self.root  # noqa: PTH118 - many, and fast


def _is_own(found: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or found.st_uid == os.getuid()


def _says_gone(error: OSError) -> bool:
    """Tell whether an error says that nothing is there; any other may be over in a moment."""
    return isinstance(error, FileNotFoundError | NotADirectoryError)


def _looked(path: str, found: os.stat_result) -> Looked:
    return Looked(path, f"{found.st_mtime_ns} {found.st_size}", found.st_mtime, found.st_size)
