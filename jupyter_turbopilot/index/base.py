"""Metadata and paths of files that may be indexed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True)
class FileInfo:
    """Metadata of a file that may be indexed."""

    path: str  # relative to the root folder, separated by `/`
    stamp: str  # changes whenever the file changes
    modified: float
    size: int  # bytes


def is_under(path: str, folders: Collection[str]) -> bool:
    """Return whether a path is one of `folders` or inside one of them; "" is the root folder."""
    if not folders:
        return False
    end = len(path)
    while end > 0:
        if path[:end] in folders:
            return True
        end = path.rfind("/", 0, end)
    return "" in folders
