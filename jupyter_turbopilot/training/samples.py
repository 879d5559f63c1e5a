"""Cuts samples out of documents as the product will ask: its own context, its own prompt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.notebook import gather
from jupyter_turbopilot.evaluate.notebooks import SHORTEST_CELL
from jupyter_turbopilot.evaluate.traces import LONGEST_CELL
from jupyter_turbopilot.request import Cell, Completion
from jupyter_turbopilot.training.corpus import LARGEST

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.context.notebook_file import NotebookCell
    from jupyter_turbopilot.prompt.layout import Layout
    from jupyter_turbopilot.training.corpus import TrainingDocument

EVERY, APART = 12, 200  # characters for each branch, and for each plain sample
PLACES = 24  # most of them in a tree
ABOVE, BELOW = 60, 2  # cells that are looked at
ENDS = 0.3  # how often the cell is the last
NEAR = 8192  # characters of a file on either side of the cursor
FUTURE = 400  # characters that are looked at for an answer


@dataclass(frozen=True)
class Cuts:
    """How cells are cut."""

    stays: float  # how often the text behind the cursor stays
    whole: float  # how often more than a line is wanted
    longest: int  # characters of a cell that are looked at


BRANCHES = Cuts(0.2, 0.4, LONGEST_CELL)  # of a tree: what stands before them is read once
PLAIN = Cuts(0.35, 1.0, LARGEST)  # each reads everything itself: an answer should be worth it


@dataclass(frozen=True)
class Example:
    """A request, and what the user goes on to write; `whole` unless that was cut short."""

    request: Completion
    future: str
    whole: bool


@dataclass(frozen=True)
class Sample:
    """What the model reads, and what it should answer; the last token may say that the answer ends."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    text: int = 0  # so many tokens of the prompt are text to learn from as well


def typed_cells(document: TrainingDocument) -> list[int]:
    """Return the numbers of the cells that are long enough to be typed."""
    return [
        number
        for number, cell in enumerate(document.cells)
        if cell.type == "code" and len(cell.source.strip()) >= SHORTEST_CELL
    ]


def examples(
    rng: random.Random, document: TrainingDocument, active: int, cuts: Cuts, count: int
) -> Iterator[Example]:
    """Put the cursor at some places of a cell, at characters: in the middle of a word too."""
    text = document.cells[active].source.rstrip()[: cuts.longest]
    whole = len(document.cells[active].source.rstrip()) <= cuts.longest
    above = _cells(document.cells[max(0, active - ABOVE) : active])
    below = [] if rng.random() < ENDS else _cells(document.cells[active + 1 : active + 1 + BELOW])
    for place in sorted(rng.sample(range(1, len(text)), min(count, len(text) - 1))):
        end = len(text)
        if rng.random() < cuts.stays:
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


def _cells(cells: Sequence[NotebookCell]) -> list[Cell]:
    return [Cell(source=cell.source, type=cell.type) for cell in cells]  # type: ignore[arg-type]


def _line_end(text: str, place: int, further: int) -> int:
    """Return where the line of a place ends, or one of the lines below it."""
    for _ in range(further + 1):
        end = text.find("\n", place)
        if end < 0:
            return len(text)
        place = end + 1
    return end


def sample(rng: random.Random, example: Example, layout: Layout, end: int, whole: float) -> Sample | None:
    """Return the prompt that the product would send, and the tokens that should come of it."""
    prompt = layout.prompt(example.request, gather(example.request))
    try:
        text = prompt.forced.decode() + example.future[:FUTURE]
    except UnicodeDecodeError:
        return None  # the token that was backed up over ends inside a character
    tokens = layout.vocabulary.tokenize(text)
    most = layout.settings.max_tokens * layout.unit
    if rng.random() > whole:
        most = min(most, _first_line(layout, tokens, text))
    if example.whole and len(example.future) <= FUTURE and len(tokens) < most:
        tokens = [*tokens, end]
    return Sample(tuple(prompt.tokens), tuple(tokens[:most])) if prompt.tokens and tokens else None


def _first_line(layout: Layout, tokens: Sequence[int], text: str) -> int:
    """Return how many tokens make up the first line that holds anything, and its end."""
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
    rng: random.Random,
    document: TrainingDocument,
    active: int,
    layout: Layout,
    end: int,
    cuts: Cuts = PLAIN,
    count: int = 1,
) -> list[Sample]:
    """Return so many samples of one cell; fewer where nothing is left to be written."""
    made = (
        sample(rng, example, layout, end, cuts.whole)
        for example in examples(rng, document, active, cuts, count)
    )
    return [one for one in made if one]


def branches_of(
    rng: random.Random, document: TrainingDocument, active: int, layout: Layout, end: int
) -> list[Sample]:
    """Return the samples of one cell's tree, the furthest first: it holds what the others begin with."""
    size = len(document.cells[active].source)
    count = max(4, min(PLACES, size // EVERY))
    samples = samples_of(rng, document, active, layout, end, BRANCHES, count)[::-1]
    if samples:
        # What stands before the others' cursors stands before this one too.
        marks = set(layout.form.markers.values())
        text = next(
            (n for n, token in enumerate(samples[0].prompt[1:], 1) if token in marks), len(samples[0].prompt)
        )
        samples[0] = replace(samples[0], text=text)
    return samples
