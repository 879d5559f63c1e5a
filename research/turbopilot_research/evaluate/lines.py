"""Exact-match rate of line completions, and the effect of an adapter on it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.terminal.in_process import InProcess
from turbopilot_research.evaluate.replay import TypingResult, by_keystrokes
from turbopilot_research.evaluate.scoring import bootstrap_interval, completes_line
from turbopilot_research.evaluate.traces import LONGEST_CELL, SHARES, of_kind, request_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.settings.config import Turbopilot
    from turbopilot_research.evaluate.notebooks import TypedNotebook


class Cursor(NamedTuple):
    """A position to complete; `within` if the rest of the cell follows."""

    notebook: int
    cell: int
    at: int
    within: bool = False


@dataclass
class ExactLines:
    """Exact matches by position, and latencies."""

    exact: dict[Cursor, bool] = field(default_factory=dict)
    ms: list[float] = field(default_factory=list)

    @property
    def share(self) -> float:
        """The share of exact matches."""
        return sum(self.exact.values()) / max(1, len(self.exact))

    def of(self, *, within: bool) -> ExactLines:
        """Return the positions with or without following text."""
        return ExactLines({place: exact for place, exact in self.exact.items() if place.within == within})


def positions(notebooks: Sequence[TypedNotebook], count: int, seed: int = 17) -> list[Cursor]:
    """Choose random positions that are followed by text, from each notebook in turn."""
    rng = random.Random(seed)  # noqa: S311 - a reproducible choice
    cursors: dict[tuple[int, int, int], Cursor] = {}
    turns = [number for number, notebook in enumerate(notebooks) if notebook.typed]
    tries = 0
    while turns and len(cursors) < count and tries < 20 * count:
        number = turns[tries % len(turns)]
        tries += 1
        cell = rng.choice(notebooks[number].typed)
        text = notebooks[number].cells[cell].source
        at = rng.randrange(1, len(text[:LONGEST_CELL]))
        line, _, below = text[at:].partition("\n")
        if line.strip():
            within = bool(below.strip()) and rng.random() < SHARES["edit"]
            cursors.setdefault((number, cell, at), Cursor(number, cell, at, within))
    return sorted(cursors.values())


def complete(
    local: InProcess,
    notebooks: Sequence[TypedNotebook],
    chosen: Sequence[Cursor],
    tell: Callable[[str], None],
) -> ExactLines:
    """Request a line completion at each position, at the eagerness that shows every suggestion."""
    lines = ExactLines()
    for place in chosen:
        number, cell, at, within = place
        future = notebooks[number].cells[cell].source[at:]
        rest = future[len(future.partition("\n")[0]) :] if within else ""
        options = {"trigger": "automatic", "eagerness": "always", "lines": "single"}
        reply = local.last(request_at(notebooks[number], cell, at, rest, **options))
        text = reply.items[0].text if reply.items else ""
        lines.exact[place] = completes_line(text, future)
        lines.ms.append(reply.timings.total_ms)
        tell(notebooks[number].name)
    return lines


@dataclass(frozen=True)
class Gain:
    """The difference between two settings at the same positions."""

    before: float
    after: float
    low: float  # of the 95 % confidence interval of the difference
    high: float
    positions: int

    @property
    def summary(self) -> str:
        """Summarise the difference."""
        moved = 100 * (self.after - self.before)
        figures = (
            f"{self.before:.1%} of {self.positions} lines completed exactly without, {self.after:.1%} with: "
            f"{moved:+.1f} points ({100 * self.low:+.1f} to {100 * self.high:+.1f})."
        )
        if self.low > 0:
            return f"It helps. {figures}"
        if self.high < 0:
            return f"It makes completions worse: do not use it. {figures}"
        return f"No significant difference. Test more lines. {figures}"


def gain(before: ExactLines, after: ExactLines) -> Gain:
    """Compare two settings at their common positions; notebooks are resampled, not positions."""
    shared = [place for place in before.exact if place in after.exact]
    groups: dict[int, list[int]] = {}
    for place in shared:
        groups.setdefault(place.notebook, []).append(after.exact[place] - before.exact[place])
    if not groups:
        return Gain(0.0, 0.0, -math.inf, math.inf, 0)

    def difference(chosen: Sequence[list[int]]) -> float:
        return sum(map(sum, chosen)) / max(1, sum(map(len, chosen)))

    low, high = bootstrap_interval(list(groups.values()), difference)
    count = len(shared)
    return Gain(
        sum(before.exact[place] for place in shared) / count,
        sum(after.exact[place] for place in shared) / count,
        low,
        high,
        count,
    )


@dataclass(frozen=True)
class Comparison:
    """A comparison of two settings on held-out documents: exact lines, and replayed cells."""

    gain: Gain
    typed: tuple[TypingResult, TypingResult]

    @property
    def summary(self) -> str:
        """Summarise the comparison."""
        without, with_it = (
            f"precision {total.precision:.3f}, keystrokes saved {total.share_saved:.3f}"
            for total in (result.total for result in self.typed)
        )
        keys = self.typed[0].total.keys
        return f"{self.gain.summary}\nReplayed {keys} keystrokes: without, {without}; with, {with_it}."


def compare(
    ways: Sequence[tuple[str, Turbopilot]],
    notebooks: Sequence[TypedNotebook],
    count: int,
    tell: Callable[[str, int, int], None],
) -> Comparison:
    """Evaluate both settings, one after the other, with about `count` requests of each kind."""
    chosen = positions(notebooks, count)
    traces = of_kind(notebooks, "append", count)
    lines, typed = [], []
    for name, settings in ways:
        settings.keep_sequences = settings.yield_cpu = False
        settings.cache_file = ""
        local = InProcess(settings)
        done: list[str] = []

        def count_one(notebook: str, name: str = name, done: list[str] = done) -> None:
            done.append(notebook)
            tell(name, len(done), len(chosen) + len(traces))

        try:
            lines.append(complete(local, notebooks, chosen, count_one))
            typed.append(by_keystrokes(local, traces, count_one))
        finally:
            local.close()
    return Comparison(gain(lines[0], lines[1]), (typed[0], typed[1]))
