"""The lines of code that are worth repeating, and the continuations of a line. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

SHORTEST, LONGEST = 6, 240  # characters of an indexed line
SHORTEST_BEGINNING = 2  # typed characters from which a line is looked up


@dataclass(frozen=True)
class Line:
    """An indexed line: without indentation, with the line above it."""

    text: str
    above: str  # "" for a first line


@dataclass(frozen=True)
class Continuation:
    """A continuation of a line: in the notebook itself, and in indexed documents."""

    rest: str
    own: int = 0  # occurrences in the notebook itself
    own_above: bool = False  # whether one of them is below the same line
    times: int = 0  # occurrences in other documents
    documents: int = 0  # documents that contain it
    above: bool = False  # whether one of them has it below the same line
    days: float = 0.0  # since the newest of them was modified
    imports: float = 0.0  # share of the notebook's modules that they also import

    @property
    def weight(self) -> int:
        """Number of documents that contain it."""
        return self.documents + bool(self.own)


def lines_of(source: str) -> Counter[Line]:
    """Count the indexed lines of an entry."""
    lines: Counter[Line] = Counter()
    above = ""
    for line in map(str.strip, source.split("\n")):
        if not line:
            continue
        if SHORTEST <= len(line) <= LONGEST:
            lines[Line(line, above)] += 1
        above = line
    return lines
