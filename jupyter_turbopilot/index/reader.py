"""Lookups in the index; results from deleted files are left out."""

from __future__ import annotations

import logging
import secrets
import sqlite3
import threading
import time
from collections import defaultdict
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from jupyter_turbopilot.analysis.lines import SHORTEST_BEGINNING, Continuation
from jupyter_turbopilot.index.build import WHY_DELETED, Builder, BuildProgress
from jupyter_turbopilot.index.paths import deletion_mark, indexes, path_of
from jupyter_turbopilot.index.store import SCHEMA, IndexStore
from jupyter_turbopilot.util.notebook_file import equivalent_paths
from jupyter_turbopilot.util.sqlite_file import is_busy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from jupyter_turbopilot.engine.cpu_usage import Pause
    from jupyter_turbopilot.index.local_files import LocalFiles
    from jupyter_turbopilot.index.store import IndexedLine

log = logging.getLogger(__name__)
_END = 0.2  # seconds that close() waits for a lookup
_DAY = 86_400.0  # seconds
T = TypeVar("T")


class NotebookIndex:
    """The index of one root folder, for lookups.

    `is_there` returns the paths that still exist; where there is no time to check all, it checks the first
    ones. An unreadable index returns no results. It is used on worker threads; each method returns in a few
    milliseconds.
    """

    def __init__(self, path: Path, is_there: Callable[[Iterable[str]], AbstractSet[str]]) -> None:
        self._is_there = is_there
        self._connection = _Connection(path)

    def continuations(
        self, language: str, begun: str, above: str, *, path: str, modules: Collection[str]
    ) -> Sequence[Continuation]:
        """Return the continuations of a line in other documents than `path`, the most frequent first.

        `above` is the line before it, `modules` the modules that the current notebook imports.
        """
        start = begun.lstrip()
        if len(start) < SHORTEST_BEGINNING:
            return ()
        seen = self._connection.ask(
            lambda store: store.lines(language, start, above.strip(), _known(store, path))
        )
        candidates: defaultdict[str, list[IndexedLine]] = defaultdict(list)
        for line in seen or ():
            candidates[line.text[len(start) :]].append(line)
        there = self._is_there(dict.fromkeys(line.path for line in seen or ()))
        wanted = frozenset(modules)
        matches = (
            _continuation(rest, kept, wanted)
            for rest, lines in candidates.items()
            if (kept := [line for line in lines if line.path in there])
        )
        return sorted(matches, key=lambda one: (-one.above, -one.documents, -one.times, one.rest))

    def imports(
        self, name: str, *, folder: str | None = None, leaving: Collection[str] = ()
    ) -> Sequence[tuple[str, int]]:
        """Return the import lines that bind a name with the number of their documents, most frequent first.

        With `folder`, only documents directly in it count ("." is the root); those in `leaving` never do.
        """
        found = self._connection.ask(lambda store: store.imports(name, folder, leaving)) or []
        there = self._is_there(dict.fromkeys(path for one in found for path in one.paths))
        counted = (
            (one.line, one.documents - sum(path not in there for path in one.paths))
            for one in found
            if not there.isdisjoint(one.paths)
        )
        return sorted(counted, key=lambda one: (-one[1], one[0]))

    def close(self) -> None:
        """Close the database."""
        self._connection.close()


class _Connection:
    """A connection to the index, shared by threads one at a time; open while the file exists."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._store: IndexStore | None = None
        self._closed = False

    def ask(self, ask: Callable[[IndexStore], T]) -> T | None:
        """Return the result of a lookup; None if there is no index or another process locks it."""
        with self._lock:
            try:
                if not (store := self._opened()):
                    return None
                with store.transaction("DEFERRED"):  # one lock for all queries
                    return ask(store)
            except (OSError, ValueError, sqlite3.Error) as error:
                log.debug("Turbopilot: a lookup in the index of your code failed: %s", error)
                if not is_busy(error):
                    self._close_store()
                return None

    def close(self) -> None:
        """Close the database, unless a lookup takes long: it is closed when the process exits then."""
        self._closed = True
        if self._lock.acquire(timeout=_END):
            self._close_store()
            self._lock.release()

    def _opened(self) -> IndexStore | None:
        if self._store and not self._store.is_in_place():
            self._close_store()
        if self._store is None and self._path.is_file() and not self._closed:
            self._store = IndexStore(self._path, looking=True)
            if self._store.version() != SCHEMA.version:  # another version of Turbopilot has replaced it
                self._close_store()
        return self._store

    def _close_store(self) -> None:
        store, self._store = self._store, None
        if store:
            with suppress(sqlite3.Error):
                store.close()


def _known(store: IndexStore, path: str) -> str:
    """Return the form of a path that the index uses."""
    return next((name for name in equivalent_paths(path) if store.stamp(name) is not None), path)


def _continuation(rest: str, lines: Sequence[IndexedLine], modules: frozenset[str]) -> Continuation:
    shared = max(len(modules & line.modules) for line in lines)
    age = time.time() - max(line.modified for line in lines)
    return Continuation(
        rest=rest,
        times=sum(line.times for line in lines),
        documents=len({line.path for line in lines}),
        above=any(line.same_above for line in lines),
        days=max(0.0, age) / _DAY,  # the clock may have been wrong
        imports=shared / len(modules) if modules else 0.0,
    )


class MaintainedIndex(NotebookIndex):
    """The index of one folder, kept up to date by a builder.

    `allows` limits what is indexed and returned, `pause` and `asked` when files are read (see `Builder`).
    `denied` identifies the denied paths: servers with different ones would remove each other's files from
    the index.
    """

    def __init__(
        self,
        source: LocalFiles,
        *,
        pause: Callable[[], Pause | None] = lambda: None,
        asked: Callable[[], int] = lambda: 0,
        allows: Callable[[str], bool] = lambda _: True,
        denied: str = "",
    ) -> None:
        self.source = source
        self._allows = allows
        path = path_of(source.identity, denied)
        self._new_builder = partial(Builder, path, source, pause=pause, asked=asked, allows=allows)
        self._replacing = threading.Lock()
        self.builder = self._new_builder()
        super().__init__(self.builder.path, self._on_the_disk)

    def delete(self) -> None:
        """Stop indexing and delete the content of the index; it stays empty until `build_again`.

        The indexes of the same files with other denied paths are cleared, too.
        Raises OSError, NotImplementedError or sqlite3.Error if the index cannot be deleted.
        """
        with self._replacing:
            self.builder.close()
            self.builder = self._new_builder()
            try:
                for path in dict.fromkeys((self.builder.path, *indexes(self.source.identity))):
                    SCHEMA.prepare(path)
                    with closing(IndexStore(path)) as store, store.transaction():
                        store.clear(secrets.token_hex(8))
                        deletion_mark(self.source.identity).touch(0o600)
            except (OSError, NotImplementedError, sqlite3.Error):
                self.builder.start()
                raise
            self.builder.progress = BuildProgress(error=WHY_DELETED)

    def build_again(self) -> None:
        """Build an index that the user has deleted or cleared."""
        with self._replacing:
            # Another server may have deleted the index, and this one's builder may not have noticed yet.
            if self.builder.progress.error or deletion_mark(self.source.identity).exists():
                self.builder.close()
                self.builder = self._new_builder(again=True)
                self.builder.start()

    def close(self) -> None:
        """Stop the builder and close the index."""
        self.builder.close()
        super().close()

    def _on_the_disk(self, paths: Iterable[str]) -> AbstractSet[str]:
        """Return the allowed paths that exist; without time to check, the result of the last scan counts."""
        seen_lately = self.builder.used()
        certain = [path for path in paths if self._allows(path) and not self.builder.may_be_deleted(path)]
        return self.source.there(certain, otherwise=seen_lately)
