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
    """A folder with everything in it. Called on the thread that builds; any call may take its time."""

    root: str  # for a person to read
    identity: str  # what tells it from other folders

    def walk(self, folder: str = "") -> Iterator[Looked]:
        """Iterate over the files under a folder that may be remembered."""

    def look(self, path: str) -> Looked | None:
        """Look at a file; None where there is none that may be remembered."""

    def stamp(self, path: str) -> str | None:
        """Return the state of a file that was looked at before; None where it is gone."""

    def read(self, path: str) -> str:
        """Return the text of a file; empty where it cannot be read."""

    def there(self, paths: Iterable[str]) -> Collection[str]:
        """Return those of some paths that still are, as far as can be told in a few milliseconds."""
