"""Real notebooks as a person types them: which requests an editor sends, and what would have been right."""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

EVERY = 4  # characters between two requests
LINES_BEFORE, LINES_AFTER = 256, 64  # what editors for llama.cpp's server send
SHARES = {"append": 0.50, "edit": 0.35, "hop": 0.15}
SHORTEST_CELL, LONGEST_CELL = 40, 600
TURN = 24  # characters typed before hopping to the other cell


@dataclass(frozen=True)
class Step:
    """One request: the notebook as it stands, the cursor, and what the person goes on to write."""

    cells: tuple[str, ...]
    active: int
    offset: int
    future: str  # the rest of what is being typed
    place: int  # characters of `future`'s text that were typed already

    @property
    def prefix(self) -> str:
        """The text before the cursor as an editor without cells sees it."""
        before = [*self.cells[: self.active], self.cells[self.active][: self.offset]]
        return "\n".join("\n\n".join(cell for cell in before if cell).split("\n")[-LINES_BEFORE:])

    @property
    def suffix(self) -> str:
        """The text after the cursor: the rest of the cell."""
        return "\n".join(self.cells[self.active][self.offset :].split("\n")[:LINES_AFTER])

    @property
    def below(self) -> str:
        """The next cell that holds anything; an editor sends it as further context."""
        return next((cell for cell in self.cells[self.active + 1 :] if cell.strip()), "")


@dataclass(frozen=True)
class Trace:
    """What one person types in one go."""

    kind: str
    name: str
    steps: tuple[Step, ...]


def read(source: Path) -> list[dict[str, Any]]:
    """Read a prepared set, or a folder of notebooks."""
    if source.is_file():
        found: list[dict[str, Any]] = json.loads(gzip.decompress(source.read_bytes()))
        return found
    notebooks = []
    for path in sorted(source.rglob("*.ipynb")):
        raw = json.loads(path.read_text("utf-8"))
        cells = [
            {"type": cell["cell_type"], "source": "".join(cell["source"])} for cell in raw.get("cells", [])
        ]
        typed = [
            i
            for i, cell in enumerate(cells)
            if cell["type"] == "code" and len(cell["source"]) > SHORTEST_CELL
        ]
        if typed:
            notebooks.append({"name": path.name, "cells": cells, "typed": typed})
    return notebooks


def make(notebooks: list[dict[str, Any]], requests: int, seed: int = 11) -> list[Trace]:
    """Make traces of the three kinds, mixed by their shares of requests."""
    rng = random.Random(seed)  # noqa: S311 - a reproducible choice
    traces: list[Trace] = []
    for kind, share in SHARES.items():
        count = 0
        while count < requests * share:
            trace = _MAKERS[kind](rng, rng.choice(notebooks))
            if trace:
                trace = Trace(kind, trace.name, trace.steps[: max(4, int(requests * share - count))])
                traces.append(trace)
                count += len(trace.steps)
    rng.shuffle(traces)
    return traces


def _code(notebook: dict[str, Any]) -> list[str]:
    return [cell["source"] if cell["type"] == "code" else "" for cell in notebook["cells"]]


def _typing(cells: list[str], active: int, start: int, text: str, rest: str) -> list[Step]:
    """Type `text` into a cell between what stands there and `rest`."""
    head = cells[active][:start]
    found = []
    for end in range(EVERY, len(text), EVERY):
        now = [*cells[:active], head + text[:end] + rest, *cells[active + 1 :]]
        found.append(Step(tuple(now), active, start + end, text[end:], end))
    return found


def _append(rng: random.Random, notebook: dict[str, Any]) -> Trace | None:
    cells = _code(notebook)
    active = rng.choice(notebook["typed"])
    if len(cells[active]) > LONGEST_CELL or not any(cell.strip() for cell in cells[active + 1 :]):
        return None
    return Trace("append", notebook["name"], tuple(_typing(cells, active, 0, cells[active], "")))


def _edit(rng: random.Random, notebook: dict[str, Any]) -> Trace | None:
    cells = _code(notebook)
    active = rng.choice(notebook["typed"])
    lines = cells[active].split("\n")
    long = [n for n, line in enumerate(lines[:-1]) if len(line.strip()) >= 3 * EVERY]
    if not long:
        return None
    number = rng.choice(long)
    start = sum(len(line) + 1 for line in lines[:number])
    rest = "\n" + "\n".join(lines[number + 1 :])
    return Trace("edit", notebook["name"], tuple(_typing(cells, active, start, lines[number], rest)))


def _hop(rng: random.Random, notebook: dict[str, Any]) -> Trace | None:
    cells = _code(notebook)
    typed = [i for i in notebook["typed"] if 2 * TURN < len(cells[i]) <= LONGEST_CELL]
    if len(typed) < 2:  # noqa: PLR2004
        return None
    pair = sorted(rng.sample(typed, 2))
    texts = [cells[i] for i in pair]
    done = [0, 0]
    steps: list[Step] = []
    turn = 0
    while min(done) < min(len(text) for text in texts) - 1 and len(steps) < 60:  # noqa: PLR2004
        text = texts[turn]
        # Typed, a bit of it taken back, typed again.
        marks = [*range(done[turn] + EVERY, done[turn] + TURN + 1, EVERY)]
        marks += [marks[-1] - EVERY, marks[-1]]
        for end in (mark for mark in marks if mark < len(text)):
            now = list(cells)
            for other, index in enumerate(pair):
                now[index] = texts[other][: end if other == turn else done[other]]
            steps.append(Step(tuple(now), pair[turn], end, text[end:], end))
        done[turn] = min(len(text), done[turn] + TURN)
        turn = 1 - turn
    return Trace("hop", notebook["name"], tuple(steps))


_MAKERS = {"append": _append, "edit": _edit, "hop": _hop}


@dataclass
class Score:
    """How much of the text a person would have taken over."""

    shown: int = 0
    right: int = 0
    saved: int = 0
    typed: int = 0

    def add(self, trace: Trace, texts: list[str]) -> None:
        """Accept whole lines that are what the person goes on to write; the same is not shown twice."""
        covered: dict[int, int] = {}
        last = ""
        for step, text in zip(trace.steps, texts, strict=True):
            if step.place < covered.get(step.active, 0):
                continue
            line = text.split("\n")[0].rstrip()
            if not line.strip():
                continue
            again = last.endswith(line)
            last = line
            if line == step.future.split("\n")[0].rstrip():
                self.saved += len(line)
                covered[step.active] = step.place + len(line)
                self.shown += 1
                self.right += 1
            elif not again:
                self.shown += 1
        self.typed += sum({step.active: len(step.future) + step.place for step in trace.steps}.values())

    @property
    def precision(self) -> float:
        """Right ones of those shown."""
        return self.right / max(1, self.shown)

    @property
    def share_saved(self) -> float:
        """Characters that need not be typed."""
        return self.saved / max(1, self.typed)
