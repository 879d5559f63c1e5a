"""Fit the score of lines from memory to real notebooks, each with those named like it as its memory.

python scripts/fit_recall.py --set NOTEBOOKS [--write]

No model is needed: at each place of each cell it is known how the line went on. One half of the notebooks is
fitted to, and both halves are reported.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from fit_gate import solve

from jupyter_turbopilot.context.notebook import gather
from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.evaluate.remembered import SIBLINGS, Shelf
from jupyter_turbopilot.evaluate.scoring import Score, Tally, judge
from jupyter_turbopilot.evaluate.traces import LONGEST_CELL, request_at
from jupyter_turbopilot.memory import recall
from jupyter_turbopilot.memory.ways import ways_at
from jupyter_turbopilot.suggestion.features import cursor_features, sigmoid
from jupyter_turbopilot.suggestion.names import fits_at
from jupyter_turbopilot.suggestion.resolve import Scope
from jupyter_turbopilot.suggestion.surroundings import surroundings_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.evaluate.notebooks import TypedNotebook
    from jupyter_turbopilot.memory.base import Memory

EVERY = 2  # characters between two places
AIMS = {"always": 0.70, "eager": 0.70, "balanced": 0.80, "quiet": 0.88}  # precision on the fitted half
TARGET = Path(recall.__file__).with_name("recall.json")


@dataclass
class Candidate:
    """A text that may follow."""

    text: str
    values: dict[str, float]
    right: bool


@dataclass
class Spot:
    """A place, and what memory says there."""

    notebook: int
    cell: int
    place: int
    before: str
    future: str
    found: list[Candidate]


def spots(number: int, notebook: TypedNotebook, memory: Memory) -> Iterator[Spot]:
    """Ask memory at the places of a notebook."""
    now = time.time()
    for active in notebook.typed:
        source = notebook.cells[active].source[:LONGEST_CELL]
        for place in range(EVERY, len(source), EVERY):
            request = request_at(notebook, active, place, trigger="automatic", path=notebook.name)
            surroundings = surroundings_of(request.prefix, request.suffix)
            ways = ways_at(memory, request, surroundings.above, now)
            found: list[Candidate] = []
            if ways:
                cursor = cursor_features(request.prefix, request.suffix, gather(request).pieces)
                fits = fits_at(request, Scope())
                found = [
                    Candidate(text, values, judge(text, source[place:]).right == 1)
                    for text, _, values in recall.candidates(ways, cursor, surroundings)
                    if fits(text)
                ]
            yield Spot(number, active, place, request.prefix, source[place:], found)


def play(found: Sequence[Spot], coefficients: dict[str, float], threshold: float) -> Tally:
    """Type all cells with memory alone."""
    total = Tally()
    for _, group in groupby(found, key=lambda s: (s.notebook, s.cell)):
        person, length = Score(), 0
        for spot in group:
            length = spot.place + len(spot.future)
            if spot.place < person.covered(spot.cell):
                continue
            scored = [(value(one, coefficients), one.text) for one in spot.found]
            good = [pair for pair in scored if pair[0] >= threshold]
            text = max(good, key=lambda p: p[0] * max(0.5, len(p[1].strip()) - 1))[1] if good else ""
            person.see(spot.cell, spot.place, spot.before, text, spot.future)
        person.typed(length, length)
        total = total + person.total
    return total


def value(one: Candidate, coefficients: dict[str, float]) -> float:
    """Return the score of a candidate."""
    return sigmoid(sum(coefficients[name] * number for name, number in one.values.items()))


def main() -> None:
    """Fit, report, and write if that is wanted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help="write the coefficients into the package")
    options = parser.parse_args()
    notebooks = read(options.set)
    with closing(Shelf(SIBLINGS, notebooks)) as shelf:
        found = [
            spot
            for number, notebook in enumerate(notebooks)
            for spot in spots(number, notebook, shelf.beside(notebook.name))
        ]
    fitted, held_out = ([s for s in found if s.notebook % 2 == n] for n in (0, 1))
    known = [one for spot in fitted for one in spot.found]
    names = list(known[0].values)
    rows = np.array([[one.values[name] for name in names] for one in known])
    right = np.array([one.right for one in known], dtype=float)
    coefficients = {n: round(float(w), 4) for n, w in zip(names, solve(rows, right), strict=True)}
    print(f"{len(found)} places; {len(rows)} candidates in the fitted half, {right.mean():.3f} of them right")
    print(json.dumps(coefficients, indent=1))
    print("calibration on the held-out half: score, right, candidates")
    others = [(value(one, coefficients), one.right) for spot in held_out for one in spot.found]
    for step in range(10):
        within = [is_right for score, is_right in others if step / 10 <= score < (step + 1) / 10]
        print(f"{step / 10:.1f}  {sum(within) / max(1, len(within)):.3f}  {len(within)}")
    print("threshold, fitted: precision, saved; held out: precision, saved, shown per 100 keys")
    tallies: dict[float, Tally] = {}
    for step in range(8, 39):
        threshold = step / 40
        a, b = (play(half, coefficients, threshold) for half in (fitted, held_out))
        tallies[threshold] = a
        print(
            f"{threshold:.3f}  {a.precision:.3f} {a.share_saved:.3f}  "
            f"{b.precision:.3f} {b.share_saved:.3f} {b.per_hundred:.1f}"
        )
    thresholds = {
        name: next((t for t, tally in tallies.items() if tally.precision >= aim), max(tallies))
        for name, aim in AIMS.items()
    }
    print(thresholds, f"{math.fsum(len(s.found) for s in found) / len(found):.1f} candidates a place")
    if options.write:
        fit = {"coefficients": coefficients, "thresholds": thresholds}
        TARGET.write_text(json.dumps(fit, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
