"""Fit the score of lines from memory to real notebooks, each with those named like it as its memory.

python scripts/fit_recall.py --set NOTEBOOKS [--write]
python scripts/fit_recall.py --set NOTEBOOKS --places WITHOUT WITH [--write]

No model is needed for lines that memory shows by itself: at each place of each cell it is known how the line
went on. One half of the notebooks is fitted to, and both halves are reported. `--places` is what
`fit_gate.py collect` has written without `--memory` and with it: how much surer memory makes of what the
model writes is fitted to the second, and both are compared at the same precision.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from fit_gate import Spot as Written
from fit_gate import look, solve

from jupyter_turbopilot.context.notebook import gather
from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.evaluate.remembered import SIBLINGS, Shelf
from jupyter_turbopilot.evaluate.scoring import Score, Tally, judge, ratio_interval
from jupyter_turbopilot.evaluate.traces import LONGEST_CELL, request_at
from jupyter_turbopilot.memory import recall
from jupyter_turbopilot.memory.ways import ways_at
from jupyter_turbopilot.suggestion.features import cursor_features, moved, sigmoid
from jupyter_turbopilot.suggestion.fit import DEFAULT, fit_for
from jupyter_turbopilot.suggestion.gate import Gate
from jupyter_turbopilot.suggestion.names import fits_at
from jupyter_turbopilot.suggestion.resolve import Scope
from jupyter_turbopilot.suggestion.surroundings import surroundings_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.evaluate.notebooks import TypedNotebook
    from jupyter_turbopilot.memory.base import Memory
    from jupyter_turbopilot.memory.ways import Way
    from jupyter_turbopilot.suggestion.features import CursorFeatures

EVERY = 2  # characters between two places
AIMS = {"always": 0.70, "eager": 0.70, "balanced": 0.80, "quiet": 0.88}  # precision on the fitted half
RIDGE, PARTS = 10.0, 5
TARGET = Path(recall.__file__).with_name("recall.json")


@dataclass
class Candidate:
    """A text that may follow."""

    text: str
    whole: bool
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
    ways: list[Way]
    cursor: CursorFeatures | None


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
            cursor = None
            if ways:
                cursor = cursor_features(request.prefix, request.suffix, gather(request).pieces)
                fits = fits_at(request, Scope())
                found = [
                    Candidate(text, whole, values, judge(text, source[place:]).right == 1)
                    for text, whole, values in recall.candidates(ways, cursor, surroundings)
                    if fits(text)
                ]
            yield Spot(number, active, place, request.prefix, source[place:], found, ways, cursor)


def fit_lines(found: Sequence[Spot]) -> dict[str, float]:
    """Fit the score of lines from memory."""
    known = [one for spot in found for one in spot.found]
    names = [*known[0].values]
    rows = np.array([[one.values[name] for name in names] for one in known])
    weights = solve(rows, np.array([float(one.right) for one in known]), RIDGE)
    return {name: round(float(weight), 4) for name, weight in zip(names, weights, strict=True)}


def best(spot: Spot, coefficients: dict[str, float], threshold: float) -> tuple[str, bool]:
    """Return what memory shows at a place, and whether the model is not asked then."""
    scored = [(value(one, coefficients), one.text, one.whole) for one in spot.found]
    good = [one for one in scored if one[0] >= threshold]
    if not good:
        return "", False
    _, text, whole = max(good, key=lambda p: p[0] * max(0.5, len(p[1].strip()) - 1))
    return text, whole


def play(found: Sequence[Spot], coefficients: dict[str, float], threshold: float) -> Tally:
    """Type all cells with memory alone."""
    total = Tally()
    for _, group in groupby(found, key=lambda s: (s.notebook, s.cell)):
        person, length = Score(), 0
        for spot in group:
            length = spot.place + len(spot.future)
            if spot.place < person.covered(spot.cell):
                continue
            text, _ = best(spot, coefficients, threshold)
            person.see(spot.cell, spot.place, spot.before, text, spot.future)
        person.typed(length, length)
        total = total + person.total
    return total


def value(one: Candidate, coefficients: dict[str, float]) -> float:
    """Return the score of a candidate."""
    return sigmoid(sum(coefficients[name] * number for name, number in one.values.items()))


# With the model ---------------------------------------------------------------------------------------------


def support(spot: Spot | None, text: str) -> dict[str, float]:
    """Return what memory says for and against a beginning of the model's; nothing where it knows no way."""
    return recall.support_of(text, spot.ways) if spot and spot.ways and spot.cursor else {}


def fit_support(written: Sequence[Written], at: dict[tuple[int, int, int], Spot]) -> dict[str, float]:
    """Fit how much surer memory makes of what the model writes, whose own score stays as it is."""
    base = fit_for(DEFAULT).coefficients
    names: list[str] = []
    offsets, rows, right = [], [], []
    for spot in written:
        knows = at.get((spot.notebook, spot.cell, spot.place))
        for boundary, values, is_right in zip(
            spot.watching.boundaries, spot.watching.found, spot.right, strict=True
        ):
            known = {} if boundary.line else support(knows, spot.text[: boundary.end])
            if known:
                offsets.append(sum(base[name] * number for name, number in values.items()))
                rows.append([*known.values()])
                right.append(float(is_right))
                names = [*known]
    weights = solve(np.array(rows), np.array(right), offsets=np.array(offsets))
    print(f"{len(rows)} boundaries of the model's where memory knows a way")
    return {name: round(float(weight), 4) for name, weight in zip(names, weights, strict=True)}


@dataclass
class Rules:
    """Who may show what."""

    recalled: dict[str, float]  # the coefficients of lines from memory
    sure: float  # the threshold of those; above 1: none is shown
    supported: dict[str, float]  # the coefficients of what memory says of the model's text
    threshold: float  # of the model's


def together(
    written: Sequence[Written], at: dict[tuple[int, int, int], Spot], rules: Rules
) -> tuple[dict[int, Tally], Tally]:
    """Type all cells with the model and with memory; return the tally of each notebook, and memory's own."""
    base = fit_for(DEFAULT).coefficients
    totals: defaultdict[int, Tally] = defaultdict(Tally)
    alone = Tally()
    for (notebook, _), group in groupby(written, key=lambda s: (s.notebook, s.cell)):
        person, length = Score(), 0
        for spot in group:
            length = spot.place + len(spot.future)
            if spot.place < person.covered(spot.cell):
                continue
            knows = at.get((spot.notebook, spot.cell, spot.place))
            shown, whole = (
                best(knows, rules.recalled, rules.sure) if knows and rules.recalled else ("", False)
            )
            text = shown if whole else by_model(spot, knows, base, rules)
            text = text if text.startswith(shown) else shown
            before = vars(person.total).copy()
            person.see(spot.cell, spot.place, spot.before, text, spot.future)
            if whole or (shown and text == shown):
                alone += Tally(**{name: number - before[name] for name, number in vars(person.total).items()})
        person.typed(length, length)
        totals[notebook] += person.total
    return dict(totals), alone


def by_model(spot: Written, knows: Spot | None, base: dict[str, float], rules: Rules) -> str:
    """Return what is shown of the model's text."""
    gate = Gate(spot.watching.cursor, rules.threshold, spot.fits)
    for boundary, values in zip(spot.watching.boundaries, spot.watching.found, strict=True):
        score = sigmoid(sum(base[name] * number for name, number in values.items()))
        known = {} if boundary.line or not rules.supported else support(knows, spot.text[: boundary.end])
        by = sum(rules.supported[name] * number for name, number in known.items())
        gate.boundaries.append(boundary._replace(score=moved(score, by)))
    end, _ = gate.shown(spot.text)
    return spot.text[:end]


STEPS = [step / 40 for step in range(12, 38)]


def compare(
    without: Sequence[Written],
    with_it: Sequence[Written],
    at: dict[tuple[int, int, int], Spot],
    ways: dict[str, Rules],
    eagerness: str,
) -> None:
    """Say what each way saves where it is as often right as the model without memory."""
    first, _ = together(without, {}, Rules({}, 2.0, {}, fit_for(DEFAULT).thresholds[eagerness]))
    one = sum(first.values(), start=Tally())
    print(f"{eagerness}: without {one.precision:.3f} right, {one.share_saved:.3f} saved")
    for name, rules in ways.items():
        found = {}
        for step in STEPS:
            rules.threshold = step
            found[step] = together(with_it if "cells" in name else without, at, rules)
        totals = {step: sum(tallies.values(), start=Tally()) for step, (tallies, _) in found.items()}
        good = [s for s in STEPS if totals[s].precision >= one.precision] or [max(STEPS)]
        step = max(good, key=lambda s: totals[s].share_saved)
        second, alone = found[step]
        low, high = ratio_interval([(second[n], first[n]) for n in first])
        print(
            f"  {name} at {step:.3f}: {totals[step].precision:.3f} right, "
            f"{totals[step].share_saved:.3f} saved, {totals[step].share_saved / one.share_saved:.3f} times "
            f"({low:.2f} to {high:.2f}); "
            f"memory's: {alone.shown} shown, {alone.precision:.3f} right, {alone.saved} saved"
        )


def alone(fitted: Sequence[Spot], held_out: Sequence[Spot]) -> tuple[dict[str, float], dict[str, float]]:
    """Fit the lines that memory shows by itself; report; return coefficients and thresholds."""
    coefficients = fit_lines(fitted)
    print(f"{sum(len(spot.found) for spot in fitted)} candidates in the fitted half")
    print(json.dumps(coefficients, indent=1))
    print("calibration on the held-out half: score, right, candidates")
    others = [(value(one, coefficients), one.right) for spot in held_out for one in spot.found]
    for step in range(10):
        within = [is_right for score, is_right in others if step / 10 <= score < (step + 1) / 10]
        print(f"{step / 10:.1f}  {sum(within) / max(1, len(within)):.3f}  {len(within)}")
    # In the fitted half, each notebook is played with what the others were fitted to.
    parts = [[spot for spot in fitted if spot.notebook // 2 % PARTS == part] for part in range(PARTS)]
    fits = [fit_lines([spot for other in parts if other is not part for spot in other]) for part in parts]
    print("threshold; fitted, by parts: precision, saved; held out: precision, saved, shown per 100 keys")
    tallies: dict[float, Tally] = {}
    for step in range(8, 39):
        threshold = step / 40
        a = sum((play(part, fit, threshold) for part, fit in zip(parts, fits, strict=True)), start=Tally())
        b = play(held_out, coefficients, threshold)
        tallies[threshold] = a
        print(
            f"{threshold:.3f}  {a.precision:.3f} {a.share_saved:.3f}  "
            f"{b.precision:.3f} {b.share_saved:.3f} {b.per_hundred:.1f}"
        )
    thresholds = {
        name: next((t for t, tally in tallies.items() if tally.precision >= aim), max(tallies))
        for name, aim in AIMS.items()
    }
    print(thresholds)
    return coefficients, thresholds


def beside_the_model(
    paths: Sequence[Path],
    notebooks: Sequence[TypedNotebook],
    found: Sequence[Spot],
    coefficients: dict[str, float],
    sure: float,
) -> dict[str, float]:
    """Fit what memory says of the model's text; compare with the model alone; return the coefficients."""
    at = {(s.notebook, s.cell, s.place): s for s in found}
    read_lines = [[json.loads(line) for line in path.open()] for path in paths]
    keys = [{(x["notebook"], x["cell"], x["place"]) for x in lines} for lines in read_lines]
    written = [
        [look(x, notebooks[x["notebook"]]) for x in lines if _key(x) in keys[0] & keys[1]]
        for lines in read_lines
    ]
    halves = [[[spot for spot in some if spot.notebook % 2 == n] for some in written] for n in (0, 1)]
    support = fit_support(halves[0][1], at)
    print(json.dumps(support, indent=1))
    for half, (without, with_it) in zip(("fitted", "held out"), halves, strict=True):
        print(f"{half}: {len(without)} places")
        ways = {
            "lines": Rules(coefficients, sure, {}, 0.0),
            "support": Rules({}, 2.0, support, 0.0),
            "lines, support": Rules(coefficients, sure, support, 0.0),
            "cells": Rules({}, 2.0, {}, 0.0),
            "cells, lines": Rules(coefficients, sure, {}, 0.0),
            "cells, support": Rules({}, 2.0, support, 0.0),
            "cells, lines, support": Rules(coefficients, sure, support, 0.0),
        }
        compare(without, with_it, at, ways, "balanced")
    return support


def _key(line: dict[str, Any]) -> tuple[int, int, int]:
    return line["notebook"], line["cell"], line["place"]


def main() -> None:
    """Fit, report, and write if that is wanted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument(
        "--places", type=Path, nargs=2, help="what the model wrote, without memory and with it"
    )
    parser.add_argument("--write", action="store_true", help="write the coefficients into the package")
    options = parser.parse_args()
    notebooks = read(options.set)
    with closing(Shelf(SIBLINGS, notebooks)) as shelf:
        found = [
            spot
            for number, notebook in enumerate(notebooks)
            for spot in spots(number, notebook, shelf.beside(notebook.name))
        ]
    print(f"{len(found)} places")
    coefficients, thresholds = alone(*([s for s in found if s.notebook % 2 == n] for n in (0, 1)))
    support = recall.fit().support
    if options.places:
        sure = thresholds["balanced"]
        support = beside_the_model(options.places, notebooks, found, coefficients, sure)
    if options.write:
        fit = {"coefficients": coefficients, "thresholds": thresholds, "support": support}
        TARGET.write_text(json.dumps(fit, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
