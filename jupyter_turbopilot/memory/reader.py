"""Answers what is asked of the memory out of the index; what is gone from the disk is not told."""

from __future__ import annotations

import logging
import math
import sqlite3
import threading
from collections import Counter, defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from jupyter_turbopilot.memory.base import Sighting
from jupyter_turbopilot.memory.entries import SHORTEST_BEGINNING, words_of
from jupyter_turbopilot.memory.store import Store
from jupyter_turbopilot.request import Document

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from jupyter_turbopilot.memory.store import FoundEntry, Seen

log = logging.getLogger(__name__)

MOST_DOCUMENTS, MOST_IMPORTS = 24, 8
MOST_WORDS = 64  # that are looked for
_RANKED = 96  # entries that are compared by their whole text

T = TypeVar("T")


class Reader:
    """The memory of one root folder, as those ask it who complete.

    `is_there` tells of paths which of them still are; a file that cannot be read remembers nothing.
    """

    def __init__(self, path: Path, is_there: Callable[[Iterable[str]], Collection[str]]) -> None:
        self._path = path
        self._is_there = is_there
        self._lock = threading.Lock()
        self._store: Store | None = None

    def continuations(
        self, language: str, begun: str, above: str, *, path: str, modules: Collection[str]
    ) -> Sequence[Sighting]:
        """Return how a line goes on in other documents: in most of them first."""
        start = begun.lstrip()
        if len(start) < SHORTEST_BEGINNING:
            return ()
        seen = self._asked(lambda store: store.lines(language, start, above.strip(), _file(path))) or []
        ways: defaultdict[str, list[Seen]] = defaultdict(list)
        for line in seen:
            ways[line.text[len(start) :]].append(line)
        there = self._is_there({line.path for line in seen})
        wanted = frozenset(modules)
        sightings = (
            _sighting(rest, kept, wanted)
            for rest, lines in ways.items()
            if (kept := [line for line in lines if line.path in there])
        )
        return sorted(sightings, key=lambda one: (-one.above, -one.documents, -one.times, one.rest))

    def similar(
        self, language: str, words: Collection[str], *, leaving: Collection[str]
    ) -> Sequence[Document]:
        """Return the cells and blocks that have most of the rarer words in common with those given."""
        found = self._asked(lambda store: _ranked(store, sorted(words)[:MOST_WORDS])) or []
        unwanted = {*map(_file, leaving)}
        fitting = [one for one in found if one.entry.language == language and one.path not in unwanted]
        there = self._is_there({one.path for one in fitting[:MOST_DOCUMENTS]})
        return [
            Document(path=one.path, language=language, source=one.entry.source)
            for one in fitting[:MOST_DOCUMENTS]
            if one.path in there
        ]

    def there(self, paths: Collection[str]) -> Collection[str]:
        """Return those of the paths that are still remembered."""
        known = self._asked(lambda store: [path for path in paths if store.stamp(path) is not None]) or []
        return self._is_there(known)

    def imports(self, name: str) -> Sequence[tuple[str, int]]:
        """Return the imports that bind a name: those of most documents first."""
        found = self._asked(lambda store: store.imports(name)) or []
        there = self._is_there({path for _, path in found})
        counted = Counter(line for line, path in found if path in there)
        return sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:MOST_IMPORTS]

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._let_go()

    def _asked(self, ask: Callable[[Store], T]) -> T | None:
        """Return what the index says; nothing where there is none, or another process holds it."""
        with self._lock:
            try:
                store = self._opened()
                return ask(store) if store else None
            except (OSError, sqlite3.Error) as error:
                log.debug("Turbopilot: the index of your code says nothing: %s", error)
                self._let_go()
                return None

    def _opened(self) -> Store | None:
        if self._store and not self._store.is_in_place():
            self._let_go()
        if self._store is None and self._path.is_file():
            self._store = Store(self._path, looking=True)
        return self._store

    def _let_go(self) -> None:
        store, self._store = self._store, None
        if store:
            with suppress(sqlite3.Error):
                store.close()


def _file(path: str) -> str:
    """Return a path as the index has it: a front end may put a drive before it."""
    return path.rpartition(":")[2].strip("/")


def _sighting(rest: str, lines: Sequence[Seen], modules: frozenset[str]) -> Sighting:
    shared = max(len(modules & line.modules) for line in lines)
    return Sighting(
        rest=rest,
        times=sum(line.times for line in lines),
        documents=len({line.path for line in lines}),
        above=any(line.same_above for line in lines),
        modified=max(line.modified for line in lines),
        imports=shared / len(modules) if modules else 0.0,
    )


def _ranked(store: Store, words: Sequence[str]) -> list[FoundEntry]:
    """Return the entries with most of the words; a word counts the more the fewer have it."""
    scores: defaultdict[int, float] = defaultdict(float)
    for word in words:
        having = store.having(word)
        for number in having:
            scores[number] += 1 / len(having)
    best = sorted(scores, key=lambda number: (-scores[number], -number))[:_RANKED]
    found = {number: one for number in best if (one := store.entry(number))}

    def relevance(number: int) -> float:
        return scores[number] / math.sqrt(1 + len(words_of(found[number].entry.source)))

    return [found[number] for number in sorted(found, key=lambda number: (-relevance(number), -number))]
