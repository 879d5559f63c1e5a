"""Where a person's notebooks and files are read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

MOST_LOOKED_AT = 200_000  # files and folders, wanted or not


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

    def walk(self, folder: str = "") -> Iterator[Looked]:
        """Iterate over the files under a folder that may be remembered."""

    def look(self, path: str) -> Looked | None:
        """Look at a file; None where there is none that may be remembered."""

    def stamp(self, path: str) -> str | None:
        """Return the state of a file that was looked at before; None where it is gone."""

    def stamps(self, paths: Collection[str]) -> Iterator[tuple[str, str | None]]:
        """Iterate over files that were looked at before, each with its state."""

    def read(self, path: str) -> str:
        """Return the text of a file; empty where it cannot be read."""

    def there(self, paths: Iterable[str], *, otherwise: bool) -> Collection[str]:
        """Return those of some paths that still are.

        That takes a few milliseconds at most; `otherwise` says whether those count that cannot be looked at
        in that time.
        """
