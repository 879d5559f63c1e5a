"""Where the import lines come from that a suggestion may add: memory, the documents at hand, conventions."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import PurePosixPath
from threading import Lock
from typing import TYPE_CHECKING

from jupyter_turbopilot.bounds import remembered
from jupyter_turbopilot.completer.installed import Installed, Lasting
from jupyter_turbopilot.context.notebook_file import names_of
from jupyter_turbopilot.context.private import is_private_path
from jupyter_turbopilot.suggestion.imports import Import, Sources, imports_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.context.facts import Facts
    from jupyter_turbopilot.memory.reader import Memory
    from jupyter_turbopilot.request import Completion
    from jupyter_turbopilot.suggestion.imports import Found

    Lines = Sequence[tuple[str, int]]

LASTS = 10.0  # seconds for which memory is not asked again: what is deleted is soon forgotten here, too
MOST = 1024  # answers of a memory that are kept: one for each memory, name, folder and set of open documents
_INSTALLED = Installed()
_REMEMBERED: Lasting[tuple[Memory, str, str | None, frozenset[str]], Lines] = Lasting(LASTS, MOST)
_LOCK = Lock()  # of `_REMEMBERED`
_AT_ONCE = ContextVar("at_once", default=False)


class WouldWaitError(Exception):
    """Something would have to be looked up where nobody may wait."""


@contextmanager
def at_once() -> Iterator[None]:
    """Answer from what was looked up already, or with a `WouldWaitError`: an event loop waits for no disk."""
    before = _AT_ONCE.set(True)
    try:
        yield
    finally:
        _AT_ONCE.reset(before)


def _remembered_lines(memory: Memory, name: str, folder: str | None, leaving: frozenset[str]) -> Lines:
    """Return the lines of a memory that bind a name, in one folder or in all, outside some documents."""
    key = memory, name, folder, leaving
    with _LOCK:
        lines = _REMEMBERED.get(key)
    if lines is None:
        if _AT_ONCE.get():
            raise WouldWaitError
        lines = tuple(memory.imports(name, folder=folder, leaving=leaving))
        with _LOCK:
            _REMEMBERED.keep(key, lines)
    return lines


def sources_of(
    request: Completion,
    facts: Facts,
    memory: Memory | None,
    installed: Installed = _INSTALLED,
    *,
    waits: bool = True,
) -> Sources | None:
    """Return where a request's imports come from; None where it is not known what its kernel can import.

    `waits`: whether a folder is waited for that is looked into for the first time.
    """
    if not facts.modules.path:
        return None
    folders = _folders(request.path)

    @cache
    def at_hand(*, near: bool) -> Sequence[tuple[str, set[Import]]]:
        cells = {found for cell in request.cells if cell.type == "code" for found in _imports(cell.source)}
        others = (
            (other.path, {*_imports(other.source)})
            for other in request.extra
            if other.language == "python" and not is_private_path(other.path)
            if not near or folders & _folders(other.path)
        )
        return (request.path, cells), *others

    def known(name: str, *, near: bool) -> Lines:
        here = [
            (path, lines)
            for path, imports in at_hand(near=near)
            if (lines := {found.line for found in imports if found.name == name})
        ]
        told = [*Counter(line for _, lines in here for line in lines).items()]
        if memory:
            # Each document counts once: an open one that imports the name as it stands in the editor, one
            # that does not as last saved.
            leaving = frozenset(one for path, _ in here for one in names_of(path) if one)
            for folder in folders if near else (None,):
                told += _remembered_lines(memory, name, folder, leaving)
        return told

    def found(module: str) -> Found | None:
        where = installed(module, facts.modules, waits=waits and not _AT_ONCE.get())
        if where is None and _AT_ONCE.get():
            raise WouldWaitError
        return where

    return Sources(known, found)


def _folders(path: str) -> frozenset[str]:
    """Return what the folder of a document may be in memory; none where a session has no document."""
    return frozenset(str(PurePosixPath(name).parent) for name in names_of(path) if name)


@remembered(2**20)
def _imports(source: str) -> tuple[Import, ...]:
    return tuple(imports_of(source))
