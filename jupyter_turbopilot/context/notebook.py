"""Turn cells and open documents into the text before and after the cursor. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from jupyter_turbopilot.bounds import end_of, remembered
from jupyter_turbopilot.context.facts import NONE, Facts, describe
from jupyter_turbopilot.context.languages import (
    cell_language,
    cell_magic,
    comment_mark,
    without_cell_magic,
    without_commands,
)
from jupyter_turbopilot.context.private import is_private_path, without_secrets
from jupyter_turbopilot.context.ranking import blocks, chosen

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jupyter_turbopilot.request import Completion, Document

_HEADING = re.compile(r"^#{1,6}\s+(.+)$", re.MULTILINE)
_OUTLINE = re.compile(r"^(?:import |from \S++ import |def |class |library\(|using ).*+$", re.MULTILINE)
MAX_HEADING = 120
NEAR = 2**17  # characters before the cursor that are looked at: many times what a model reads
ABOVE = 2**18  # characters of the cells above
MAX_ERROR = 200  # characters of the error that the active cell ended with
PLACE = 2048  # characters on either side of the cursor that identify a place
ELSEWHERE = 1200  # characters of other open documents that the model reads
RECALLED, OF_EACH = 800, 500  # characters of cells from memory that it reads, and of each of them
LOOKED_AT = 2**18  # characters of other documents that these are chosen from
NEXT_CELL = 320  # characters of the cell below that the model reads
BELOW = 2**14  # characters of a cell below that are looked at


@dataclass(frozen=True)
class Context:
    """The pieces of text before the active cell, furthest first, and the two halves of the cell."""

    pieces: tuple[str, ...]
    prefix: str
    suffix: str


def gather(request: Completion, facts: Facts = NONE, recalled: Sequence[Document] = ()) -> Context:
    """Choose what the model reads; `recalled`: what followed cells like those above elsewhere."""
    active = request.cells[request.active]
    language = cell_language(active.source, request.language)
    prefix, suffix = end_of(request.prefix, NEAR), request.suffix[:NEAR]
    if is_private_path(request.path):
        return Context((), prefix, suffix)
    cells = _above(request, language)
    # Of the active cell only what seldom changes: a keystroke should not change how the prompt begins.
    head = outline([prefix[: prefix.rfind("\n") + 1]])
    others = _elsewhere(_texts(request.extra, language), language, "".join([*cells, head]))
    pieces = [*_recalled(_texts(recalled, language)), *others, *cells]
    if active.type == "code":
        # The next cell tells the model where this one is heading. It stands before the active cell: after the
        # cursor it would be read again at each keystroke, and is worth no more (benchmarks/results/speed.md).
        after = (
            text
            for cell in request.cells[request.active + 1 :]
            if cell.type == "code"
            and (text := _cell_text(cell.type, cell.source[:BELOW], request.language, language))
        )
        pieces += [f"{text[:NEXT_CELL].rstrip()}\n\n" for text in islice(after, 1)]
        # Right before the active cell: facts change with each execution, as the active cell does.
        if language == "python" and (described := describe(facts, "".join(pieces))):
            pieces.append(f"{described}\n")
        if failure := without_secrets(active.error or "").strip():
            pieces.append(f"{comment_mark(language)} {failure.splitlines()[-1][:MAX_ERROR]}\n")
    # On a blank line whole lines are missing: the suffix begins with the next line, not with this one's end.
    blank = not prefix.rpartition("\n")[2].strip()
    return Context(tuple(pieces), prefix, suffix.removeprefix("\n") if blank else suffix)


def _texts(documents: Iterable[Document], language: str) -> tuple[tuple[str, str], ...]:
    return tuple((document.path, document.source) for document in documents if document.language == language)


@remembered(2**20)  # no key changes its arguments
def _recalled(documents: tuple[tuple[str, str], ...]) -> list[str]:
    """Return the beginnings of cells from memory, the likeliest last, as far as there is room."""
    pieces: list[str] = []
    room = RECALLED
    for path, source in documents:
        body = _first_lines(without_secrets(source).strip(), OF_EACH)
        # Without the file's name: the model would suggest it, and nobody has opened that file here.
        piece = f"{body}\n\n"
        if body and not is_private_path(path) and len(piece) <= room:
            pieces.append(piece)
            room -= len(piece)
    return pieces[::-1]


def _first_lines(source: str, most: int) -> str:
    """Return the whole lines that a text begins with, of so many characters at most."""
    return source if len(source) <= most else source[: max(0, source.rfind("\n", 0, most + 1))]


def _above(request: Completion, language: str) -> list[str]:
    """Return the cells above as text; of a very long notebook, only the nearer ones."""
    above = request.cells[: request.active]
    step = ABOVE // 4  # cut in steps, so that the start seldom moves
    # Of a longer cell only its end, or it would leave no room for the others.
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
    """Return what later cells need most of earlier ones: imports, and the heads of definitions."""
    heads = dict.fromkeys(line.rstrip() for piece in pieces for line in _OUTLINE.findall(piece))
    return "".join(f"{line}\n" for line in heads) + "\n" if heads else ""


def text_before(request: Completion) -> tuple[str, str]:
    """Return the text before and after the cursor by which an answer's place is recognized."""
    pieces = [request.prefix]
    size = len(request.prefix)
    for cell in reversed(request.cells[: request.active]):
        if size >= PLACE:
            break
        pieces.append(f"{cell.type}\n{cell.source}\n")
        size += len(cell.source)
    below = request.cells[request.active + 1].source if request.active + 1 < len(request.cells) else ""
    return "".join(reversed(pieces)), f"{request.suffix[:PLACE]}\n\n{below[:PLACE]}"


@remembered(2**22)  # typing does not change its arguments
def _elsewhere(documents: tuple[tuple[str, str], ...], language: str, near: str) -> list[str]:
    """Return a terminal's history, and the relevant snippets of other open documents."""
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


@remembered(2**22)  # typing does not change the cells above
def _cell_text(kind: str, source: str, notebook_language: str, language: str) -> str:
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
