"""Indexed cells for the prompt: chosen when a cell gets the focus, then kept to keep the prefix stable."""

from __future__ import annotations

import keyword
import threading
import time
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import structs

from jupyter_turbopilot.context.languages import cell_language
from jupyter_turbopilot.context.notebook import NEAR
from jupyter_turbopilot.index.base import MOST_ABOVE
from jupyter_turbopilot.index.entries import entries_of, words_of
from jupyter_turbopilot.util.bounds import LimitedDict, end_of
from jupyter_turbopilot.util.files import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.index.reader import NotebookIndex
    from jupyter_turbopilot.protocol.request import Cell, Completion, Document

MOST_WORDS = 128  # words of the cells above, in all, that are looked up
LOOKED_AT = 32  # cells above that are considered
MOST_KEPT = 256  # cells whose choice is kept
AGAIN = 25.0  # seconds after which the chosen documents are checked against the index again
_KEYWORDS = frozenset(keyword.kwlist)


@dataclass(frozen=True, eq=False)
class Choice:
    """Documents chosen for a cell, by the words of the cells above it."""

    documents: tuple[Document, ...] = ()
    above: tuple[frozenset[str], ...] = ()
    looked_up: float = 0.0
    digest: bytes = b""  # of the documents; empty without documents


NO_CELLS = Choice()


class ChosenCells:
    """The choices for recently focused cells. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._chosen = LimitedDict[tuple[str, ...], Choice](MOST_KEPT)
        self._focus = LimitedDict[tuple[str, ...], str](MOST_KEPT)  # focused cell per editor and document
        self._lock = threading.Lock()

    def of(self, request: Completion) -> Choice:
        """Return the choice for the active cell."""
        with self._lock:
            return self._chosen.get(_key(request), NO_CELLS)

    def choose(self, notebook_index: NotebookIndex, request: Completion) -> Choice:
        """Choose documents when the active cell gets the focus; drop those that left the index since."""
        choice, focused = self._focused(request)
        if choice and focused and self._is_fresh(choice, AGAIN):
            return choice
        above = choice.above if choice and focused else words_above(request)
        # A refocused cell gets a new lookup: its choice may be outdated.
        there = _still_there(notebook_index, choice) if choice and focused else None
        if choice and focused and there is None and self._is_fresh(choice, 2 * AGAIN):
            return choice  # the index cannot be read at the moment
        documents = tuple(_found(notebook_index, request, above)) if there is None else there
        texts = tuple((one.path, one.source) for one in documents)
        chosen = Choice(documents, above, self._clock(), digest(texts) if texts else b"")
        return self._decide(request, choice, chosen)

    def settle(self, request: Completion) -> Choice:
        """Keep the current choice for the active cell, or none if the index has not returned one yet."""
        choice, _ = self._focused(request)
        known = choice if choice and self._is_fresh(choice, 2 * AGAIN) else NO_CELLS
        # A new object: a later `choose` notices that it comes too late.
        return self._decide(request, choice, replace(known))

    def _focused(self, request: Completion) -> tuple[Choice | None, bool]:
        """Focus the active cell; return its choice and whether it was focused before."""
        *place, cell = key = _key(request)
        with self._lock:
            focused = self._focus.get(tuple(place)) == cell
            self._focus[tuple(place)] = cell
            return self._chosen.get(key), focused

    def _is_fresh(self, choice: Choice, seconds: float) -> bool:
        return self._clock() - choice.looked_up < seconds

    def _decide(self, request: Completion, before: Choice | None, choice: Choice) -> Choice:
        """Store a choice unless another thread stored one since; return the stored choice."""
        key = _key(request)
        with self._lock:
            if (decided := self._chosen.get(key)) is not before:
                return decided or NO_CELLS
            self._chosen[key] = choice
        return choice


def _key(request: Completion) -> tuple[str, ...]:
    """Return editor, document and cell; cells without an id are identified by the cells above them."""
    cell = request.cells[request.active]
    above = "" if cell.id else str(hash(tuple(one.source for one in request.cells[: request.active])))
    return request.client, request.path, cell.id or f"{request.active} {above}"


def _still_there(notebook_index: NotebookIndex, choice: Choice) -> tuple[Document, ...] | None:
    """Return the chosen documents that are still indexed; None if the index cannot be read now."""
    there = notebook_index.there({one.path for one in choice.documents}) if choice.documents else ()
    return None if there is None else tuple(one for one in choice.documents if one.path in there)


def _found(
    notebook_index: NotebookIndex, request: Completion, above: Sequence[frozenset[str]]
) -> Sequence[Document]:
    if not any(above):
        return ()
    language = cell_language(request.cells[request.active].source, request.language)
    leaving = {request.path, *(other.path for other in request.documents)}
    here = [_lines(cell.source) for cell in request.cells]

    def is_here(source: str) -> bool:
        # Compared by lines: the index drops lines such as magics and secrets.
        lines = _lines(source)
        return any(lines <= cell for cell in here)

    return notebook_index.following(language, above, leaving=leaving, here=is_here)


def _lines(source: str) -> frozenset[str]:
    return frozenset(line for line in map(str.rstrip, source.splitlines()) if line)


def _nearest(request: Completion) -> Iterator[Cell]:
    """Iterate over the ends of the cells above, nearest first, up to a total length."""
    room = NEAR
    for cell in reversed(request.cells[max(0, request.active - LOOKED_AT) : request.active]):
        source = end_of(cell.source, NEAR // 4)
        room -= len(source)
        if room < 0:
            return
        yield cell if source == cell.source else structs.replace(cell, source=source)


def words_above(request: Completion) -> tuple[frozenset[str], ...]:
    """Return the words of the cells above, nearest first, never those of the cell being typed.

    The text is divided into entries as in the index, so that distances match.
    """
    near = list(_nearest(request))[::-1]
    # The index keeps only the first of several equal cells.
    cells = {(cell.type, cell.source.strip()): cell for cell in near}
    entries = (
        entry for cell in reversed(cells.values()) for entry in reversed(entries_of([cell], request.language))
    )
    above: list[frozenset[str]] = []
    room = MOST_WORDS
    for entry in islice(entries, MOST_ABOVE):
        above.append(frozenset(sorted(words_of(entry.source) - _KEYWORDS)[:room]))
        room -= len(above[-1])
        if room <= 0:
            break
    return tuple(above)
