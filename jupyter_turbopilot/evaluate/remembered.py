"""What a person remembers who types a notebook: others, without it and those that are much the same."""

from __future__ import annotations

import json
import os
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.memory.entries import lines_of, page_of
from jupyter_turbopilot.memory.left_out import MOST_BYTES, is_wanted, is_wanted_folder
from jupyter_turbopilot.memory.reader import Memory
from jupyter_turbopilot.memory.store import SCHEMA, Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.context.notebook_file import Notebook
    from jupyter_turbopilot.memory.entries import Page

SIBLINGS = "siblings"
FAMILY = "__"  # what stands before it in a name is what siblings share


@dataclass(frozen=True)
class Other:
    """A file that may be remembered."""

    path: str
    text: str
    modified: float

    @cached_property
    def page(self) -> Page:
        """What is remembered of it."""
        return page_of(self.path, self.text)

    @cached_property
    def lines(self) -> frozenset[str]:
        """Its lines."""
        return frozenset(line.text for entry in self.page.entries for line in lines_of(entry.source))


def of_notebook(notebook: Notebook, modified: float) -> Other:
    """Return a notebook as a file."""
    cells = [{"cell_type": cell.type, "source": cell.source} for cell in notebook.cells]
    metadata = {"language_info": {"name": notebook.language}}
    return Other(notebook.name, json.dumps({"cells": cells, "metadata": metadata}), modified)


def in_folder(folder: Path) -> Iterator[Other]:
    """Read what is remembered of a folder; what cannot be read is passed over."""
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(filter(is_wanted_folder, folders))
        for name in sorted(names):
            path = Path(at, name)
            relative = path.relative_to(folder).as_posix()
            try:
                # Reading a pipe or a device would not end.
                if is_wanted(relative) and path.is_file() and path.stat().st_size <= MOST_BYTES:
                    yield Other(relative, path.read_text("utf-8"), path.stat().st_mtime)
            except (OSError, ValueError):
                continue


def much_the_same(one: Other, other: Other) -> bool:
    """Tell whether half of the lines of either file stand in the other."""
    return 2 * len(one.lines & other.lines) >= min(len(one.lines), len(other.lines))


class Shelf:
    """What is remembered beside each typed notebook: a folder, or the notebooks whose name begins alike."""

    def __init__(self, source: str, notebooks: Sequence[Notebook]) -> None:
        now = time.time()
        self._typed = {notebook.name: of_notebook(notebook, now) for notebook in notebooks}
        self._siblings = source == SIBLINGS
        if not self._siblings and not Path(source).is_dir():
            raise BadRequestError(f"There is no folder {source}. Name one, or `{SIBLINGS}`.")
        self._others = [*self._typed.values()] if self._siblings else [*in_folder(Path(source))]
        self._folder = tempfile.TemporaryDirectory(prefix="turbopilot-")
        self._indexes: dict[str, Path] = {}
        self._readers: dict[str, Memory] = {}

    def beside(self, name: str) -> Memory:
        """Return what is remembered while a notebook is typed."""
        if name not in self._readers:
            there = frozenset(other.path for other in self.others(name))
            self._readers[name] = Memory(self._index(self._family(name)), there.intersection)
        return self._readers[name]

    def _family(self, name: str) -> str:
        return name.partition(FAMILY)[0] if self._siblings else ""

    def _index(self, family: str) -> Path:
        """Return the index of a family, or of the whole folder."""
        if family not in self._indexes:
            self._indexes[family] = path = Path(self._folder.name, f"{len(self._indexes)}.db")
            SCHEMA.prepare(path)
            with closing(Store(path)) as store:
                for other in self._others:
                    if self._family(other.path) == family:
                        store.put(other.path, "", other.modified, other.page)
        return self._indexes[family]

    def others(self, name: str) -> list[Other]:
        """Return what is not the notebook itself, nor much the same."""
        typed = self._typed[name]
        return [
            other
            for other in self._others
            if other.path != name
            and self._family(other.path) == self._family(name)
            and not much_the_same(other, typed)
        ]

    def close(self) -> None:
        """Delete the indexes."""
        for reader in self._readers.values():
            reader.close()
        self._folder.cleanup()
