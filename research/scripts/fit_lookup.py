"""Fit the score of index matches to notebooks, each with its siblings as the index.

python research/scripts/fit_lookup.py --set NOTEBOOKS [--users FOLDER] [--others FOLDER] [--write]

No model is needed: at each position the continuation of the line is known. Cells are typed as a notebook is
written, without cells below, and some lines are retyped in the finished notebook, with the closing brackets
that an editor inserts. One half of the notebooks is fitted; both halves are reported.

The set contains notebooks of packages by many authors. `--users` contains notebooks written successively by
one author (`AUTHOR__NAME.ipynb`), each with the earlier ones as its index; all of them are fitted. The
notebooks of `--others` are held out and reported separately.
"""

from __future__ import annotations

import argparse
import json
import random
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count, groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from msgspec import structs

from jupyter_turbopilot.analysis.resolve import Scope
from jupyter_turbopilot.context.notebook import gather
from jupyter_turbopilot.suggestion import lookup
from jupyter_turbopilot.suggestion.gate import expected_gain
from jupyter_turbopilot.suggestion.names import Names
from jupyter_turbopilot.suggestion.scores import cursor_features, sigmoid
from jupyter_turbopilot.suggestion.surroundings import surroundings_of
from turbopilot_research.evaluate.index_shelf import SIBLINGS, IndexShelf, Other
from turbopilot_research.evaluate.notebooks import read
from turbopilot_research.evaluate.scoring import Score, Tally, judge
from turbopilot_research.evaluate.traces import LONGEST_CELL, request_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jupyter_turbopilot.index.reader import NotebookIndex
    from jupyter_turbopilot.protocol.request import Completion
    from turbopilot_research.evaluate.notebooks import TypedNotebook

EVERY = 2  # characters between two positions
KINDS = ("append", "edit")
CELLS = 6  # maximum typed cells per notebook of one author
LONG = 12  # minimum characters of a retyped line
AIMS = {"always": 0.55, "eager": 0.70, "balanced": 0.78, "quiet": 0.88}  # precision on the fitted half
RIDGE, PARTS = 10.0, 5
TARGET = Path(lookup.__file__).with_name("lookup.json")
_PAIRS = {"(": ")", "[": "]", "{": "}"}


class EarlierOnes(IndexShelf):
    """An index of the author's earlier notebooks."""

    def others(self, name: str) -> list[Other]:
        """Return the earlier notebooks, without near-duplicates."""
        return [other for other in super().others(name) if other.path < name]


@dataclass
class Candidate:
    """A possible continuation."""

    text: str
    values: dict[str, float]
    right: bool
    closed: bool


@dataclass
class Position:
    """A position and its index matches."""

    notebook: int
    kind: str
    cell: int
    place: int
    before: str
    future: str
    found: list[Candidate]


def positions(number: int, notebook: TypedNotebook, memory: NotebookIndex) -> Iterator[Position]:
    """Iterate over the positions of a notebook with their index matches."""
    for kind, active, place, request, future in (*appended(notebook), *edited(number, notebook)):
        around = surroundings_of(request.prefix, request.suffix)
        found: list[Candidate] = []
        if ways := lookup.continuations_at(memory, request, around):
            cursor = cursor_features(request.prefix, request.suffix, gather(request).pieces)
            fits = Names(request, Scope()).fit
            found = [
                Candidate(text, values, judge(text, future).right == 1, is_closed)
                for text, whole, values in lookup.candidates(ways, cursor, around)
                for is_closed in [lookup.is_closed(text, cursor, whole=whole)]
                if fits(text)
            ]
        yield Position(number, kind, active, place, request.prefix, future, found)


Place = tuple[str, int, int, "Completion", str]


def appended(notebook: TypedNotebook) -> Iterator[Place]:
    """Type each cell at the end of the notebook."""
    for active in notebook.typed:
        source = notebook.cells[active].source[:LONGEST_CELL]
        for place in range(EVERY, len(source), EVERY):
            request = request_at(notebook, active, place, trigger="automatic", path=notebook.name)
            above = {"cells": request.cells[: active + 1]}
            yield "append", active, place, structs.replace(request, **above), source[place:]


def edited(number: int, notebook: TypedNotebook) -> Iterator[Place]:
    """Retype a line of each cell in the finished notebook."""
    rng = random.Random(number)  # noqa: S311 - a reproducible choice
    for active in notebook.typed:
        source = notebook.cells[active].source
        lines = source.split("\n")
        if not (long := [at for at, line in enumerate(lines) if len(line.strip()) >= LONG]):
            continue
        chosen = rng.choice(long)
        start = sum(len(line) + 1 for line in lines[:chosen])
        line, below = lines[chosen], "".join(f"\n{line}" for line in lines[chosen + 1 :])
        for end in range(EVERY, len(line), EVERY):
            rest = closers(line[:end]) + below
            place = start + end
            request = request_at(notebook, active, place, rest, trigger="automatic", path=notebook.name)
            yield "edit", active, place, request, line[end:] + below


def closers(line: str) -> str:
    """Return the closing brackets that an editor inserts after the cursor."""
    expected = ""
    for char in line:
        if char in _PAIRS:
            expected = _PAIRS[char] + expected
        elif expected.startswith(char):
            expected = expected[1:]
    return expected


def fit_lines(found: Sequence[Position]) -> dict[str, float]:
    """Fit the score of index matches."""
    known = [one for position in found for one in position.found]
    names = [*known[0].values]
    rows = np.array([[one.values[name] for name in names] for one in known])
    weights = solve(rows, np.array([float(one.right) for one in known]))
    return {name: round(float(weight), 4) for name, weight in zip(names, weights, strict=True)}


def solve(rows: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Fit a logistic regression by Newton's method."""
    weights = np.zeros(rows.shape[1])
    for _ in range(30):
        guess = 1 / (1 + np.exp(-np.clip(rows @ weights, -30, 30)))
        slope = rows.T @ (right - guess) - RIDGE * weights
        curve = (rows * (guess * (1 - guess))[:, None]).T @ rows + RIDGE * np.eye(len(weights))
        step = np.linalg.solve(curve, slope)
        weights += step
        if np.abs(step).max() < 1e-6:  # noqa: PLR2004
            break
    return weights


def best(position: Position, coefficients: dict[str, float], threshold: float) -> str:
    """Return the index match that is shown at a position."""
    scored = [(value(one, coefficients), one.text) for one in position.found if one.closed]
    good = [one for one in scored if one[0] >= threshold and expected_gain(*one) >= 0]
    return max(good, key=lambda one: expected_gain(*one))[1] if good else ""


def play(found: Sequence[Position], coefficients: dict[str, float], threshold: float) -> Tally:
    """Replay with index matches only."""
    total = Tally()
    for _, group in groupby(found, key=lambda s: (s.notebook, s.kind, s.cell)):
        score, first, length = Score(), None, 0
        for position in group:
            first = position.place if first is None else first
            length = position.place - first + len(position.future.partition("\n")[0])
            if position.kind == "append":
                length = position.place + len(position.future)
            if position.place < score.covered(position.cell):
                continue
            text = best(position, coefficients, threshold)
            score.show(position.cell, position.place, position.before, text, position.future)
        score.typed(length, length)
        total = total + score.total
    return total


def row(tally: Tally) -> str:
    """Return the columns of a table."""
    return f"{tally.precision:.3f} {tally.share_saved:.3f} {tally.net():.3f} {tally.shown}"


def value(one: Candidate, coefficients: dict[str, float]) -> float:
    """Return the score of a candidate."""
    return sigmoid(sum(coefficients[name] * number for name, number in one.values.items()))


def fitted_to(
    fitted: Sequence[Position], held_out: Sequence[Position]
) -> tuple[dict[str, float], dict[str, float]]:
    """Fit and report; return coefficients and thresholds."""
    coefficients = fit_lines(fitted)
    print(f"{sum(len(position.found) for position in fitted)} candidates in the fitted half")
    print(json.dumps(coefficients, indent=1))
    print("calibration on the held-out half: score, correct, candidates")
    others = [(value(one, coefficients), one.right) for position in held_out for one in position.found]
    for step in range(10):
        within = [is_right for score, is_right in others if step / 10 <= score < (step + 1) / 10]
        print(f"{step / 10:.1f}  {sum(within) / max(1, len(within)):.3f}  {len(within)}")
    # Within the fitted half, use cross-validation by notebook.
    parts = [
        [position for position in fitted if position.notebook // 2 % PARTS == part] for part in range(PARTS)
    ]
    fits = [
        fit_lines([position for other in parts if other is not part for position in other]) for part in parts
    ]
    kinds = {kind: [position for position in held_out if position.kind == kind] for kind in KINDS}
    print("threshold; fitted, by parts; held out, append; edit: precision, saved, net saved, shown")
    tallies: dict[float, Tally] = {}
    for step in range(8, 39):
        threshold = step / 40
        pairs = zip(parts, fits, strict=True)
        tallies[threshold] = a = sum((play(part, fit, threshold) for part, fit in pairs), start=Tally())
        b, c = (play(kinds[kind], coefficients, threshold) for kind in kinds)
        print(f"{threshold:.3f}  {row(a)}  {row(b)}  {row(c)}")
    thresholds = {
        name: next((t for t, tally in tallies.items() if tally.precision >= aim), max(tallies))
        for name, aim in AIMS.items()
    }
    print(thresholds)
    return coefficients, thresholds


def places_of(
    notebooks: Sequence[TypedNotebook], shelf: IndexShelf, numbers: Iterable[int]
) -> list[Position]:
    """Return the positions of notebooks; odd numbers are held out."""
    with closing(shelf):
        return [
            position
            for number, notebook in zip(numbers, notebooks, strict=False)
            for position in positions(number, notebook, shelf.index_for(notebook.name))
        ]


def by_one_author(folder: Path | None, first: int) -> list[Position]:
    """Return positions in some cells of notebooks written successively by one author."""
    rng = random.Random(first)  # noqa: S311 - a reproducible choice
    notebooks = [
        replace(notebook, typed=tuple(sorted(rng.sample(notebook.typed, min(CELLS, len(notebook.typed))))))
        for notebook in (read(folder) if folder else ())
    ]
    return places_of(notebooks, EarlierOnes(SIBLINGS, notebooks), count(first, 2))


def main() -> None:
    """Fit, report, and optionally write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--users", type=Path, help="notebooks by single authors, fitted to")
    parser.add_argument("--others", type=Path, help="the same, held out")
    parser.add_argument("--write", action="store_true", help="write the coefficients into the package")
    options = parser.parse_args()
    notebooks = read(options.set)
    found = places_of(notebooks, IndexShelf(SIBLINGS, notebooks), count())
    people = by_one_author(options.users, 2 * len(notebooks))
    others = by_one_author(options.others, 2 * len(notebooks) + 1)
    print(f"{len(found)} positions, {len(people)} of single authors, {len(others)} of others")
    fitted = [position for position in (*found, *people) if position.notebook % 2 == 0]
    coefficients, thresholds = fitted_to(fitted, [position for position in found if position.notebook % 2])
    for name, threshold in thresholds.items():
        for kind in KINDS:
            tally = play([position for position in others if position.kind == kind], coefficients, threshold)
            print(f"others, {name}, {kind}: {row(tally)}")
    if options.write:
        fit = {"coefficients": coefficients, "thresholds": thresholds}
        TARGET.write_text(json.dumps(fit, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
