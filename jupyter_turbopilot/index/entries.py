"""Extraction of indexed entries (cells and blocks) from notebooks and source files. Pure.

Text that looks like a secret is removed first; all other steps see only the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.imports import Import, imports_of
from jupyter_turbopilot.analysis.languages import (
    cell_language,
    cell_magic,
    without_cell_magic,
    without_commands,
)
from jupyter_turbopilot.context.private import ARMOUR, without_spread_secrets
from jupyter_turbopilot.context.ranking import parts
from jupyter_turbopilot.index.excluded import (
    MOST_BYTES,
    NOTEBOOK,
    is_generated,
    is_minified,
    is_wanted,
    language_of,
)
from jupyter_turbopilot.util.notebook_file import parse_notebook

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jupyter_turbopilot.protocol.request import Cell
    from jupyter_turbopilot.util.notebook_file import NotebookCell

SMALL, LARGE = 400, 2400  # characters of a block: smaller ones are joined, larger ones split
MOST_ENTRIES = 1000
MOST_MODULES = 256  # of a file
LONGEST_WORD = 48
_NOT_INDEXED = frozenset({"text", "markdown", "html", "latex", "bat"})  # languages that are not indexed


@dataclass(frozen=True)
class IndexEntry:
    """A cell of a notebook, or a block of a source file, without secrets."""

    language: str
    source: str


Page = tuple[IndexEntry, ...]  # the indexed content of a file


def page_of(path: str, text: str) -> Page:
    """Return the indexed content of a file's text; empty if the file must not or cannot be indexed."""
    if not is_wanted(path) or len(text) > MOST_BYTES or "\0" in text:
        return ()
    if not path.lower().endswith(NOTEBOOK):
        return _entries(_of_file(path, text))
    notebook = parse_notebook(text, path)
    return entries_of(notebook.cells, notebook.language) if notebook and notebook.enabled else ()


def entries_of(cells: Iterable[NotebookCell | Cell], language: str) -> Page:
    """Return the indexed entries of a notebook's cells, in their order."""
    return _entries(piece for cell in cells for piece in _of_cell(cell, language))


def _entries(found: Iterable[tuple[str, str]]) -> Page:
    entries = (IndexEntry(language, kept) for language, source in found if (kept := _tidied(source)).strip())
    # Cells are copied within a notebook: keep the first of equal ones.
    return tuple(dict.fromkeys(entries))[:MOST_ENTRIES]


def _tidied(source: str) -> str:
    """Return a text as it is stored: with line feeds only, without lone surrogates."""
    whole = source.encode("utf-8", "replace").decode()
    return "\n".join(line.rstrip() for line in whole.splitlines()).strip("\n")


def _of_cell(cell: NotebookCell | Cell, notebook_language: str) -> Iterator[tuple[str, str]]:
    if cell.type != "code" or is_minified(cell.source) or ARMOUR.search(cell.source):
        return
    language = cell_language(cell.source, notebook_language)
    if language in _NOT_INDEXED:
        return
    body = cell.source
    if cell_magic(body):
        body = without_cell_magic(body).partition("\n")[2]
    # Before lines are removed or the text is split: a secret may span several lines.
    body = without_spread_secrets(body)
    if language == "python":
        body = without_commands(body)
    for piece in _pieces(body):
        yield language, piece


def _of_file(path: str, text: str) -> Iterator[tuple[str, str]]:
    if is_generated(text):
        return
    language, joined = language_of(path), ""
    for part in parts(without_spread_secrets(ARMOUR.sub("", text)).strip("\n")):
        if joined and len(joined) + len(part) > SMALL:
            yield language, joined
            joined = ""
        joined = f"{joined}\n\n{part}" if joined else part
        if len(joined) > SMALL:
            for piece in _pieces(joined):
                yield language, piece
            joined = ""
    if joined:
        yield language, joined


def _pieces(source: str) -> Iterator[str]:
    """Split a text that is too large for one entry, between lines."""
    piece: list[str] = []
    size = 0
    for line in source.splitlines():
        if size + len(line) > LARGE and piece:
            yield "\n".join(piece)
            piece, size = [], 0
        piece.append(line)
        size += len(line) + 1
    if piece:
        yield "\n".join(piece)


def modules_of(page: Page) -> frozenset[str]:
    """Return the top-level modules that a file imports; the first ones if there are many."""
    found = (one.module for one in _imports(page) if len(one.module) <= LONGEST_WORD)
    return frozenset(islice(dict.fromkeys(found), MOST_MODULES))


def bindings_of(page: Page) -> frozenset[tuple[str, str]]:
    """Return the names that a file's imports bind, each with an import statement for that name alone."""
    return frozenset((one.name, one.line) for one in _imports(page) if one.name)


@lru_cache(maxsize=1)
def _imports(page: Page) -> tuple[Import, ...]:
    python = (entry.source for entry in page if entry.language == "python")
    return tuple(one for source in python for one in imports_of(source))
