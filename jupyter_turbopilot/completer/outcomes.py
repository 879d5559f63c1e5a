"""What became of the suggestions that appeared by themselves, from what an editor tells. Pure.

A suggestion was right if all of its text stands in the document: typed as it was suggested, or taken and
still there after a while. It was not if something else was typed, or it was dismissed. That is what the gate
was fitted to say. What was taken and is not asked after again says neither.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_turbopilot.request import Feedback

MOST = 512  # suggestions that are remembered at a time
SECONDS = 3600.0  # after which one is forgotten
KEPT = 0.9  # of a suggestion that was taken: so much of it has to stay


@dataclass(frozen=True)
class Terms:
    """On which terms suggestions are shown."""

    model: str
    fit: str  # which fit of the gate scored them
    threshold: float  # which score was wanted
    promised: float | None  # which share of what is shown is to be right, where the setting promises that


@dataclass(frozen=True)
class Lesson:
    """A suggestion that was shown with a score was right, or was not."""

    terms: Terms
    score: float
    right: bool


@dataclass(frozen=True)
class News:
    """What an editor's word adds to what is known."""

    shown: int = 0
    taken: int = 0
    lesson: Lesson | None = None


@dataclass
class _Suggestion:
    terms: Terms
    since: float
    scores: dict[int, float] = field(default_factory=dict)  # by the lengths in which it was told
    shown: bool = False
    taken: tuple[int, float] | None = None  # how much of it was taken, and the score of that
    decided: bool = False

    @property
    def latest(self) -> tuple[int, float]:
        """The length in which it was told last, and the score of that."""
        length = max(self.scores)
        return length, self.scores[length]


class Outcomes:
    """Remembers the suggestions of the last hour, until it is known whether they were right."""

    def __init__(self) -> None:
        self._suggestions: OrderedDict[str, _Suggestion] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are remembered."""
        return len(self._suggestions)

    def told(self, name: str, terms: Terms, length: int, score: float, now: float) -> None:
        """Remember a suggestion that an editor is told, or that it is told more of."""
        known = self._suggestions.setdefault(name, _Suggestion(terms, now))
        known.scores[length] = score
        while len(self._suggestions) > MOST:
            self._suggestions.popitem(last=False)

    def hear(self, feedback: Feedback, now: float) -> News:
        """Return what is new in what an editor tells: nothing of unknown suggestions, nor the second time."""
        known = self._suggestions.get(feedback.id)
        if known is None or known.decided or now - known.since > SECONDS:
            return News()
        event, chars = feedback.event, feedback.chars
        if event == "shown":
            known.shown, before = True, known.shown
            return News(shown=not before)
        if event == "taken":
            return self._accepted(known, chars)
        if event == "retained":
            if known.taken is None:
                return News()
            length, score = known.taken
            right = length > 0 and chars >= KEPT * length
        else:
            length, score = known.latest
            right = event == "typed_over" and chars >= length
        known.decided = True
        return News(lesson=Lesson(known.terms, score, right))

    @staticmethod
    def _accepted(known: _Suggestion, chars: int) -> News:
        """Take note of how much was taken: all that there was to see by then, or a part of it."""
        first = known.taken is None
        length, score = known.latest
        # While it was still being written, the editor may have seen less than was told last.
        known.taken = (chars, known.scores[chars]) if chars in known.scores else (0, score)
        if chars > length:
            known.taken = length, score
        return News(taken=first)
