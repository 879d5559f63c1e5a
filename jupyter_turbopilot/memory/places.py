"""Where indexes are: one for each root folder, in the person's folder for data."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import platformdirs

from jupyter_turbopilot.files import MEGABYTE, size_of
from jupyter_turbopilot.memory.store import SCHEMA

DAY = 24 * 3600.0  # seconds; a server says each day that it uses an index
MOST_BYTES = 500 * MEGABYTE  # of all indexes; those used last are kept
_ENDING = ".db"
_OLD = 90 * DAY  # after which an index that no server has used is deleted


def folder() -> Path:
    """Return the folder that indexes are in."""
    return Path(platformdirs.user_data_dir("jupyter-turbopilot", appauthor=False)) / "memory"


def place_of(identity: str) -> Path:
    """Return where the index of a root folder is; nothing of one is in that of another."""
    digest = blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return folder() / f"{digest}{_ENDING}"


def indexes() -> list[Path]:
    """Return the indexes that there are."""
    return sorted(path for path in folder().glob(f"*{_ENDING}") if _is_index(path))


def index_files(index: Path | None = None) -> list[Path]:
    """Return every file that belongs to an index, finished or not; of all indexes, unless one is named."""
    if index:
        return _files(index)
    names = set(folder().glob(f"*{_ENDING}"))
    names |= {
        path.with_name(path.name.removeprefix(".").removesuffix(".lock")) for path in folder().glob(".*.lock")
    }
    return sorted({file for path in names for file in _files(path)})


def delete_old(besides: Path) -> None:
    """Delete the indexes that no server has used for long, and those used longest ago of too many."""
    used = sorted((_used(path), path) for path in indexes() if path != besides)
    left, now = MOST_BYTES, time.time()
    for when, path in reversed(used):
        left -= size_of_index(path)
        if now - when > (_OLD if left >= 0 else 2 * DAY):
            for file in _files(path):
                with suppress(OSError):
                    file.unlink(missing_ok=True)


def size_of_index(path: Path) -> int:
    """Return the bytes of an index with what belongs to it."""
    return sum(map(size_of, _files(path)))


def _is_index(path: Path) -> bool:
    """Tell whether a file is an index that this person can use: others may have put theirs there."""
    try:
        return SCHEMA.is_ours(path)
    except (OSError, sqlite3.Error):
        return False


def _files(path: Path) -> list[Path]:
    try:
        return SCHEMA.belonging(path)
    except (OSError, sqlite3.Error):
        return []


def _used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another server has deleted it
        return 0.0
