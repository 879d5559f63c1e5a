"""What the memory answers, and the interface of the source that it is built from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from collections.abc import Set as AbstractSet


MOST_ABOVE = 6  # cells above the active one by which what follows is looked for


@dataclass(frozen=True)
class Sighting:
    """One way in which a line goes on in what the person wrote before."""

    rest: str  # what follows on the line
    times: int  # how often it stands there
    documents: int  # in how many documents
    above: bool  # whether the line before it is the same, too
    modified: float  # when the newest of these documents was changed (time.time())
    imports: float  # share of the asking notebook's imported modules that these documents import, too


@dataclass(frozen=True)
class Looked:
    """A file that may be remembered, without its content."""

    path: str  # relative to the root folder, with `/` between its parts
    stamp: str  # another one when it has changed
    modified: float
    size: int | None  # bytes, where that is known


class Source(Protocol):
    """A folder with everything in it. Called on the thread that builds; any call may take its time.

    An OSError says that it cannot be told now what is there: nothing is known to be gone, then.
    """

    root: str  # for a person to read
    identity: str  # what tells it from other folders

    def walk(self, folder: str = "", unseen: list[str] | None = None) -> Iterator[Looked]:
        """Iterate over the files under a folder that may be remembered.

        To `unseen` are added those folders of which not everything could be seen; "" is the root folder.
        """

    def look(self, path: str) -> Looked | None:
        """Look at a file; None where there is none that may be remembered."""

    def exists(self, path: str) -> bool:
        """Tell whether there is a file or a folder."""

    def read(self, path: str) -> str:
        """Return the text of a file; empty where it is none."""

    def there(self, paths: Iterable[str], *, otherwise: bool) -> AbstractSet[str]:
        """Return those of some paths that still are.

        That takes a few milliseconds at most; `otherwise` says whether those count that cannot be looked at
        in that time.
        """


def is_under(path: str, folders: Collection[str]) -> bool:
    """Tell whether a path is one of some paths, or in a folder that is; "" is the root folder."""
    if not folders:
        return False
    end = len(path)
    while end > 0:
        if path[:end] in folders:
            return True
        end = path.rfind("/", 0, end)
    return "" in folders
