"""Finds the parts of a prompt whose keys and values can be moved instead of evaluated again. Pure."""

from __future__ import annotations

from array import array
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.util.bounds import common_prefix_length

if TYPE_CHECKING:
    from collections.abc import Sequence

# A part of at least this length is moved, not evaluated again: moving costs as much as so many tokens.
WORTH_MOVING = 24
# Tokens after an edit that are evaluated again (research/benchmarks/results/speed.md).
REEVALUATED = 16
MOST_PLACES = 4  # at which a repeated run is considered
MOST_RUNS = 64  # equal runs that are considered; periodic text has thousands
_SIZE = array("i").itemsize


class Part(NamedTuple):
    """A part of a prompt that a sequence has at another position."""

    start: int  # in the sequence
    at: int  # in the prompt
    size: int
    changes: int  # tokens that were added, removed or replaced before it


def edited_parts(tokens: list[int], prompt: list[int], kept: int) -> list[Part]:
    """Return the parts of a prompt that follow edits of a sequence; the first `kept` tokens are equal."""
    parts: list[Part] = []
    found_end = place_end = kept  # of the last equal run
    changes = 0
    for found, place, same in sorted(_equal_runs(tokens, prompt, kept)):
        changes += max(found - found_end, place - place_end)
        if same - REEVALUATED >= WORTH_MOVING:
            parts.append(Part(found + REEVALUATED, place + REEVALUATED, same - REEVALUATED, changes))
        found_end, place_end = found + same, place + same
    return parts


def _equal_runs(tokens: list[int], prompt: list[int], kept: int) -> list[tuple[int, int, int]]:
    """Return the longest equal runs that are in the same order in both: their positions and lengths."""
    have, want = array("i", tokens).tobytes(), array("i", prompt).tobytes()
    starts: dict[bytes, list[int]] = {}
    for found in range(kept, len(tokens) - WORTH_MOVING + 1):
        places = starts.setdefault(have[found * _SIZE : (found + WORTH_MOVING) * _SIZE], [])
        if len(places) < MOST_PLACES:
            places.append(found)
    begun = (
        (found, place)
        for place in range(kept, len(prompt) - WORTH_MOVING + 1)
        for found in starts.get(want[place * _SIZE : (place + WORTH_MOVING) * _SIZE], ())
        if kept in {found, place} or tokens[found - 1] != prompt[place - 1]
    )
    runs = [
        (common_prefix_length(tokens[found:], prompt[place:]), found, place)
        for found, place in islice(begun, MOST_RUNS)
    ]
    chosen: list[tuple[int, int, int]] = []
    for same, found, place in sorted(runs, reverse=True):
        # Cut off what overlaps with a longer one.
        start, stop = 0, same
        for other_found, other_place, size in chosen:
            if place >= other_place:
                start = max(start, other_found + size - found, other_place + size - place)
            else:
                stop = min(stop, other_found - found, other_place - place)
        if stop - start >= WORTH_MOVING:
            chosen.append((found + start, place + start, stop - start))
    return chosen


def suffix_part(tokens: list[int], prompt: Sequence[int], first: int, span: tuple[int, int]) -> list[Part]:
    """Return a prompt's suffix if a sequence has it at `first` or later."""
    at, stop = span
    wanted = list(prompt[at:stop])
    size = len(wanted)
    if size < WORTH_MOVING:
        return []
    starts = (
        start for start in range(first, len(tokens) - size + 1) if tokens[start : start + size] == wanted
    )
    return [Part(start, at, size, abs(at - start)) for start in starts][:1]
