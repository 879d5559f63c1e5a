"""Sources of the import lines that a suggestion may add: notebook index, open documents, conventions."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import chain, islice
from pathlib import PurePosixPath
from threading import Lock
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.imports import Import, Sources, imports_of
from jupyter_turbopilot.completer.installed_modules import Installed, TimedCache
from jupyter_turbopilot.context.private import is_private_path
from jupyter_turbopilot.util.bounds import cached_function, count_operations
from jupyter_turbopilot.util.notebook_file import equivalent_paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.analysis.imports import ModuleLocation
    from jupyter_turbopilot.analysis.kernel_context import KernelContext
    from jupyter_turbopilot.index.reader import NotebookIndex
    from jupyter_turbopilot.protocol.request import Completion

    Lines = Sequence[tuple[str, int]]

LASTS = 10.0  # seconds; import lines of deleted documents must disappear soon
MOST = 1024  # cached results, one for each index, name, folder and set of open documents
MOST_IMPORTS, MOST_IN_CELL = 4096, 128  # imported names of a notebook, and of each cell or document
_INSTALLED = Installed()
_INDEXED: TimedCache[tuple[NotebookIndex, str, str | None, frozenset[str]], Lines] = TimedCache(LASTS, MOST)
_LOCK = Lock()  # protects `_INDEXED`


def _indexed_lines(
    notebook_index: NotebookIndex, name: str, folder: str | None, leaving: frozenset[str]
) -> Lines:
    """Return the indexed import lines that bind a name, of one folder or all, without some documents."""
    key = notebook_index, name, folder, leaving
    with _LOCK:
        lines = _INDEXED.get(key)
    if lines is None:
        lines = tuple(notebook_index.imports(name, folder=folder, leaving=leaving))
        with _LOCK:
            _INDEXED.put(key, lines)
    return lines


def sources_of(
    request: Completion,
    kernel_context: KernelContext,
    notebook_index: NotebookIndex | None,
    installed: Installed = _INSTALLED,
    *,
    waits: bool = True,
) -> Sources | None:
    """Return the sources of a request's import lines; None if the kernel's import path is unknown.

    `waits`: whether to wait for folders that have not been searched yet.
    """
    if not kernel_context.modules.path:
        return None
    folders = _folders(request.path)

    @cache
    def open_documents(*, near: bool) -> Sequence[tuple[str, set[Import]]]:
        sources = (cell.source for cell in request.cells if cell.type == "code")
        cells = {*islice(chain.from_iterable(map(_imports, sources)), MOST_IMPORTS)}
        others = (
            (other.path, {*_imports(other.source)})
            for other in request.documents
            if other.language == "python" and not is_private_path(other.path)
            if not near or folders & _folders(other.path)
        )
        return (request.path, cells), *others

    def known(name: str, *, near: bool) -> Lines:
        count_operations(sum(len(imports) for _, imports in open_documents(near=near)) // 4)
        here = [
            (path, lines)
            for path, imports in open_documents(near=near)
            if (lines := {found.line for found in imports if found.name == name})
        ]
        counts = [*Counter(line for _, lines in here for line in lines).items()]
        if notebook_index:
            # Count each document once. If an open document imports the name, use its text in the editor,
            # not the indexed file.
            leaving = frozenset(one for path, _ in here for one in equivalent_paths(path) if one)
            for folder in folders if near else (None,):
                counts += _indexed_lines(notebook_index, name, folder, leaving)
        return counts

    def found(module: str) -> ModuleLocation | None:
        return installed(module, kernel_context.modules, waits=waits)

    return Sources(known, found)


def _folders(path: str) -> frozenset[str]:
    """Return the folders under which the index may list a document; none for a session without a document."""
    return frozenset(str(PurePosixPath(name).parent) for name in equivalent_paths(path) if name)


@cached_function(2**22)  # keystrokes do not change most cells
def _imports(source: str) -> tuple[Import, ...]:
    return tuple(islice(imports_of(source), MOST_IN_CELL))
