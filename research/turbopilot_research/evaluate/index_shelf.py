"""The same cells typed with and without a notebook index: of other notebooks, except near-duplicates."""

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

from jupyter_turbopilot.analysis.kernel_context import NONE
from jupyter_turbopilot.analysis.lines import lines_of
from jupyter_turbopilot.completer.plan import Admission
from jupyter_turbopilot.completer.reply_iterators import Replies
from jupyter_turbopilot.index.entries import page_of
from jupyter_turbopilot.index.excluded import MOST_BYTES, is_wanted, is_wanted_folder
from jupyter_turbopilot.index.reader import NotebookIndex
from jupyter_turbopilot.index.store import SCHEMA, IndexStore
from jupyter_turbopilot.protocol.errors import BadRequestError
from turbopilot_research.evaluate.replay import (
    TypingResult,
    focus_of,
    in_real_time,
    replay_trace,
    steady,
)
from turbopilot_research.evaluate.sources import OwnSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.analysis.kernel_context import KernelContext
    from jupyter_turbopilot.completer.reply_iterators import Listener
    from jupyter_turbopilot.index.entries import Page
    from jupyter_turbopilot.protocol.reply import Reply
    from jupyter_turbopilot.protocol.request import Completion
    from jupyter_turbopilot.terminal.in_process import InProcess
    from jupyter_turbopilot.util.notebook_file import Notebook
    from turbopilot_research.evaluate.traces import Trace

SIBLINGS = "siblings"
SIBLING_SEPARATOR = "__"  # siblings have the same name up to this separator


@dataclass(frozen=True)
class Other:
    """A file that may be indexed."""

    path: str
    text: str
    modified: float

    @cached_property
    def page(self) -> Page:
        """The index entries of the file."""
        return page_of(self.path, self.text)

    @cached_property
    def lines(self) -> frozenset[str]:
        """The indexed lines of the file."""
        return frozenset(line.text for entry in self.page for line in lines_of(entry.source))


def of_notebook(notebook: Notebook, modified: float) -> Other:
    """Return a notebook as a file."""
    cells = [{"cell_type": cell.type, "source": cell.source} for cell in notebook.cells]
    metadata = {"language_info": {"name": notebook.language}}
    return Other(notebook.name, json.dumps({"cells": cells, "metadata": metadata}), modified)


def in_folder(folder: Path) -> Iterator[Other]:
    """Iterate over the indexable files of a folder; skip unreadable files."""
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(filter(is_wanted_folder, folders))
        for name in sorted(names):
            path = Path(at, name)
            relative = path.relative_to(folder).as_posix()
            try:
                # Reading a pipe or a device would block.
                if is_wanted(relative) and path.is_file() and path.stat().st_size <= MOST_BYTES:
                    yield Other(relative, path.read_text("utf-8"), path.stat().st_mtime)
            except (OSError, ValueError):
                continue


def is_near_duplicate(one: Other, other: Other) -> bool:
    """Return whether half of the lines of either file occur in the other."""
    return 2 * len(one.lines & other.lines) >= min(len(one.lines), len(other.lines))


class IndexShelf:
    """The index for each typed notebook: a folder, or notebooks with the same name up to a separator."""

    def __init__(self, source: str, notebooks: Sequence[Notebook]) -> None:
        now = time.time()
        self._typed = {notebook.name: of_notebook(notebook, now) for notebook in notebooks}
        self._siblings = source == SIBLINGS
        if not self._siblings and not Path(source).is_dir():
            raise BadRequestError(f"There is no folder {source}. Pass an existing one, or `{SIBLINGS}`.")
        self._others = [*self._typed.values()] if self._siblings else [*in_folder(Path(source))]
        self._folder = tempfile.TemporaryDirectory(prefix="turbopilot-")
        self._indexes: dict[str, Path] = {}
        self._readers: dict[str, NotebookIndex] = {}

    def index_for(self, name: str) -> NotebookIndex:
        """Return the index to use while a notebook is typed."""
        if name not in self._readers:
            there = frozenset(other.path for other in self.others(name))
            self._readers[name] = NotebookIndex(self._index(self._family(name)), there.intersection)
        return self._readers[name]

    def _family(self, name: str) -> str:
        return name.partition(SIBLING_SEPARATOR)[0] if self._siblings else ""

    def _index(self, family: str) -> Path:
        """Return the index of a family, or of the whole folder."""
        if family not in self._indexes:
            self._indexes[family] = path = Path(self._folder.name, f"{len(self._indexes)}.db")
            SCHEMA.prepare(path)
            with closing(IndexStore(path)) as store:
                for other in self._others:
                    if self._family(other.path) == family:
                        store.put(other.path, "", other.modified, other.page)
        return self._indexes[family]

    def others(self, name: str) -> list[Other]:
        """Return the files that are neither the notebook itself nor near-duplicates."""
        typed = self._typed[name]
        return [
            other
            for other in self._others
            if other.path != name
            and self._family(other.path) == self._family(name)
            and not is_near_duplicate(other, typed)
        ]

    def close(self) -> None:
        """Delete the indexes."""
        for reader in self._readers.values():
            reader.close()
        self._folder.cleanup()


class _IndexedSource(OwnSource):
    """The engine in this process, with a notebook index."""

    def __init__(self, local: InProcess, notebook_index: NotebookIndex | None) -> None:
        super().__init__(local)
        self._index = notebook_index

    def submit(self, request: Completion, listener: Listener, kernel_context: KernelContext = NONE) -> None:
        admission = Admission(kernel_context=kernel_context, notebook_index=self._index)
        self.local.pilot.completer.submit(request, listener, admission)

    def last(self, request: Completion, kernel_context: KernelContext = NONE) -> Reply:
        replies = Replies()
        self.submit(request, replies.listen, kernel_context)
        reply = replies.last()
        if reply.error:
            raise reply.error
        return reply


def with_and_without(
    local: InProcess,
    traces: Sequence[Trace],
    shelf: IndexShelf,
    tell: Callable[[str], None],
    key: float = 0.0,
) -> tuple[TypingResult, TypingResult]:
    """Replay each trace with and without the index of its notebook, alternately.

    `key`: seconds between two keystrokes in real time; 0: wait for each answer.
    """
    results = TypingResult(), TypingResult()
    for number, trace in enumerate(traces):
        ways = zip(results, (shelf.index_for(trace.name), None), strict=True)
        for typed, notebook_index in [*ways][:: -1 if number % 2 else 1]:
            # Clear the cache: cached completions would distort the text.
            local.pilot.completer.results.clear()
            source = _IndexedSource(local, notebook_index)
            if key:
                in_real_time(source, [trace], lambda _: None, steady(key, number), typed=typed)
                continue
            source.last(focus_of(trace))
            replay_trace(source, trace, typed)
        tell(trace.name)
    return results
