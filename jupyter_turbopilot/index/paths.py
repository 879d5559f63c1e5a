"""Location of the indexes: one for each root folder, in the user's data folder."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import platformdirs

from jupyter_turbopilot.index.store import SCHEMA
from jupyter_turbopilot.util.files import MEGABYTE, size_of

DAY = 24 * 3600.0  # seconds between two marks that an index is in use
MOST_BYTES = 500 * MEGABYTE  # of all indexes; the most recently used are kept
_ENDING, _DELETED = ".db", ".deleted"
_OLD = 90 * DAY  # an index unused for so long is deleted


def folder() -> Path:
    """Return the folder of the indexes."""
    return Path(platformdirs.user_data_dir("jupyter-turbopilot", appauthor=False)) / "notebook-index"


def path_of(identity: str, denied: str = "") -> Path:
    """Return the path of a folder's index. `denied`: the identity of the denied paths."""
    return folder() / f"{_digest(identity)}{_digest(denied) if denied else ''}{_ENDING}"


def deletion_mark(identity: str) -> Path:
    """Return the path of the empty file that exists while the user wants no index of a source.

    It is not in the index, which is deleted when it is unused, damaged or of another version.
    """
    return folder() / f"{_digest(identity)}{_DELETED}"


def candidates(identity: str = "") -> list[Path]:
    """Return the files with names of indexes, or of those of one folder; they may be damaged or foreign."""
    return sorted(folder().glob(f"{_digest(identity) if identity else ''}*{_ENDING}"))


def indexes(identity: str = "") -> list[Path]:
    """Return the existing indexes, or those of one folder, whatever the denied paths."""
    return [path for path in candidates(identity) if _is_index(path)]


def index_files(index: Path | None = None) -> list[Path]:
    """Return the files of one index, or of all indexes, including unfinished ones and deletion marks."""
    if index:
        return _files(index)
    names = {*candidates()} | {
        path.with_name(path.name.removeprefix(".").removesuffix(".lock")) for path in folder().glob(".*.lock")
    }
    marks = {mark for mark in folder().glob(f"*{_DELETED}") if not size_of(mark)}
    return sorted(marks.union(*map(_files, names)))


def delete_old(besides: Path) -> None:
    """Delete unused indexes, and the least recently used ones beyond the total size."""
    used = sorted((_used(path), path) for path in indexes() if path != besides)
    left, now = MOST_BYTES, time.time()
    for when, path in reversed(used):
        left -= size_of_index(path)
        if now - when > (_OLD if left >= 0 else 2 * DAY):
            for file in _files(path):
                with suppress(OSError):
                    file.unlink(missing_ok=True)


def size_of_index(path: Path) -> int:
    """Return the size of an index in bytes, with its auxiliary files."""
    return sum(map(size_of, _files(path)))


def _digest(identity: str) -> str:
    return blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _is_index(path: Path) -> bool:
    """Return whether a file is an index that belongs to this user."""
    try:
        return SCHEMA.is_ours(path)
    except (OSError, sqlite3.Error):
        return False


def _files(path: Path) -> list[Path]:
    try:
        return SCHEMA.owned_files(path)
    except (OSError, sqlite3.Error):
        return []


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another server has deleted it
        return 0.0
