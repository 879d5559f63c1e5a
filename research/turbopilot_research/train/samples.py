"""Cut samples out of documents with the same context and prompt format as at inference."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.kernel_context import NONE
from jupyter_turbopilot.context.notebook import gather
from jupyter_turbopilot.protocol.request import Cell, Completion
from turbopilot_research.evaluate.notebooks import SHORTEST_CELL
from turbopilot_research.evaluate.traces import LONGEST_CELL
from turbopilot_research.train.corpus import LARGEST

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.analysis.kernel_context import KernelContext
    from jupyter_turbopilot.prompt.layout import Layout
    from jupyter_turbopilot.util.notebook_file import NotebookCell
    from turbopilot_research.train.corpus import TrainingDocument

EVERY, APART = 12, 200  # characters per branch, and per plain sample
PLACES = 24  # maximum branches in a tree
ABOVE, BELOW = 60, 2  # cells of context
ENDS = 0.3  # probability that the cell is the last
NEAR = 8192  # characters of a file on either side of the cursor
FUTURE = 400  # maximum characters of an answer
NEW_CELL = 0.6  # probability of a branch at the start of a cell
NEW_LINES = 3  # maximum branches at starts of lines
_LINE_START = re.compile(r"\n[ \t]*(?=\S)")


@dataclass(frozen=True)
class Cuts:
    """Parameters for cutting cells."""

    stays: float  # probability of keeping text after the cursor
    whole: float  # probability of a multi-line answer
    longest: int  # maximum characters of a cell
    starts: bool  # whether to add places where users pause: a new cell, and new lines


BRANCHES = Cuts(0.2, 0.4, LONGEST_CELL, starts=True)  # branches share the text before them
PLAIN = Cuts(0.35, 1.0, LARGEST, starts=False)  # plain samples share nothing, so they have longer answers


@dataclass(frozen=True)
class Example:
    """A request and the text that follows; `whole` unless that text was truncated."""

    request: Completion
    future: str
    whole: bool


@dataclass(frozen=True)
class Sample:
    """A prompt and its answer, which may end with the end token."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    text: int = 0  # number of prompt tokens that count in the loss


def typed_cells(document: TrainingDocument) -> list[int]:
    """Return the indices of code cells that are long enough."""
    return [
        number
        for number, cell in enumerate(document.cells)
        if cell.type == "code" and len(cell.source.strip()) >= SHORTEST_CELL
    ]


def examples(
    rng: random.Random, document: TrainingDocument, active: int, cuts: Cuts, count: int
) -> Iterator[Example]:
    """Put the cursor at random characters of a cell, also within words."""
    text = document.cells[active].source.rstrip()[: cuts.longest]
    whole = len(document.cells[active].source.rstrip()) <= cuts.longest
    above = cells_above(document, active)
    below = [] if rng.random() < ENDS else _cells(document.cells[active + 1 : active + 1 + BELOW])
    for place in _places(rng, text, cuts, count):
        end = len(text)
        if place and rng.random() < cuts.stays:
            end = _line_end(text, place, rng.randrange(3))
        future = text[place:end]
        if not future.strip():
            continue
        start = text.rfind("\n", 0, max(0, place - NEAR)) + 1
        cell = Cell(source=text[start:place] + text[end : end + NEAR])
        request = Completion(
            cells=[*above, cell, *below],
            active=len(above),
            offset=place - start,
            path=document.name,
            language=document.language,
        )
        yield Example(request, future, whole or end < len(text))


def cells_above(document: TrainingDocument, active: int) -> list[Cell]:
    """Return the cells above a cell, as in a request."""
    return _cells(document.cells[max(0, active - ABOVE) : active])


def _places(rng: random.Random, text: str, cuts: Cuts, count: int) -> list[int]:
    places = {*rng.sample(range(1, len(text)), min(count, len(text) - 1))}
    if cuts.starts:
        lines = [start.end() for start in _LINE_START.finditer(text)]
        places.update(rng.sample(lines, min(NEW_LINES, len(lines))))
        if rng.random() < NEW_CELL:
            places.add(0)
    return sorted(places)


def _cells(cells: Sequence[NotebookCell]) -> list[Cell]:
    return [Cell(source=cell.source, type=cell.type) for cell in cells]  # type: ignore[arg-type]


def _line_end(text: str, place: int, further: int) -> int:
    """Return the end of the line at a position, or of a line `further` down."""
    for _ in range(further + 1):
        end = text.find("\n", place)
        if end < 0:
            return len(text)
        place = end + 1
    return end


def sample(
    rng: random.Random,
    example: Example,
    layout: Layout,
    end: int,
    whole: float,
    context: KernelContext = NONE,
) -> Sample | None:
    """Return an example's prompt and answer as tokens, or None if it cannot be tokenized."""
    prompt = layout.prompt(example.request, gather(example.request, context))
    try:
        text = prompt.forced.decode() + example.future[:FUTURE]
    except UnicodeDecodeError:
        return None  # the healed token ends inside a character
    tokens = layout.vocabulary.tokenize(text)
    most = layout.settings.max_tokens * layout.unit
    if rng.random() > whole:
        most = min(most, _first_line(layout, tokens, text))
    if example.whole and len(example.future) <= FUTURE and len(tokens) < most:
        tokens = [*tokens, end]
    return Sample(tuple(prompt.tokens), tuple(tokens[:most])) if prompt.tokens and tokens else None


def _first_line(layout: Layout, tokens: Sequence[int], text: str) -> int:
    """Return the number of tokens up to the end of the first non-blank line."""
    data = text.encode()
    head = len(data) - len(data.lstrip())
    stop = data.find(b"\n", head)
    if stop < 0:
        return len(tokens) + 2
    length = 0
    for count, token in enumerate(tokens, 1):
        length += len(layout.vocabulary.piece(token))
        if length > stop:
            return count
    return len(tokens)


def samples_of(
    rng: random.Random, document: TrainingDocument, active: int, layout: Layout, end: int
) -> list[Sample]:
    """Return a plain sample of one cell, or none."""
    made = (sample(rng, one, layout, end, PLAIN.whole) for one in examples(rng, document, active, PLAIN, 1))
    return [one for one in made if one]


def branches_of(
    rng: random.Random,
    document: TrainingDocument,
    active: int,
    layout: Layout,
    end: int,
    context: KernelContext = NONE,
) -> list[Sample]:
    """Return the samples of one cell's tree, the longest prefix first."""
    size = len(document.cells[active].source)
    count = max(4, min(PLACES, size // EVERY))
    made = (
        sample(rng, one, layout, end, BRANCHES.whole, context)
        for one in examples(rng, document, active, BRANCHES, count)
    )
    samples = [one for one in made if one][::-1]
    if samples:
        # The longest prefix contains those of all others.
        marks = set(layout.form.markers.values())
        text = next(
            (n for n, token in enumerate(samples[0].prompt[1:], 1) if token in marks), len(samples[0].prompt)
        )
        samples[0] = replace(samples[0], text=text)
    return samples
