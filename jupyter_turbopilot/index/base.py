"""Results of index lookups, and metadata of files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True)
class Continuation:
    """A continuation of a line: in the notebook itself, and in indexed documents."""

    rest: str
    own: int = 0  # occurrences in the notebook itself
    own_above: bool = False  # whether one of them is below the same line
    times: int = 0  # occurrences in other documents
    documents: int = 0  # documents that contain it
    above: bool = False  # whether one of them has it below the same line
    days: float = 0.0  # since the newest of them was modified
    imports: float = 0.0  # share of the notebook's modules that they also import

    @property
    def weight(self) -> int:
        """Number of documents that contain it."""
        return self.documents + bool(self.own)


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
