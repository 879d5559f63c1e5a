"""Continuations of a line: from the notebook itself and from the index. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Protocol

from jupyter_turbopilot.analysis.imports import imports_of
from jupyter_turbopilot.analysis.languages import cell_language
from jupyter_turbopilot.analysis.lines import SHORTEST_BEGINNING, Continuation, Line, lines_of
from jupyter_turbopilot.context.notebook import ABOVE, NEAR
from jupyter_turbopilot.context.private import ARMOUR, spread_secrets
from jupyter_turbopilot.util.bounds import LINE, cached_function, count_operations, end_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from jupyter_turbopilot.protocol.request import Completion
    from jupyter_turbopilot.suggestion.surroundings import Surroundings


class LineIndex(Protocol):
    """An index of the lines of other documents."""

    def continuations(
        self, language: str, begun: str, above: str, *, path: str, modules: Collection[str]
    ) -> Sequence[Continuation]:
        """Return the continuations of a line, the most frequent first."""


def continuations_at(
    notebook_index: LineIndex, request: Completion, around: Surroundings
) -> list[Continuation]:
    """Return the continuations of the line at the cursor, from notebook and index, likeliest first."""
    start = around.line.lstrip()
    if not SHORTEST_BEGINNING <= len(start) <= LINE:
        return []
    language = cell_language(request.cells[request.active].source, request.language)
    others = [*_nearest(request, language)]
    modules = frozenset[str]().union(*map(_modules, others if language == "python" else ()))
    above, below = request.prefix.rpartition("\n")[0], request.suffix[:NEAR].partition("\n")[2]
    texts = *((source,) for source in others), (end_of(above, NEAR), below)
    own = own_continuations(start, around.above, texts)
    seen = notebook_index.continuations(language, start, around.above, path=request.path, modules=modules)
    below = around.next_line.strip()
    return [each for each in merged(own, seen) if start + each.rest != below]


def _nearest(request: Completion, language: str) -> Iterator[str]:
    """Iterate over the other cells of a language, nearest first, up to a total length."""
    room, active = ABOVE, request.active
    for number in sorted(range(len(request.cells)), key=lambda number: abs(number - active)):
        cell = request.cells[number]
        room -= len(cell.source)
        if room < 0:
            return
        if (
            number != active
            and cell.type == "code"
            and cell_language(cell.source, request.language) == language
        ):
            yield cell.source


def own_continuations(start: str, above: str, texts: Iterable[tuple[str, ...]]) -> list[Continuation]:
    """Return the continuations of a line beginning in texts of the notebook, given in parts (`_lines`)."""
    above = above.strip()
    times: Counter[str] = Counter()
    below_same = set[str]()
    for parts in texts:
        lines = _lines(*parts)
        for at in range(bisect_left(lines, (start,)), len(lines)):
            text, before, often = lines[at]
            if not text.startswith(start):
                break
            rest = text[len(start) :]
            times[rest] += often
            if above and before == above:
                below_same.add(rest)
    return [Continuation(rest, often, rest in below_same) for rest, often in times.items()]


@cached_function(2**24)  # most keystrokes change no earlier line
def _lines(*parts: str) -> tuple[tuple[str, str, int], ...]:
    """Return the sorted lines of a text, each with the one above it and the number of occurrences.

    Secrets are detected in the whole text, as the cursor may be in the middle of one. Otherwise the parts
    are separate: the line below the cursor does not follow the line above it.
    """
    count_operations(sum(map(len, parts)))
    if ARMOUR.search("\n".join(parts)):
        return ()
    divided = [part.splitlines(keepends=True) for part in parts]
    secret = spread_secrets([line for lines in divided for line in lines])
    number, counted = count(), Counter[Line]()
    for lines in divided:
        counted += lines_of("".join(line for line in lines if next(number) not in secret))
    return tuple(sorted((line.text, line.above, often) for line, often in counted.items()))


def merged(own: Sequence[Continuation], indexed: Sequence[Continuation]) -> list[Continuation]:
    """Merge the continuations of notebook and index, the most frequent first."""
    continuations = {each.rest: each for each in own}
    for seen in indexed:
        here = continuations.get(seen.rest, seen)
        continuations[seen.rest] = replace(seen, own=here.own, own_above=here.own_above)
    return sorted(
        continuations.values(),
        key=lambda each: (
            -(each.above or each.own_above),
            -each.weight,
            -each.own - each.times,
            each.days,
            each.rest,
        ),
    )


@cached_function(2**22)  # a keystroke does not change other cells
def _modules(source: str) -> frozenset[str]:
    """Return the top-level modules that a Python cell imports."""
    return frozenset(found.module for found in imports_of(source))
