"""What is asked of an index again and again in tests: that it is built, and what it knows."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from jupyter_turbopilot.memory.build import Builder
from jupyter_turbopilot.memory.kept import KeptMemory
from jupyter_turbopilot.memory.local_files import LocalFiles
from jupyter_turbopilot.memory.store import Store

SECONDS = 60.0


def until(true: Callable[[], bool]) -> None:
    """Wait for something."""
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def known(place: Path) -> set[str]:
    """Return the paths that an index knows."""
    if not place.is_file():
        return set()
    while True:
        try:
            with closing(Store(place, looking=True)) as store:
                return set(store.stamps())
        except sqlite3.OperationalError:  # locked: the builder writes
            time.sleep(0.01)


def settled(builder: Builder) -> bool:
    """Tell whether the thread has nothing to do, and waits."""
    waiting = builder._changed or builder._unseen or builder._first or builder._todo
    return builder._seen > 0 and not waiting


def look_again(builder: Builder, store: Store) -> None:
    """Have a builder look at everything, as it does while somebody works, and read what is new."""
    builder._looks, builder._due = 1, float("-inf")
    builder._work(store)


def built(root: Path) -> KeptMemory:
    """Return the memory of a folder, all of which was read."""
    memory = KeptMemory(LocalFiles(root))
    memory.builder._rushing = True
    with closing(memory.builder._open()) as store:
        memory.builder._work(store)
    return memory


def rests(memory: KeptMemory, begun: str) -> list[str]:
    """Return how a line goes on, as a notebook is told that is elsewhere."""
    return [one.rest for one in memory.continuations("python", begun, "", path="x.ipynb", modules=[])]
