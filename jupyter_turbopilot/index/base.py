"""Results of index lookups, and the interface of the sources that are indexed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from collections.abc import Set as AbstractSet


MOST_ABOVE = 6  # cells above the active one that are compared with indexed cells


@dataclass(frozen=True)
class IndexMatch:
    """A continuation of a line that occurs in indexed documents."""

    rest: str  # the rest of the line
    times: int  # number of occurrences
    documents: int  # number of documents that contain it
    above: bool  # whether it also occurs below the same preceding line
    modified: float  # modification time of the newest of these documents (time.time())
    imports: float  # share of the current notebook's imported modules that these documents also import


@dataclass(frozen=True)
class FileInfo:
    """Metadata of a file that may be indexed."""

    path: str  # relative to the root folder, separated by `/`
    stamp: str  # changes whenever the file changes
    modified: float
    size: int | None  # bytes, None if unknown


class Source(Protocol):
    """A folder tree to index. The indexing thread calls it; calls may block.

    An OSError means that the state is unknown at the moment: no file counts as deleted then.
    """

    root: str  # for display
    identity: str  # unique for each source
    reads_from_disk: bool  # whether `read` reads a file on the disk, of limited size

    def walk(self, unseen: list[str]) -> Iterator[FileInfo]:
        """Iterate over the files that may be indexed.

        Folders that could not be listed completely are added to `unseen`; "" is the root folder.
        """

    def look(self, path: str) -> FileInfo | None:
        """Return a file's metadata; None if it does not exist or must not be indexed.

        Raise IsADirectoryError for a folder.
        """

    def read(self, path: str) -> str:
        """Return the text of a file; empty if it is not text."""

    def there(self, paths: Iterable[str], *, otherwise: bool) -> AbstractSet[str]:
        """Return the paths that still exist.

        The call takes a few milliseconds at most; `otherwise` is the result for paths that could not be
        checked in that time.
        """


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
