"""Simulated typing of notebooks: the requests an editor sends, and the text that follows."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.protocol.request import Cell, Completion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from turbopilot_research.evaluate.notebooks import TypedNotebook

EVERY = 4  # characters between two requests
LINES_BEFORE, LINES_AFTER = 256, 64  # the context that editors send to llama.cpp's server
SHARES = {"append": 0.50, "edit": 0.35, "hop": 0.15}
LONGEST_CELL = 600
TURN = 24  # characters typed before hopping to the other cell


@dataclass(frozen=True)
class Keystroke:
    """The notebook and the cursor at one keystroke, and the text that follows."""

    cells: tuple[str, ...]
    types: tuple[str, ...]
    active: int
    offset: int
    future: str  # the text still to be typed
    place: int  # characters typed before `future`

    @property
    def prefix(self) -> str:
        """The text before the cursor, for editors without cells."""
        before = [*self._code[: self.active], self.cells[self.active][: self.offset]]
        return "\n".join("\n\n".join(cell for cell in before if cell).split("\n")[-LINES_BEFORE:])

    @property
    def suffix(self) -> str:
        """The text after the cursor: the rest of the cell."""
        return "\n".join(self.cells[self.active][self.offset :].split("\n")[:LINES_AFTER])

    @property
    def below(self) -> str:
        """The next non-empty cell, which an editor sends as further context."""
        return next((cell for cell in self._code[self.active + 1 :] if cell.strip()), "")

    @property
    def _code(self) -> list[str]:
        return [cell if kind == "code" else "" for cell, kind in zip(self.cells, self.types, strict=True)]

    def request(self, *, ran: bool = False, **more: Any) -> Completion:
        """Return the request of JupyterLab's extension; `ran`: the cells above were executed."""
        cells = [
            Cell(id=str(number), source=source, type=kind, executed=ran and number < self.active)  # type: ignore[arg-type]
            for number, (source, kind) in enumerate(zip(self.cells, self.types, strict=True))
        ]
        where: dict[str, Any] = {"path": "typed.ipynb"} | more
        return Completion(cells=cells, active=self.active, offset=self.offset, **where)

    def accepting(self, text: str) -> Keystroke:
        """Return the keystroke after accepting a suggestion."""
        source = self.cells[self.active]
        source = source[: self.offset] + text + source[self.offset :]
        cells = (*self.cells[: self.active], source, *self.cells[self.active + 1 :])
        return replace(self, cells=cells, offset=self.offset + len(text))


@dataclass(frozen=True)
class Trace:
    """A sequence of keystrokes of one user."""

    kind: str
    name: str
    keystrokes: tuple[Keystroke, ...]

    @property
    def length(self) -> int:
        """The number of characters typed in all cells."""
        return sum(
            {
                keystroke.active: keystroke.place + len(keystroke.future) for keystroke in self.keystrokes
            }.values()
        )


def request_at(notebook: TypedNotebook, active: int, place: int, rest: str = "", **more: Any) -> Completion:
    """Return the request for a cell that is written up to a position, with `rest` after the cursor."""
    cells = [*notebook.sources]
    cells[active] = cells[active][:place] + rest
    return Keystroke(tuple(cells), notebook.types, active, place, "", place).request(**more)


def of_kind(
    notebooks: Sequence[TypedNotebook], kind: str, requests: int, *, every: int = EVERY, seed: int = 11
) -> list[Trace]:
    """Create traces of one kind with about `requests` requests; 0: every cell from its beginning."""
    if kind == "append" or every != EVERY:
        traces = _every_append(notebooks, every)
        if requests:
            random.Random(seed).shuffle(traces)  # noqa: S311 - a reproducible choice
        return _up_to(traces, requests)
    rng = random.Random(seed)  # noqa: S311 - a reproducible choice
    made = [MAKERS[kind](rng, notebook) for notebook in [*notebooks] * 4]
    return _up_to([trace for trace in made if trace], requests)


def from_the_top(trace: Trace) -> Trace:
    """Remove the cells below the typed one, like a notebook written from top to bottom."""
    return replace(
        trace,
        keystrokes=tuple(
            replace(one, cells=one.cells[: one.active + 1], types=one.types[: one.active + 1])
            for one in trace.keystrokes
        ),
    )


def _up_to(traces: list[Trace], requests: int) -> list[Trace]:
    if not requests:
        return traces
    chosen, count = [], 0
    for trace in traces:
        if count >= requests:
            break
        chosen.append(trace)
        count += len(trace.keystrokes)
    return chosen


def _every_append(notebooks: Sequence[TypedNotebook], every: int) -> list[Trace]:
    traces = []
    for notebook in notebooks:
        for active in notebook.typed:
            text = notebook.cells[active].source[:LONGEST_CELL]
            keystrokes = _typing(notebook, active, 0, text, "", every)
            if keystrokes:
                traces.append(Trace("append", notebook.name, tuple(keystrokes)))
    return traces


def _typing(
    notebook: TypedNotebook, active: int, start: int, text: str, rest: str, every: int = EVERY
) -> list[Keystroke]:
    """Type `text` into a cell, between the existing text and `rest`."""
    cells = notebook.sources
    head = cells[active][:start]
    keystrokes = []
    for end in range(every, len(text), every):
        now = [*cells[:active], head + text[:end] + rest, *cells[active + 1 :]]
        keystrokes.append(Keystroke(tuple(now), notebook.types, active, start + end, text[end:], end))
    return keystrokes


def _append(rng: random.Random, notebook: TypedNotebook) -> Trace | None:
    cells = notebook.sources
    active = rng.choice(notebook.typed)
    below = zip(cells[active + 1 :], notebook.types[active + 1 :], strict=True)
    if len(cells[active]) > LONGEST_CELL or not any(c.strip() for c, kind in below if kind == "code"):
        return None
    return Trace("append", notebook.name, tuple(_typing(notebook, active, 0, cells[active], "")))


def _edit(rng: random.Random, notebook: TypedNotebook) -> Trace | None:
    cells = notebook.sources
    active = rng.choice(notebook.typed)
    lines = cells[active].split("\n")
    long = [n for n, line in enumerate(lines[:-1]) if len(line.strip()) >= 3 * EVERY]
    if not long:
        return None
    number = rng.choice(long)
    start = sum(len(line) + 1 for line in lines[:number])
    rest = "\n" + "\n".join(lines[number + 1 :])
    return Trace("edit", notebook.name, tuple(_typing(notebook, active, start, lines[number], rest)))


def _hop(rng: random.Random, notebook: TypedNotebook) -> Trace | None:
    cells = notebook.sources
    typed = [i for i in notebook.typed if 2 * TURN < len(cells[i]) <= LONGEST_CELL]
    if len(typed) < 2:  # noqa: PLR2004
        return None
    pair = sorted(rng.sample(typed, 2))
    texts = [cells[i] for i in pair]
    done = [0, 0]
    keystrokes: list[Keystroke] = []
    turn = 0
    while min(done) < min(len(text) for text in texts) - 1 and len(keystrokes) < 60:  # noqa: PLR2004
        text = texts[turn]
        # Type some text, delete part of it, and type it again.
        marks = [*range(done[turn] + EVERY, done[turn] + TURN + 1, EVERY)]
        marks += [marks[-1] - EVERY, marks[-1]]
        for end in (mark for mark in marks if mark < len(text)):
            now = list(cells)
            for other, index in enumerate(pair):
                now[index] = texts[other][: end if other == turn else done[other]]
            keystrokes.append(Keystroke(tuple(now), notebook.types, pair[turn], end, text[end:], end))
        done[turn] = min(len(text), done[turn] + TURN)
        turn = 1 - turn
    return Trace("hop", notebook.name, tuple(keystrokes))


MAKERS = {"append": _append, "edit": _edit, "hop": _hop}
