"""Cells from memory: chosen when a cell gets the focus and kept, so that no key changes how prompts begin."""

from __future__ import annotations

import keyword
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.languages import cell_language
from jupyter_turbopilot.memory.entries import words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.memory.base import Memory
    from jupyter_turbopilot.request import Completion, Document

MOST_WORDS = 64  # by which cells are looked for
MOST_KEPT = 256  # cells for which something was chosen
AGAIN = 30.0  # seconds after which it is looked up whether what was chosen is still remembered
_KEYWORDS = frozenset(keyword.kwlist)


@dataclass(frozen=True)
class _Choice:
    words: frozenset[str]
    documents: tuple[Document, ...]
    looked_up: float


class ChosenCells:
    """What was chosen for the cells that had the focus. Asked and changed on several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._chosen: OrderedDict[tuple[str, str], _Choice] = OrderedDict()
        self._focus: OrderedDict[str, str] = OrderedDict()  # the cell of each document that had it last
        self._lock = threading.Lock()

    def of(self, request: Completion) -> Sequence[Document]:
        """Return what was chosen for the active cell."""
        with self._lock:
            choice = self._chosen.get(_key(request))
        return choice.documents if choice else ()

    def choose(self, memory: Memory, request: Completion) -> None:
        """Choose for the active cell, if it has just got the focus; forget what is remembered no longer."""
        document, cell = key = _key(request)
        with self._lock:
            choice, focused = self._chosen.get(key), self._focus.get(document) == cell
            self._focus[document] = cell
            self._focus.move_to_end(document)
            while len(self._focus) > MOST_KEPT:
                self._focus.popitem(last=False)
        words = choice.words if choice and focused else words_above(request)
        if choice and words == choice.words:
            if self._clock() - choice.looked_up < AGAIN:
                return
            there = set(_found(memory, request, words))
            documents = tuple(one for one in choice.documents if one in there)
            choice = replace(choice, documents=documents, looked_up=self._clock())
        else:
            choice = _Choice(words, tuple(_found(memory, request, words)), self._clock())
        with self._lock:
            self._chosen[key] = choice
            self._chosen.move_to_end(key)
            while len(self._chosen) > MOST_KEPT:
                self._chosen.popitem(last=False)


def _key(request: Completion) -> tuple[str, str]:
    return request.path, request.cells[request.active].id or str(request.active)


def _found(memory: Memory, request: Completion, words: frozenset[str]) -> Sequence[Document]:
    if not words:
        return ()
    language = cell_language(request.cells[request.active].source, request.language)
    leaving = {request.path, *(other.path for other in request.extra)}
    return memory.similar(language, words, leaving=leaving)


def words_above(request: Completion) -> frozenset[str]:
    """Return the words of the cells above, of the nearest first: never of what is being typed."""
    words: dict[str, None] = {}
    for cell in reversed(request.cells[: request.active]):
        if cell.type == "code" and len(words) < MOST_WORDS:
            words |= dict.fromkeys(sorted(words_of(cell.source) - _KEYWORDS))
    return frozenset(list(words)[:MOST_WORDS])
