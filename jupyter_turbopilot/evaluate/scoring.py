"""What a suggestion was worth to a user who goes on to write a known text. Pure."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from jupyter_turbopilot.suggestion.features import kind_of_position

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.evaluate.traces import Keystroke

Item = TypeVar("Item")
SHORTEST = 4  # characters that are worth a key, unless they end the line
_DRAWS = 1000


def head_of(text: str) -> str:
    """Return the text up to the end of its first line that holds anything."""
    first = re.match(r"\s*[^\n]*", text)
    return first[0].rstrip() if first else ""


def reaches_the_end(future: str, length: int) -> bool:
    """Return whether nothing but white space is left of the line that is being written."""
    return not future[length:].partition("\n")[0].strip()


def completes_the_line(text: str, future: str) -> bool:
    """Return whether a text's first line is what is left of the line that is being written."""
    head = head_of(text)
    return bool(head) and future.startswith(head) and reaches_the_end(future, len(head))


@dataclass(frozen=True)
class Judgement:
    """What a user does with a suggestion: characters taken, lines that were right and wrong."""

    taken: int
    right: int
    wrong: int


def judge(text: str, future: str) -> Judgement:
    """Take a suggestion by what is written next.

    The first line has to stand there whole and be worth a key; further lines count one by one.
    """
    head = head_of(text)
    if not head.strip() or not future.startswith(head):
        return Judgement(0, 0, 1)
    if len(head.strip()) < SHORTEST and not reaches_the_end(future, len(head)):
        return Judgement(0, 0, 1)
    taken, wrong = len(head), 0
    end = len(head)
    for line in text[len(head) :].split("\n")[1:]:
        end += 1 + len(line)
        if not line.strip():
            continue
        if not wrong and future.startswith(text[:end].rstrip()) and reaches_the_end(future, end):
            taken = len(text[:end].rstrip())
        else:
            wrong += 1
    return Judgement(taken, 1, wrong)


@dataclass
class Tally:
    """Counts over some keystrokes."""

    typed: int = 0
    keys: int = 0
    shown: int = 0
    right: int = 0
    saved: int = 0

    @property
    def precision(self) -> float:
        """Right ones of those shown."""
        return self.right / self.shown if self.shown else 0.0

    @property
    def share_saved(self) -> float:
        """Characters that need not be typed, less a key for each suggestion taken."""
        return self.saved / self.typed if self.typed else 0.0

    @property
    def per_hundred(self) -> float:
        """Suggestions shown while a hundred keys are pressed."""
        return 100 * self.shown / self.keys if self.keys else 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


@dataclass
class Score:
    """One person typing one text; a suggestion that only goes on as it was typed is shown once."""

    total: Tally = field(default_factory=Tally)
    kinds: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    _last: tuple[int, int, str] = (-1, 0, "")
    _covered: dict[int, int] = field(default_factory=dict)

    def covered(self, cell: int) -> int:
        """Return up to where a cell is written by what was taken."""
        return self._covered.get(cell, 0)

    def see(self, cell: int, place: int, before: str, text: str, future: str) -> Judgement | None:
        """Show a suggestion at a place; None where nothing new was shown."""
        if not text.strip():
            return None
        last_cell, last_place, last = self._last
        self._last = (cell, place, text)
        judgement = judge(text, future)
        kind = self.kinds[kind_of_position(before)]
        if cell == last_cell and place >= last_place and last[place - last_place :] == text and text:
            return None if not judgement.taken else self._take(cell, place, kind, judgement, shown=0)
        return self._take(cell, place, kind, judgement, shown=judgement.right + judgement.wrong)

    def look(self, keystroke: Keystroke, text: str) -> None:
        """Show a suggestion at a keystroke."""
        before = keystroke.cells[keystroke.active][: keystroke.offset]
        self.see(keystroke.active, keystroke.place, before, text, keystroke.future)

    def _take(self, cell: int, place: int, kind: Tally, judgement: Judgement, shown: int) -> Judgement:
        worth = max(0, judgement.taken - 1)
        for tally in (self.total, kind):
            tally.shown += shown
            tally.right += judgement.right
            tally.saved += worth
        if judgement.taken:
            self._covered[cell] = place + judgement.taken
        return judgement

    def typed(self, characters: int, keys: int) -> None:
        """Count what had to be written, and how often a key was pressed."""
        self.total.typed += characters
        self.total.keys += keys


def interval(tallies: Sequence[Tally], figure: Callable[[Tally], float]) -> tuple[float, float]:
    """Return between which values a figure lies in 95 of 100 draws of notebooks."""
    return drawn(tallies, lambda drawn: figure(sum(drawn, start=Tally())))


def between(pairs: Sequence[tuple[Tally, Tally]]) -> str:
    """Return in brackets the interval of how much more the first of each pair saves than the second.

    Empty for one notebook, which has no interval.
    """
    if len(pairs) <= 1:
        return ""

    def ratio(drawn: list[tuple[Tally, Tally]]) -> float:
        first, second = (sum(tallies, start=Tally()) for tallies in zip(*drawn, strict=True))
        return first.share_saved / max(1e-9, second.share_saved)

    low, high = drawn(pairs, ratio)
    return f" ({low:.2f} to {high:.2f})"


def drawn(items: Sequence[Item], figure: Callable[[list[Item]], float]) -> tuple[float, float]:
    """Return between which values a figure lies in 95 of 100 draws of the items."""
    rng = random.Random(7)  # noqa: S311 - a reproducible choice
    values = sorted(figure([rng.choice(items) for _ in items]) for _ in range(_DRAWS))
    return values[int(_DRAWS * 0.025)], values[int(_DRAWS * 0.975)]
