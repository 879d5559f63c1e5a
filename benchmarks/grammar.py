"""How a page's grammar of Python judges, beside Python's own parser.

python benchmarks/grammar.py --set notebooks.json.gz -m MODEL places.jsonl

The places are what `scripts/fit_gate.py collect` writes.

Every beginning of an answer that the gate may ask about is judged by both; what a page would show at each
setting is judged by Python. `--spliced` puts answers to other places there, too, which seldom fit.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from fit_gate import Spot, look  # noqa: E402

from jupyter_turbopilot.evaluate.notebooks import read  # noqa: E402
from jupyter_turbopilot.suggestion.features import score  # noqa: E402
from jupyter_turbopilot.suggestion.fit import DEFAULT, EAGERNESS, fit_for  # noqa: E402
from jupyter_turbopilot.suggestion.gate import Gate  # noqa: E402
from jupyter_turbopilot.suggestion.grammar import fitting  # noqa: E402
from tests.twins import Twins  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Judged:
    """The words of both on the beginnings of answers."""

    def __init__(self, twins: Twins) -> None:
        self._twins = twins
        self.both = {(right, word): 0 for right in (True, False) for word in (True, False)}
        self.took: list[float] = []

    def judge(self, prefix: str, texts: Sequence[str]) -> dict[str, bool]:
        """Ask both; return the grammar's words."""
        fits = fitting("python", prefix)
        begun = time.perf_counter()
        words = dict(zip(texts, self._twins("fitting", prefix, texts), strict=True))
        self.took.append((time.perf_counter() - begun) * 1000)
        for text, word in words.items():
            self.both[fits(text), word] += 1
        return words

    def report(self, name: str) -> None:
        """Say how often the grammar was wrong."""
        refused, kept = self.both[True, False], self.both[True, True]
        through, stopped = self.both[False, True], self.both[False, False]
        took = sorted(self.took)
        print(
            f"{name}: refused {refused} of {refused + kept} that parse, let through {through} of "
            f"{through + stopped} that do not; an answer's beginnings take {took[len(took) // 2]:.1f} ms "
            f"(median), {took[int(len(took) * 0.95)]:.1f} ms (p95)"
        )


def shown(spot: Spot, model: str, eagerness: str, fits: Callable[[str], bool]) -> str:
    """Return what a gate shows that asks this about a text."""
    fit = fit_for(model)
    gate = Gate(spot.watching.cursor, fit.thresholds[eagerness], fits)
    gate.boundaries = [
        boundary._replace(score=score(found, fit.coefficients))
        for boundary, found in zip(spot.watching.boundaries, spot.watching.found, strict=True)
    ]
    return spot.text[: gate.shown(spot.text)[0]]


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--spliced", action="store_true")
    parser.add_argument("-m", "--model", default=DEFAULT, help="whose gate (%(default)s)")
    parser.add_argument("places", type=Path)
    options = parser.parse_args()
    notebooks = read(options.set)
    lines = map(json.loads, options.places.open())
    spots = [look(line, notebooks[line["notebook"]]) for line in lines]
    with tempfile.TemporaryDirectory() as folder:
        twins = Twins(Path(folder))
        judged, wrong = Judged(twins), {eagerness: [0, 0] for eagerness in EAGERNESS}
        for spot in spots:
            ends = {boundary.end for boundary in spot.watching.boundaries}
            texts = sorted({spot.text[:end] for end in ends} - {""})
            words = judged.judge(spot.before, texts)
            for eagerness, counted in wrong.items():
                if text := shown(spot, options.model, eagerness, words.__getitem__):
                    counted[0] += 1
                    counted[1] += not spot.fits(text)
        judged.report("answers of the replay")
        for eagerness, (count, bad) in wrong.items():
            print(f"  {eagerness}: {bad} of {count} shown do not parse")
        if options.spliced:
            spliced = Judged(twins)
            chance = random.Random(3)  # noqa: S311 - the same texts each time
            for spot in spots:
                texts = [chance.choice(spots).text, chance.choice(spots).future[: chance.randint(1, 120)]]
                spliced.judge(spot.before, sorted({*texts} - {""}))
            spliced.report("answers to other places")
        twins.close()


if __name__ == "__main__":
    main()
