"""Notebooks and files in a folder on disk. Links are not followed: they may lead out or form cycles."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.index.excluded import ENVIRONMENT, MOST_BYTES, is_wanted, is_wanted_folder
from jupyter_turbopilot.util.lookups import LookupThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MOST_IN_A_FOLDER = 100_000  # directory entries read per folder
MOST_FOUND = 200_000  # folders and indexable files in one walk
_ANSWER_IN = 0.03  # seconds to check whether files exist while the user types
_FLAGS = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)

_checks = LookupThread()  # apart from index look-ups, which wait for it


@dataclass(frozen=True)
class FileInfo:
    """Metadata of a file that may be indexed."""

    path: str  # relative to the root folder, separated by `/`
    stamp: str  # changes whenever the file changes
    modified: float
    size: int  # bytes


class LocalFiles:
    """A folder on the disk.

    `is_listed` returns whether Jupyter shows a name; `hidden` identifies a rule other than Jupyter's
    default: folders with different rules do not share an index. An OSError means that the state is unknown at
    the moment: no file counts as deleted then.
    """

    def __init__(
        self, root: str | Path, is_listed: Callable[[str], bool] = lambda _: True, hidden: str = ""
    ) -> None:
        self.root = os.path.realpath(Path(root).expanduser())
        self.identity = f"folder {self.root}" + (f" without {hidden}" if hidden else "")
        self._is_listed = is_listed

    def walk(self, unseen: list[str]) -> Iterator[FileInfo]:
        """Iterate over the files that may be indexed.

        Folders that could not be listed completely are added to `unseen`; "" is the root folder.
        """
        waiting, left = deque([""]), MOST_FOUND
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
                    if not _is_not_found(error):
                        unseen.append(above)
                    continue
                if looked is None:
                    continue
                left -= 1
                if left < 0:
                    unseen += [above, *waiting]
                    return
                if isinstance(looked, FileInfo):
                    yield looked
                else:
                    waiting.append(looked)

    def look(self, path: str) -> FileInfo | None:
        """Return a file's metadata; None if it does not exist or must not be indexed.

        Raise IsADirectoryError for a folder.
        """
        found = self._status(path)
        if found and stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(path)
        if not (found and stat.S_ISREG(found.st_mode) and is_wanted(path) and self._is_reachable(path)):
            return None
        return _file_info(path, found)

    def read(self, path: str) -> str:
        """Return the text of a UTF-8 file; empty for other files and for those too large to index."""
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
        """Return the paths that exist; `otherwise` is the result for those not checked in time."""
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

    def _kind(
        self, entry: os.DirEntry[str], path: str, is_shared: Callable[[], bool]
    ) -> FileInfo | str | None:
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
        return path if is_folder else _file_info(path, found)

    def _entries(self, folder: str, unseen: list[str]) -> list[os.DirEntry[str]]:
        """Return the entries of a folder, up to the limit."""
        try:
            with os.scandir(self._at(folder)) as entries:
                found = list(islice(entries, MOST_IN_A_FOLDER + 1))
        except OSError as error:
            if not _is_not_found(error):
                unseen.append(folder)
            elif not self._has_root():
                unseen.append("")
            return []
        if len(found) > MOST_IN_A_FOLDER:
            unseen.append(folder)
        return found

    def _has_root(self) -> bool:
        """Return whether the root folder exists: an unmounted disk does not mean deleted files."""
        try:
            os.scandir(self.root).close()
        except OSError:
            return False
        return True

    def _status(self, path: str) -> os.stat_result | None:
        """Return the status of a path; None if nothing exists there."""
        try:
            return os.lstat(self._at(path))
        except ValueError:
            return None
        except OSError as error:
            if _is_not_found(error) and self._has_root():
                return None
            raise

    def _is_reachable(self, path: str) -> bool:
        """Return whether a walk would find the path: it contains no link and no excluded folder."""
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
        """Return whether other users can create files in a folder, as in /tmp."""
        try:
            return bool(os.stat(self._at(folder)).st_mode & (stat.S_IWGRP | stat.S_IWOTH))  # noqa: PTH116 - faster
        except (OSError, ValueError):
            return False

    def _at(self, path: str) -> str:
        return os.path.join(self.root, *path.split("/")) if path else self.root  # noqa: PTH118 - faster


def _is_own(found: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or found.st_uid == os.getuid()


def _is_not_found(error: OSError) -> bool:
    """Return whether an error means that nothing exists there; other errors may be temporary."""
    return isinstance(error, FileNotFoundError | NotADirectoryError)


def _file_info(path: str, found: os.stat_result) -> FileInfo:
    return FileInfo(path, f"{found.st_mtime_ns} {found.st_size}", found.st_mtime, found.st_size)
