"""Helpers for tests of the index: building it, and reading its content."""

import sqlite3
from contextlib import closing
from pathlib import Path

from jupyter_turbopilot.index.build import Builder
from jupyter_turbopilot.index.local_files import LocalFiles
from jupyter_turbopilot.index.reader import MaintainedIndex
from jupyter_turbopilot.index.store import IndexStore
from jupyter_turbopilot.util.sqlite_file import is_busy

from ..waiting import until

__all__ = ["built", "known", "look_again", "rests", "settled", "until"]


def known(place: Path) -> set[str]:
    """Return the indexed paths."""
    while place.is_file():
        try:
            with closing(IndexStore(place, looking=True)) as store:
                return set(store.stamps())
        except sqlite3.Error as error:  # the builder may lock it for longer than a lookup waits
            if not is_busy(error):
                raise
    return set()


def settled(builder: Builder) -> bool:
    """Return whether the thread is idle."""
    waiting = builder._changed or builder._first or builder._todo
    return builder._seen > 0 and not waiting


def look_again(builder: Builder, store: IndexStore) -> None:
    """Make a builder scan the folder and read new files, as it does while the index is in use."""
    builder._scans, builder._due = 1, float("-inf")
    builder._work(store)


def built(root: Path) -> MaintainedIndex:
    """Return the complete index of a folder."""
    notebook_index = MaintainedIndex(LocalFiles(root))
    notebook_index.builder._rushing = True
    with closing(notebook_index.builder._open()) as store:
        notebook_index.builder._work(store)
    return notebook_index


def rests(notebook_index: MaintainedIndex, begun: str) -> list[str]:
    """Return the continuations of a line for another notebook."""
    return [one.rest for one in notebook_index.continuations("python", begun, "", path="x.ipynb", modules=[])]
