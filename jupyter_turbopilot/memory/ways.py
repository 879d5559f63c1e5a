"""The ways in which a line goes on: in the notebook itself, and in what memory holds. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.bounds import LINE, remembered
from jupyter_turbopilot.context.languages import cell_language
from jupyter_turbopilot.context.private import without_secrets
from jupyter_turbopilot.memory.entries import lines_of
from jupyter_turbopilot.memory.import_lines import imports_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.memory.base import Memory, Sighting
    from jupyter_turbopilot.request import Completion

SHORTEST = 2  # characters of a line that is continued
_ARMOUR = "-----BEGIN "  # a key or certificate, of which the lines by themselves look like nothing
_DAY = 86_400.0  # seconds
_END = "\n"


@dataclass(frozen=True)
class Way:
    """One way in which a line goes on."""

    rest: str
    own: int = 0  # how often it stands in the notebook itself
    own_above: bool = False  # whether it stands there below the same line
    times: int = 0  # how often in other documents
    documents: int = 0  # in how many of them
    above: bool = False  # whether it stands there below the same line
    days: float = 0.0  # since the newest of them was changed
    imports: float = 0.0  # share of the notebook's modules that they import, too

    @property
    def weight(self) -> int:
        """In how many documents it stands."""
        return self.documents + bool(self.own)


def ways_at(memory: Memory, request: Completion, above: str, now: float) -> list[Way]:
    """Return how the line at the cursor goes on elsewhere, in the notebook and in memory, likeliest first."""
    line = request.prefix.rpartition("\n")[2]
    if not SHORTEST <= len(line.strip()) <= LINE:
        return []
    language = cell_language(request.cells[request.active].source, request.language)
    others = tuple(
        cell.source
        for number, cell in enumerate(request.cells)
        if number != request.active
        and cell.type == "code"
        and cell_language(cell.source, request.language) == language
    )
    modules = modules_in(others) if language == "python" else frozenset[str]()
    around = f"{request.prefix.rpartition(_END)[0]}\n\n{request.suffix.partition(_END)[2]}"
    own = own_ways(line, above, others, around)
    seen = memory.continuations(language, line, above, path=request.path, modules=modules)
    return joined(own, seen, now)


def own_ways(begun: str, above: str, others: tuple[str, ...], active: str) -> list[Way]:
    """Return how a line that begins so goes on in other cells of the notebook, and in the active one."""
    start, above = begun.lstrip(), above.strip()
    if not SHORTEST <= len(start) <= LINE:
        return []
    times: Counter[str] = Counter()
    below_same = set[str]()
    for lines in (_lines(others), _lines((active,))):
        for text, before, often in lines:
            if text.startswith(start):
                rest = text[len(start) :]
                times[rest] += often
                if above and before == above:
                    below_same.add(rest)
    return [Way(rest, often, rest in below_same) for rest, often in times.items()]


@remembered(2**22)  # typing changes one of the cells
def _lines(sources: tuple[str, ...]) -> tuple[tuple[str, str, int], ...]:
    return tuple(
        (line.text, line.above, often)
        for source in sources
        if _ARMOUR not in source
        for line, often in lines_of(without_secrets(source)).items()
    )


def joined(own: Sequence[Way], sightings: Sequence[Sighting], now: float) -> list[Way]:
    """Join what the notebook itself and other documents say, what most of them say first."""
    ways = {way.rest: way for way in own}
    for seen in sightings:
        here = ways.get(seen.rest, Way(seen.rest))
        # A clock that was put back makes nothing newer than new.
        days = max(0.0, now - seen.modified) / _DAY
        ways[seen.rest] = Way(
            seen.rest, here.own, here.own_above, seen.times, seen.documents, seen.above, days, seen.imports
        )
    return sorted(
        ways.values(),
        key=lambda way: (
            -(way.above or way.own_above),
            -way.weight,
            -way.own - way.times,
            way.days,
            way.rest,
        ),
    )


@remembered(2**20)  # typing changes one of the cells
def modules_in(sources: tuple[str, ...]) -> frozenset[str]:
    """Return the top-level modules that cells of Python import."""
    return frozenset(found.module for source in sources for found in imports_of(source))
