"""Where indexes are: one for each root folder, in the person's folder for data."""

from __future__ import annotations

import time
from hashlib import blake2b
from pathlib import Path

import platformdirs

from jupyter_turbopilot.files import size_of
from jupyter_turbopilot.memory.store import belonging, is_ours

_ENDING = ".db"
_OLD = 90 * 24 * 3600.0  # seconds after which an index that no server has used is deleted


def folder() -> Path:
    """Return the folder that indexes are in."""
    return Path(platformdirs.user_data_dir("jupyter-turbopilot", appauthor=False)) / "memory"


def place_of(identity: str) -> Path:
    """Return where the index of a root folder is; nothing of one is in that of another."""
    digest = blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return folder() / f"{digest}{_ENDING}"


def indexes() -> list[Path]:
    """Return the indexes that there are."""
    return sorted(path for path in folder().glob(f"*{_ENDING}") if is_ours(path))


def index_files(index: Path | None = None) -> list[Path]:
    """Return every file that belongs to an index, finished or not; of all indexes, unless one is named."""
    if index:
        return belonging(index)
    names = set(folder().glob(f"*{_ENDING}"))
    names |= {
        path.with_name(path.name.removeprefix(".").removesuffix(".lock")) for path in folder().glob(".*.lock")
    }
    return sorted({file for path in names for file in belonging(path)})


def delete_old(besides: Path) -> None:
    """Delete the indexes of root folders that no server has used for long."""
    for path in indexes():
        if path != besides and time.time() - path.stat().st_mtime > _OLD:
            for file in belonging(path):
                file.unlink(missing_ok=True)


def size_of_index(path: Path) -> int:
    """Return the bytes of an index with what belongs to it."""
    return sum(map(size_of, belonging(path)))
