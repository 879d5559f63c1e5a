"""The effect of a learning threshold for users whose code the gate misjudges, and for other users.

python benchmarks/learning.py    (takes three minutes; no model is needed)

Scores are distributed as where the gate was fitted (shown per 100 keystrokes by threshold, in
results/suggestions.md). The probability that a suggestion is correct is modelled in two ways: *as scored* is
the score minus the loss caused by showing the best of several boundaries; *as measured* is the precision of
the thresholds around it, which falls faster below *balanced*. For each user the log-odds are shifted so that
the fitted threshold is correct less or more often than its setting promises. Each shown suggestion is
reported as by an editor, and processed as by the server. Some accepted suggestions are lost before their
retention is reported; text that the user typed over is never reported. Precision is that of the final
threshold over all scores, not of a sample.
"""

from __future__ import annotations

import argparse
import random
import statistics
from bisect import bisect_left
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from jupyter_turbopilot.completer.learning.calibration import AS_FITTED, Calibration, log_odds
from jupyter_turbopilot.completer.learning.outcomes import SECONDS, DisplayConditions, Outcomes
from jupyter_turbopilot.protocol.request import Feedback
from jupyter_turbopilot.suggestion.features import sigmoid
from jupyter_turbopilot.suggestion.gate_fit import DEFAULT, fit_for, subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# Shown per 100 keystrokes, and the number of correct ones, by threshold, in the fitted half.
SHOWN = {
    0.05: (4.3, 0.238),
    0.2: (3.3, 0.380),
    0.4: (2.7, 0.543),
    0.5: (2.4, 0.642),
    0.6: (2.1, 0.717),
    0.7: (1.8, 0.834),
    0.8: (1.6, 0.901),
    0.925: (1.3, 0.967),
    1.0: (0.0, 1.0),
}
ODDS = 0.0  # difference of the log-odds from the score's, from *balanced* on
TARGET = 0.03  # tolerated difference from the promised precision
SHARES = (0.8, 1.0, 1.2)  # precision at the fitted threshold relative to the promise
SIZE = 4000  # suggestions in a world
LENGTH = 20  # characters of each
PAUSE = SECONDS / 100  # between two suggestions
LOST = 0.05  # share of accepted suggestions whose retention is never reported
# The users' reactions to a suggestion, their frequency, and the text that remains later.
WITH_RIGHT = (
    (0.72, ("accepted", LENGTH), ("retained", LENGTH)),
    (0.25, ("typed_over", LENGTH)),
    # A typing mistake that the user deletes: the suggestion is shown again.
    (0.03, ("typed_over", 2), ("shown", LENGTH), ("accepted", LENGTH), ("retained", LENGTH)),
)
WITH_WRONG = (
    (0.65, ("typed_over", 3)),
    (0.20, ("dismissed", 0)),
    (0.15, ("accepted", LENGTH), ("retained", 8)),
)


def as_scored(score: float) -> float:
    """Return the probability of being correct, from the score."""
    return sigmoid(log_odds(score) + ODDS)


def as_measured(score: float) -> float:
    """Return the probability of being correct, from the precision of the thresholds around it."""
    centres, rates = [], []
    for (low, (more, first)), (high, (less, second)) in pairwise(SHOWN.items()):
        centres.append((low + high) / 2)
        rates.append((more * first - less * second) / (more - less))
    at = min(max(1, bisect_left(centres, score)), len(centres) - 1)
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
    """Scores and their probabilities of being correct for users whose code the gate judges well."""

    scores: Sequence[float]
    chances: Sequence[float]

    @classmethod
    def of(cls, chance: Callable[[float], float], seed: int) -> World:
        """Draw a world."""
        rng = random.Random(seed)  # noqa: S311 - a reproducible choice
        scores = sorted(draw(rng) for _ in range(SIZE))
        return cls(scores, [log_odds(chance(score)) for score in scores])

    def precision(self, threshold: float, shift: float) -> float:
        """Return the precision at a threshold for a user with this shift."""
        return statistics.fmean(
            sigmoid(chance + shift) for chance in self.chances[bisect_left(self.scores, threshold) :]
        )

    def shown(self, threshold: float) -> float:
        """Return the share of suggestions shown at a threshold."""
        return 1 - bisect_left(self.scores, threshold) / len(self.scores)

    def shift_for(self, precision: float, threshold: float) -> float:
        """Return the shift with which a threshold has this precision."""
        low, high = -4.0, 4.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self.precision(threshold, middle) < precision else (low, middle)
        return low


@dataclass
class User:
    """A user who types in a world."""

    world: World
    shift: float
    terms: DisplayConditions
    rng: random.Random

    def thresholds(self) -> Iterator[float]:
        """Iterate over the threshold after each shown suggestion."""
        learned, outcomes, fitted = AS_FITTED, Outcomes(), self.terms.threshold
        for number in range(1 << 30):
            threshold = learned.threshold(fitted)
            learned = self._see(number, threshold, learned, outcomes)
            yield learned.threshold(fitted)

    def _see(self, number: int, threshold: float, learned: Calibration, outcomes: Outcomes) -> Calibration:
        """Process one suggestion that passes the threshold; return the new calibration."""
        at = self.rng.randrange(bisect_left(self.world.scores, threshold), len(self.world.scores))
        right = self.rng.random() < sigmoid(self.world.chances[at] + self.shift)
        name, now, terms = f"{number}", number * PAUSE, replace(self.terms, threshold=threshold)
        outcomes.sent(name, terms, LENGTH, self.world.scores[at], now)
        habits = WITH_RIGHT if right else WITH_WRONG
        [(_, *events)] = self.rng.choices(habits, [share for share, *_ in habits])
        if events[-1][0] == "retained" and self.rng.random() < LOST:
            events.pop()
        for event, chars in (("shown", LENGTH), *events):
            feedback = Feedback(id=name, event=event, chars=chars, length=LENGTH)
            for verdict in outcomes.receive(feedback, now).verdicts:
                known, promised = verdict.terms.threshold, verdict.terms.promised
                assert promised
                learned = learned.learn(verdict.score, known, promised, right=verdict.right)
        return learned


def main() -> None:
    """Print a table for each model of probabilities."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--worlds", type=int, default=5, help="sets of scores (%(default)s)")
    parser.add_argument("--users", type=int, default=40, help="users in each of them (%(default)s)")
    parser.add_argument("--shown", type=int, nargs="+", default=[50, 200, 500, 2000])
    fit = fit_for(DEFAULT)
    parser.add_argument("--settings", nargs="+", default=[*fit.promised], choices=[*fit.promised])
    options = parser.parse_args()
    for chance in (as_scored, as_measured):
        print(f"\n{chance.__name__}\n")
        print(
            "| setting | promised | at the fitted threshold | suggestions shown | learned: mean (least and "
            "greatest of the worlds) | 5 to 95 of 100 users | of 100 within 0.03 | shows, times as many |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        worlds = [World.of(chance, seed) for seed in range(options.worlds)]
        for setting in options.settings:
            promised = fit.promised[setting]
            terms = DisplayConditions(subject_of(DEFAULT, setting), fit.thresholds[setting], promised)
            for share in SHARES:
                if promised * share < 0.9:  # noqa: PLR2004 - unrealistically high
                    rows(options, setting, worlds, terms, promised * share)


def rows(
    options: argparse.Namespace,
    setting: str,
    worlds: Sequence[World],
    terms: DisplayConditions,
    before: float,
) -> None:
    """Print a row for each number of shown suggestions."""
    ends: dict[int, list[list[float]]] = {count: [] for count in options.shown}
    shows: dict[int, list[float]] = {count: [] for count in options.shown}
    for seed, world in enumerate(worlds):
        shift = world.shift_for(before, terms.threshold)
        known: dict[float, float] = {}
        for found in ends.values():
            found.append([])
        for number in range(options.users):
            rng = random.Random(seed * 100_000 + number)  # noqa: S311 - a reproducible choice
            for count, threshold in enumerate(User(world, shift, terms, rng).thresholds(), 1):
                if count in ends:
                    if threshold not in known:
                        known[threshold] = world.precision(threshold, shift)
                    ends[count][-1].append(known[threshold])
                    shows[count].append(world.shown(threshold) / world.shown(terms.threshold))
                if count == max(options.shown):
                    break
    for count, found in ends.items():
        means = [statistics.fmean(users) for users in found]
        precisions = sorted(one for users in found for one in users)
        twentieth = len(precisions) // 20
        near = statistics.fmean(abs(one - terms.promised) <= TARGET for one in precisions)
        least, most = precisions[twentieth], precisions[-1 - twentieth]
        print(
            f"| {setting} | {terms.promised:.3f} | {before:.3f} | {count} | {statistics.fmean(means):.3f} "
            f"({min(means):.3f} to {max(means):.3f}) | {least:.3f} to {most:.3f} | {100 * near:.0f} "
            f"| {statistics.fmean(shows[count]):.2f} |"
        )


if __name__ == "__main__":
    main()
