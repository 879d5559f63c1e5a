"""What a threshold that learns does for people whose code the gate is wrong about, and for the others.

python benchmarks/learning.py    (a minute; no model, nothing but arithmetic)

The scores are spread as they were where the gate was fitted (shown per 100 keys by threshold, in
results/suggestions.md). How often a suggestion of a score is right is taken in two ways: as its score says,
less what is lost because the best of several boundaries is shown; and as precision was measured at each
threshold, which falls faster below *balanced*. For each person the log-odds of that are shifted such that
*balanced* would be right less often or more often than it promises. Precision is that of the threshold at
the end, over all scores, not of a sample.
"""

from __future__ import annotations

import argparse
import random
import statistics
from bisect import bisect
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from jupyter_turbopilot.suggestion.features import sigmoid
from jupyter_turbopilot.suggestion.fit import DEFAULT, PROMISED, fit_for
from jupyter_turbopilot.suggestion.learning import AS_FITTED, Calibration, log_odds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Shown per 100 keys, and how many of those were right, by threshold, in the half that was fitted to.
SHOWN = {
    0.05: (11.3, 0.297),
    0.3: (7.8, 0.431),
    0.5: (5.2, 0.579),
    0.575: (4.1, 0.669),
    0.65: (3.0, 0.699),
    0.7: (2.2, 0.740),
    0.775: (1.3, 0.802),
    0.85: (0.7, 0.842),
    1.0: (0.0, 1.0),
}
ODDS = -0.35  # by which the log-odds of being right lie below the score's, from *balanced* on
TARGET = 0.03  # how far precision may be from what is promised
SHIFTS = (0.8, 1.0, 1.2)  # precision at the fitted threshold, as a share of what is promised


def as_scored(score: float) -> float:
    """Return how often a score is right, by what it says."""
    return sigmoid(log_odds(score) + ODDS)


def as_measured(score: float) -> float:
    """Return how often a score is right, by the precision of the thresholds around it."""
    centres, rates = [], []
    for (low, (more, first)), (high, (less, second)) in pairwise(SHOWN.items()):
        centres.append((low + high) / 2)
        rates.append((more * first - less * second) / (more - less))
    at = min(max(1, bisect(centres, score)), len(centres) - 1)
    part = (score - centres[at - 1]) / (centres[at] - centres[at - 1])
    return min(0.97, max(0.03, rates[at - 1] + part * (rates[at] - rates[at - 1])))


def draw(rng: random.Random) -> float:
    """Draw the score of a suggestion."""
    left = rng.random() * SHOWN[0.05][0]
    for (low, (more, _)), (high, (less, _)) in pairwise(SHOWN.items()):
        if left >= less:
            return low + (high - low) * (more - left) / (more - less)
    raise AssertionError


@dataclass(frozen=True)
class World:
    """Scores, each with how often it is right for people whose code the gate is right about."""

    scores: Sequence[float]
    chances: Sequence[float]

    @classmethod
    def of(cls, chance: Callable[[float], float], size: int, seed: int = 1) -> World:
        """Draw one."""
        rng = random.Random(seed)  # noqa: S311 - a reproducible choice
        scores = sorted(draw(rng) for _ in range(size))
        return cls(scores, [log_odds(chance(score)) for score in scores])

    def precision(self, threshold: float, shift: float) -> float:
        """Return how many of those shown at a threshold are right for somebody."""
        chances = self.chances[bisect(self.scores, threshold) :]
        return statistics.fmean(sigmoid(chance + shift) for chance in chances)

    def shown(self, threshold: float) -> float:
        """Return how many are shown at a threshold, of all."""
        return 1 - bisect(self.scores, threshold) / len(self.scores)

    def shift_for(self, precision: float, threshold: float) -> float:
        """Return the shift with which a threshold has a precision."""
        low, high = -4.0, 4.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self.precision(threshold, middle) < precision else (low, middle)
        return low

    def type(self, rng: random.Random, shift: float, threshold: float, promised: float, count: int) -> Calibration:
        """Let somebody type until so many were shown; return what was learned."""
        learned = AS_FITTED
        while learned.seen < count:
            number = rng.randrange(len(self.scores))
            at = learned.threshold(threshold)
            if (score := self.scores[number]) >= at:
                right = rng.random() < sigmoid(self.chances[number] + shift)
                learned = learned.learn(score, at, promised, right=right)
        return learned


def main() -> None:
    """Print a row for each kind of person."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--size", type=int, default=4000, help="suggestions that a world has")
    parser.add_argument("--shown", type=int, nargs="+", default=[50, 200, 500, 2000])
    options = parser.parse_args()
    print("| right | setting | true precision / promised | shown | before | after (5 to 95 of 100 people) | within 0.03 | shows |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for chance in (as_scored, as_measured):
        world = World.of(chance, options.size)
        for setting, promised in PROMISED.items():
            threshold = fit_for(DEFAULT).thresholds[setting]
            for share in SHIFTS:
                if promised * share < 0.9:
                    row(options, world, chance.__name__, setting, threshold, promised, share)


def row(options, world, name, setting, threshold, promised, share) -> None:
    shift = world.shift_for(promised * share, threshold)
    for count in options.shown:
        ends = [world.type(random.Random(n), shift, threshold, promised, count) for n in range(options.people)]
        thresholds = [one.threshold(threshold) for one in ends]
        after = sorted(world.precision(one, shift) for one in thresholds)
        twentieth = len(after) // 20
        near = statistics.fmean(abs(one - promised) <= TARGET for one in after)
        shows = statistics.fmean(map(world.shown, thresholds)) / world.shown(threshold)
        print(f"| {name} | {setting} | {share} | {count} | {promised * share:.3f} | {statistics.fmean(after):.3f} ({after[twentieth]:.3f} to {after[-1 - twentieth]:.3f}) | {near:.0%} | {shows:.2f} | slope {statistics.fmean(e.slope for e in ends):.2f} ({min(e.slope for e in ends):.2f} {max(e.slope for e in ends):.2f}) off {statistics.fmean(e.offset for e in ends):.2f} |")


if __name__ == "__main__":
    main()
