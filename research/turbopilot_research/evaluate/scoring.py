"""Score suggestions against the text that the user is known to type. Pure."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from jupyter_turbopilot.analysis.lexer import end_of_line, scan
from jupyter_turbopilot.suggestion.gate import READING
from turbopilot_research.positions import kind_of_position

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from turbopilot_research.evaluate.traces import Keystroke

Item = TypeVar("Item")
SHORTEST = 4  # minimum characters worth a keystroke, unless they complete the line
_DRAWS = 1000
# An opening bracket that the editor closes.
_OPENED = re.compile(r"(?<=\w)[(\[][\"']?\Z")


def head_of(text: str) -> str:
    """Return the text up to the end of its first non-blank line."""
    first = re.match(r"\s*[^\n]*", text)
    return first[0].rstrip() if first else ""


def is_end_of_line(future: str, length: int) -> bool:
    """Return whether only white space of the current line follows the first `length` characters."""
    return not future[length:].partition("\n")[0].strip()


def completes_line(text: str, future: str) -> bool:
    """Return whether a text's first line exactly completes the current line."""
    head = head_of(text)
    return bool(head) and future.startswith(head) and is_end_of_line(future, len(head))


@dataclass(frozen=True)
class Judgement:
    """The outcome of a suggestion: accepted characters, correct and wrong lines, and the accepting keys."""

    taken: int
    right: int
    wrong: int
    pressed: int = 1


def length_of_line(before: str, text: str) -> int:
    """Return the length of a text up to the end of its first non-blank line, which open brackets continue."""
    lead = len(text) - len(text.lstrip())
    line = "" if "\n" in text[:lead] else before.rpartition("\n")[2]
    end = end_of_line(line, text[lead:])
    return len(text[: lead + end if end >= 0 else None].rstrip())


def _length_of_statement(before: str, future: str) -> int:
    """Return the length of the rest of a statement. It may have begun in an earlier line, in a bracket."""
    end = end_of_line(before, future)
    rest = future[: end if end >= 0 else None].rstrip()
    return len(rest) or length_of_line(before, future)


def judge(text: str, future: str, before: str = "") -> Judgement:
    """Judge a suggestion after `before` by the text that follows.

    The first line must match as a whole and be worth a keystroke; further lines count one by one. One key
    accepts a correct suggestion, or one of the correct first lines of a wrong one.
    """
    head = text[: length_of_line(before, text)]
    is_short = len(head.strip()) < SHORTEST and not is_end_of_line(future, len(head))
    if not head.strip() or not future.startswith(head) or is_short:
        return Judgement(0, 0, 1)
    taken, wrong, pressed = len(head), 0, 1
    end = len(head)
    for line in text[len(head) :].split("\n")[1:]:
        end += 1 + len(line)
        if not line.strip():
            continue
        if not wrong and future.startswith(text[:end].rstrip()) and is_end_of_line(future, end):
            taken, pressed = len(text[:end].rstrip()), pressed + 1
        else:
            wrong += 1
    return Judgement(taken, 1, wrong, pressed if wrong else 1)


@dataclass
class Tally:
    """Counts over several keystrokes."""

    typed: int = 0
    keys: int = 0
    shown: int = 0
    right: int = 0
    saved: int = 0
    statements: int = 0  # in which a suggestion was accepted
    finished: int = 0  # accepted suggestions that finish their statement
    closed: int = 0  # accepted suggestions that leave no bracket or quote of the line open
    grown: int = 0  # visible suggestions whose text changed other than by typing
    flickered: int = 0  # suggestions that were visible for a short time only
    reversed: int = 0  # visible suggestions that other text replaced, other than by typing
    pressed: int = 0  # keystrokes that accepted

    @property
    def precision(self) -> float:
        """Correct suggestions as a share of those shown."""
        return self.right / self.shown if self.shown else 0.0

    @property
    def share_saved(self) -> float:
        """Keystrokes saved as a share of all: accepted characters, minus the keystrokes that accept them."""
        return self.saved / self.typed if self.typed else 0.0

    def net(self, reading: float = READING) -> float:
        """Return the keystrokes saved less the cost of reading each text, as a share of all."""
        return (self.saved - reading * (self.shown + self.grown)) / self.typed if self.typed else 0.0

    @property
    def length(self) -> float:
        """Mean number of characters of an accepted suggestion."""
        return (self.saved + self.pressed) / max(1, self.right)

    @property
    def share_finished(self) -> float:
        """Accepted suggestions that finish their statement, as a share of the accepted."""
        return self.finished / max(1, self.right)

    @property
    def share_closed(self) -> float:
        """Accepted suggestions that leave no bracket or quote open, as a share of the accepted."""
        return self.closed / max(1, self.right)

    @property
    def tabs(self) -> float:
        """Acceptances per statement in which anything was accepted."""
        return self.pressed / max(1, self.statements)

    @property
    def per_hundred(self) -> float:
        """Suggestions shown per 100 keystrokes."""
        return 100 * self.shown / self.keys if self.keys else 0.0

    def per_shown(self, count: int) -> float:
        """Return a count per 100 shown suggestions."""
        return 100 * count / self.shown if self.shown else 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


@dataclass
class Score:
    """The score of typing one text; a suggestion that is typed along is counted once."""

    total: Tally = field(default_factory=Tally)
    kinds: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    shown: list[tuple[str, str]] = field(default_factory=list)  # the text before, and the suggestion
    _last: tuple[int, int, str] = (-1, 0, "")
    _covered: dict[int, int] = field(default_factory=dict)
    _statement: tuple[int, int] = (-1, 0)  # the latest one with an accepted suggestion: its cell and end

    def covered(self, cell: int) -> int:
        """Return the position up to which accepted suggestions cover a cell."""
        return self._covered.get(cell, 0)

    def show(self, cell: int, place: int, before: str, text: str, future: str) -> Judgement | None:
        """Count a suggestion shown at a position; return None if it is not new."""
        if not text.strip():
            return None
        last_cell, last_place, last = self._last
        self._last = (cell, place, text)
        judgement = judge(text, future, before)
        kind = kind_of_position(before)
        typed_along = cell == last_cell and place >= last_place and last[place - last_place :] == text
        counts = Tally(shown=0 if typed_along else judgement.right + judgement.wrong)
        if judgement.taken:
            self._covered[cell] = place + judgement.taken
            counts = self._accept(counts, cell, place, before, future, judgement)
        elif typed_along:
            return None
        if not typed_along:
            self.shown.append((before, text))
        self.total += counts
        self.kinds[kind] += counts
        return judgement

    def _accept(
        self, counts: Tally, cell: int, place: int, before: str, future: str, judgement: Judgement
    ) -> Tally:
        """Return the counts of an accepted suggestion."""
        taken = future[: judgement.taken]
        length = _length_of_statement(before, future)
        statement = (cell, place + length)
        is_new = statement != self._statement
        self._statement = statement
        opened = scan(_OPENED.sub("", (before + taken).rpartition("\n")[2]))
        return replace(
            counts,
            right=judgement.right,
            saved=max(0, judgement.taken - judgement.pressed),
            pressed=judgement.pressed,
            statements=int(is_new),
            finished=int(judgement.taken >= length),
            closed=int(not (opened.brackets or opened.quote)),
        )

    def show_at(self, keystroke: Keystroke, text: str) -> None:
        """Count a suggestion shown at a keystroke."""
        before = keystroke.cells[keystroke.active][: keystroke.offset]
        self.show(keystroke.active, keystroke.place, before, text, keystroke.future)

    def typed(self, characters: int, keys: int) -> None:
        """Count typed characters and keystrokes."""
        self.total.typed += characters
        self.total.keys += keys


def interval(tallies: Sequence[Tally], figure: Callable[[Tally], float]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a metric over notebooks."""
    return bootstrap_interval(tallies, lambda sample: figure(sum(sample, start=Tally())))


def saved_ratio(first: Mapping[str, Tally], second: Mapping[str, Tally]) -> str:
    """Describe how much more is saved in the first of two replays of the same notebooks.

    The interval of the ratio, paired by notebook, is in parentheses if there are several notebooks.
    """
    pairs = [(tally, second[name]) for name, tally in first.items()]

    def ratio(sample: list[tuple[Tally, Tally]]) -> float:
        one, other = (sum((pair[at] for pair in sample), start=Tally()) for at in (0, 1))
        return one.share_saved / max(1e-9, other.share_saved)

    text = f"{ratio(pairs):.2f} times as much"
    if len(pairs) > 1:
        low, high = bootstrap_interval(pairs, ratio)
        text += f" ({low:.2f} to {high:.2f})"
    return text


def bootstrap_interval(items: Sequence[Item], figure: Callable[[list[Item]], float]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a metric over items."""
    rng = random.Random(7)  # noqa: S311 - a reproducible choice
    values = sorted(figure([rng.choice(items) for _ in items]) for _ in range(_DRAWS))
    return values[int(_DRAWS * 0.025)], values[int(_DRAWS * 0.975)]
