"""What memory adds: the same cells typed without it and with it, compared where both are as often right."""

from __future__ import annotations

import statistics
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.evaluate.scoring import ratio_interval
from jupyter_turbopilot.evaluate.typist import TypingResult, by_keystrokes
from jupyter_turbopilot.suggestion.fit import fit_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.evaluate.traces import Trace
    from jupyter_turbopilot.memory.base import Memory
    from jupyter_turbopilot.shell.in_process import InProcess

STEP = 0.05  # by which the threshold is moved in search of the same precision
MOST = 3  # times


@dataclass(frozen=True)
class MemoryGain:
    """The same cells, typed without memory, with it, and with it at a threshold that is as often right."""

    without: TypingResult
    with_it: TypingResult
    equal: TypingResult
    moved: float  # by how much the model's threshold had to be moved for that

    @property
    def ways(self) -> dict[str, TypingResult]:
        """Name the ways in which everything was typed."""
        return {
            "without memory": self.without,
            "with memory": self.with_it,
            "with memory at equal precision": self.equal,
        }

    @property
    def words(self) -> str:
        """Say what came of it."""
        pairs = [(self.equal.notebooks[name], tally) for name, tally in self.without.notebooks.items()]
        low, high = ratio_interval(pairs)
        ratio = self.equal.total.share_saved / max(1e-9, self.without.total.share_saved)
        memory, first = self.with_it.recalled, statistics.median(self.with_it.recalled_ms or [0.0])
        both = (self.with_it, self.without)
        key, without_key = (statistics.fmean(typed.ms or [0.0]) for typed in both)
        focus, without_focus = (statistics.fmean(typed.focus_ms or [0.0]) for typed in both)
        return (
            f"At the same precision or above ({self.equal.total.precision:.3f} with memory, threshold moved "
            f"by {self.moved:+.2f}; {self.without.total.precision:.3f} without) memory saves "
            f"{ratio:.2f} times as much ({low:.2f} to {high:.2f}). {memory.shown} suggestions came from "
            f"memory alone: {memory.precision:.3f} of them right, shown after {first:.1f} ms (median). "
            f"A key took {key:.0f} ms on average with memory, {without_key:.0f} ms without "
            f"({key / max(1e-9, without_key):.3f} times); reading a cell that got the focus {focus:.0f} and "
            f"{without_focus:.0f} ms."
        )


def measure(
    local: InProcess,
    traces: Sequence[Trace],
    eagerness: str,
    remembering: Callable[[str], Memory],
    telling: Callable[[str], Callable[[str], None]],
) -> MemoryGain:
    """Type everything without memory, then with it; then at other thresholds, until it is as often right."""
    without = by_keystrokes(local, traces, telling("without memory"), lambda _: None)
    wanted = without.total.precision

    def at(moved: float) -> TypingResult:
        with threshold_moved(local.pilot.worker.state.model, eagerness, moved):
            return by_keystrokes(local, traces, telling(f"with memory, {moved:+.2f}"), remembering)

    with_it = at(0.0)
    found = {0.0: with_it}
    step = -STEP if with_it.total.precision >= wanted else STEP
    for number in range(1, MOST + 1):
        found[step * number] = at(step * number)
        reached = found[step * number].total.precision >= wanted
        if reached == (step > 0):
            break
    good = {moved: typed for moved, typed in found.items() if typed.total.precision >= wanted}
    moved = max(good, key=lambda m: good[m].total.saved) if good else max(found)
    return MemoryGain(without, with_it, found[moved], moved)


@contextmanager
def threshold_moved(model: str, eagerness: str, moved: float) -> Iterator[None]:
    """Have the gate let through less, or more, of what the model writes."""
    thresholds = fit_for(model).thresholds
    before = thresholds[eagerness]
    thresholds[eagerness] = min(0.975, max(0.0, before + moved))
    try:
        yield
    finally:
        thresholds[eagerness] = before
