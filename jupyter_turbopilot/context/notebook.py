"""Builds the text before and after the cursor from cells and open documents. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.kernel_context import NONE, KernelContext, describe
from jupyter_turbopilot.analysis.languages import (
    cell_language,
    cell_magic,
    comment_mark,
    without_cell_magic,
    without_commands,
)
from jupyter_turbopilot.context.private import is_private_path, without_secrets
from jupyter_turbopilot.context.ranking import blocks, chosen
from jupyter_turbopilot.util.bounds import cached_function, count_operations, end_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_turbopilot.protocol.request import Completion, Document

_HEADING = re.compile(r"^#{1,6}\s+(.+)$", re.MULTILINE)
_OUTLINE = re.compile(r"^(?:import |from \S++ import |def |class |library\(|using ).*+$", re.MULTILINE)
MAX_HEADING = 120
NEAR = 2**17  # characters before the cursor that are considered: many times the size of a prompt
ABOVE = 2**18  # characters of the cells above that are considered
MAX_ERROR = 200  # characters of the active cell's last error
PLACE = 2048  # characters on either side of the cursor that identify a position
ELSEWHERE = 1200  # characters of other open documents in the prompt
LOOKED_AT = 2**18  # characters of other documents that are considered
NEXT_CELL = 320  # characters of the cell below in the prompt
BELOW = 2**14  # characters of a cell below that are considered


@dataclass(frozen=True)
class Context:
    """The text before the active cell in pieces, furthest first, and the two halves of the cell."""

    pieces: tuple[str, ...]
    prefix: str
    suffix: str


def gather(request: Completion, kernel_context: KernelContext = NONE) -> Context:
    """Return the context for a prompt."""
    active = request.cells[request.active]
    language = cell_language(active.source, request.language)
    prefix, suffix = end_of(request.prefix, NEAR), request.suffix[:NEAR]
    if is_private_path(request.path):
        return Context((), prefix, suffix)
    cells = _above(request, language)
    count_operations((len(prefix) + sum(map(len, cells))) // 16)
    # Use only stable parts of the active cell: a keystroke must not change the beginning of the prompt.
    head = outline([prefix[: prefix.rfind("\n") + 1]])
    others = _elsewhere(_texts(request.documents, language), language, "".join([*cells, head]))
    pieces = [*others, *cells]
    if active.type == "code":
        # The next cell shows where this one is heading. It is placed before the active cell: after the
        # cursor it would be evaluated again at each keystroke, without benefit.
        after = (
            text
            for cell in request.cells[request.active + 1 :]
            if cell.type == "code"
            and (text := _cell_text(cell.type, cell.source[:BELOW], request.language, language))
        )
        pieces += [f"{text[:NEXT_CELL].rstrip()}\n\n" for text in islice(after, 1)]
        # Directly before the active cell: kernel context changes with each execution, as that cell does.
        if language == "python" and (described := describe(kernel_context, "".join(pieces))):
            pieces.append(f"{described}\n")
        if failure := without_secrets(active.error or "").strip():
            pieces.append(f"{comment_mark(language)} {failure.splitlines()[-1][:MAX_ERROR]}\n")
    # On a blank line, whole lines are missing: the suffix begins with the next line.
    blank = not prefix.rpartition("\n")[2].strip()
    return Context(tuple(pieces), prefix, suffix.removeprefix("\n") if blank else suffix)


def _texts(documents: Iterable[Document], language: str) -> tuple[tuple[str, str], ...]:
    return tuple((document.path, document.source) for document in documents if document.language == language)


def _above(request: Completion, language: str) -> list[str]:
    """Return the text of the cells above; of a very long notebook, only the nearest."""
    above = request.cells[: request.active]
    step = ABOVE // 4  # cut in steps, so that the start seldom moves
    # Keep only the end of a long cell, to leave room for the others.
    sources = [end_of(cell.source, step) for cell in above]
    excess = -(-max(0, sum(map(len, sources)) - ABOVE) // step) * step
    texts = []
    for cell, source in zip(above, sources, strict=True):
        if excess > 0:
            excess -= len(source)
        elif text := _cell_text(cell.type, source, request.language, language):
            texts.append(text)
    return texts


def outline(pieces: Iterable[str]) -> str:
    """Return the parts of earlier cells that later ones need most: imports and heads of definitions."""
    heads = dict.fromkeys(line.rstrip() for piece in pieces for line in _OUTLINE.findall(piece))
    return "".join(f"{line}\n" for line in heads) + "\n" if heads else ""


def text_before(request: Completion) -> tuple[str, str]:
    """Return the text before and after the cursor that identifies the position of an answer."""
    pieces = [request.prefix]
    size = len(request.prefix)
    for cell in reversed(request.cells[: request.active]):
        if size >= PLACE:
            break
        pieces.append(f"{cell.type}\n{cell.source}\n")
        size += len(cell.source)
    below = request.cells[request.active + 1].source if request.active + 1 < len(request.cells) else ""
    return "".join(reversed(pieces)), f"{request.suffix[:PLACE]}\n\n{below[:PLACE]}"


@cached_function(2**22)  # keystrokes do not change its arguments
def _elsewhere(documents: tuple[tuple[str, str], ...], language: str, near: str) -> list[str]:
    """Return relevant snippets of other open documents, and a terminal's history."""
    history, snippets = [], []
    room = LOOKED_AT
    for path, whole in documents:
        if is_private_path(path):
            continue
        name = path.rsplit("/", 1)[-1]
        source = without_secrets(whole[:room] if name else end_of(whole, NEAR)).strip()
        if not name:
            history += [f"{source}\n\n"] if source else []
            continue
        room -= len(whole[:room])
        snippets += [f"{comment_mark(language)} {name}\n{part}\n\n" for part in blocks(source)]
    return [*chosen(snippets, near, ELSEWHERE, len), *history]


@cached_function(2**22)  # keystrokes do not change the cells above
def _cell_text(kind: str, source: str, notebook_language: str, language: str) -> str:
    count_operations(len(source) // 4)
    if kind == "code":
        if cell_language(source, notebook_language) != language:
            return ""
        body = source
        if language != notebook_language:
            body = without_cell_magic(body)
        elif language == "python":
            if cell_magic(body):
                body = without_cell_magic(body).partition("\n")[2]
            body = without_commands(body)
        body = without_secrets(body).strip()
        return f"{body}\n\n" if body else ""
    if kind == "markdown" and language == notebook_language:
        headings = _HEADING.findall(source)
        mark = comment_mark(language)
        return "".join(f"{mark} {heading.strip()[:MAX_HEADING]}\n" for heading in headings)
    return ""
