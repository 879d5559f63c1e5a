"""What memory adds: the same cells typed without it and with it, compared where both are as often right."""

from __future__ import annotations

import statistics
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.evaluate.scoring import between
from jupyter_turbopilot.evaluate.typist import TypingResult, by_keystrokes, with_memory
from jupyter_turbopilot.suggestion.fit import fit_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.evaluate.traces import Trace
    from jupyter_turbopilot.memory.reader import Memory
    from jupyter_turbopilot.shell.in_process import InProcess

    Remembering = Callable[[str], Memory | None]

STEP = 0.05  # by which the model's threshold is moved in search of the same precision
MOST = 4  # times
AROUND = (-STEP, STEP)  # other thresholds at which everything is typed without memory, too


@dataclass(frozen=True)
class MemoryGain:
    """The same cells, typed without memory and with it, at several thresholds of the model's suggestions."""

    without: dict[float, TypingResult]  # by how much the threshold was moved
    with_it: dict[float, TypingResult]

    @property
    def wanted(self) -> float:
        """How precise both have to be: as it is without memory."""
        return self.without[0.0].total.precision

    @property
    def reached(self) -> bool:
        """Whether that is so with memory at any of the thresholds."""
        return any(typed.total.precision >= self.wanted for typed in self.with_it.values())

    def moved(self, found: dict[float, TypingResult]) -> float:
        """Return the threshold that saves most and is precise enough, or else the most precise one."""
        good = [by for by, typed in found.items() if typed.total.precision >= self.wanted]
        if not good:
            return max(found, key=lambda by: found[by].total.precision)
        return max(good, key=lambda by: found[by].total.saved)

    @property
    def ways(self) -> dict[str, TypingResult]:
        """Name the ways in which everything was typed."""
        return {
            f"{way}, threshold {by:+.2f}" if by else way: typed
            for way, found in (("without memory", self.without), ("with memory", self.with_it))
            for by, typed in sorted(found.items(), key=lambda pair: (abs(pair[0]), pair[0]))
        }

    @property
    def words(self) -> str:
        """Compare them in words."""
        first, second = self.without[0.0], self.with_it[0.0]
        by, by_it = self.moved(self.without), self.moved(self.with_it)
        one, other = self.without[by], self.with_it[by_it]
        pairs = [(other.notebooks[name], tally) for name, tally in one.notebooks.items()]
        ratio = other.total.share_saved / max(1e-9, one.total.share_saved)
        memory, shown_ms = second.recalled, statistics.median(second.recalled_ms or [0.0])
        # What is accepted is not asked for: the same keys are compared, not those that are left.
        both = first.key_ms.keys() & second.key_ms.keys()
        key, key_with = (
            statistics.fmean([typed.key_ms[where] for where in both] or [0.0]) for typed in (first, second)
        )
        focus, focus_with = (statistics.fmean(typed.focus_ms or [0.0]) for typed in (first, second))
        how = (
            f"At a precision of {self.wanted:.3f} or above"
            if self.reached
            else f"No threshold with memory is as precise as {self.wanted:.3f}; at the most precise one"
        )
        return (
            f"{how}, memory saves {ratio:.2f} times as much{between(pairs)}: "
            f"{other.total.share_saved:.3f} (precision {other.total.precision:.3f}, threshold {by_it:+.2f}) "
            f"against {one.total.share_saved:.3f} ({one.total.precision:.3f}, {by:+.2f}). Of {memory.shown} "
            f"suggestions that came from memory alone {memory.precision:.3f} were right; the median was "
            f"shown after {shown_ms:.1f} ms. A key that was asked for in both ways took {key_with:.0f} ms on "
            f"average with memory and {key:.0f} ms without ({key_with / max(1e-9, key):.3f} times), all keys "
            f"{sum(second.ms) / 1000:.0f} and {sum(first.ms) / 1000:.0f} seconds, a cell that got the focus "
            f"{focus_with:.0f} and {focus:.0f} ms."
        )


def measure(
    local: InProcess,
    traces: Sequence[Trace],
    eagerness: str,
    remembering: Callable[[str], Memory],
    telling: Callable[[str], Callable[[str], None]],
    tell: Callable[[str, TypingResult, str], None],
) -> MemoryGain:
    """Type everything without memory and with it, in turns, then each also at other thresholds.

    `tell` hears of each time that everything was typed: what came of it, and how both compare so far.
    """
    model = local.pilot.worker.state.model
    without, with_it = in_turns(local, traces, remembering, telling("in turns"))
    gain = MemoryGain({0.0: without}, {0.0: with_it})
    tell("without memory", without, "")
    tell("with memory", with_it, gain.words)

    def at(by: float, way: str, found: dict[float, TypingResult], remembered: Remembering) -> float:
        way = f"{way}, threshold {by:+.2f}"
        with threshold_moved(model, eagerness, by):
            found[by] = by_keystrokes(local, traces, telling(way), remembered)
        tell(way, found[by], gain.words)
        return found[by].total.precision

    wanted = gain.wanted
    step = -STEP if with_it.total.precision >= wanted else STEP
    for number in range(1, MOST + 1):
        reached = at(step * number, "with memory", gain.with_it, remembering) >= wanted
        if reached == (step > 0):
            break
    for by in AROUND:
        at(by, "without memory", gain.without, lambda _: None)
    return gain


def in_turns(
    local: InProcess,
    traces: Sequence[Trace],
    remembering: Callable[[str], Memory],
    tell: Callable[[str], None],
) -> tuple[TypingResult, TypingResult]:
    """Type each trace without memory and with it, so that both meet the same machine."""
    without, with_it = TypingResult(), TypingResult()
    for number, trace in enumerate(traces):
        ways = ((without, None), (with_it, remembering(trace.name)))
        for typed, memory in ways[:: -1 if number % 2 else 1]:
            # Answers to the same keys would be given again: neither the time nor the text would be its own.
            local.pilot.completer.results.clear()
            with_memory(local, trace, typed, memory)
        tell(trace.name)
    return without, with_it


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
