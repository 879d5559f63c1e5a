"""What became of the suggestions that appeared by themselves, from an editor's feedback. Pure.

A suggestion was right if all of it stands in the document: typed as it was suggested, or taken and still
there after a while. It was wrong if something else was typed, or it was dismissed. That is what the gate was
fitted to predict. If all of it was taken and no feedback follows, it counts as right: most of the wrong ones
are reported at once, so a browser that crashes would hide right ones for the most part.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_turbopilot.request import Feedback

MOST = 512  # suggestions that are remembered at a time
SECONDS = 3600.0  # without feedback, after which one is forgotten
KEPT = 0.9  # of a suggestion that was taken: so much of it has to stay


@dataclass(frozen=True)
class Terms:
    """On which terms suggestions are shown."""

    subject: str  # which scores they have: those of one model at one setting
    threshold: float  # which score was wanted
    promised: float | None  # which share of what is shown is to be right, where the setting promises that


@dataclass(frozen=True)
class Verdict:
    """A suggestion that was shown with a score was right, or was not."""

    terms: Terms
    score: float
    right: bool


@dataclass(frozen=True)
class Observations:
    """What feedback says: how many suggestions were shown and taken, and which were right."""

    shown: int = 0
    taken: int = 0
    verdicts: tuple[Verdict, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything was observed."""
        return bool(self.shown or self.taken or self.verdicts)

    def __add__(self, later: Observations) -> Observations:
        """Return these and later ones."""
        return Observations(
            self.shown + later.shown, self.taken + later.taken, self.verdicts + later.verdicts
        )

    def since(self, first: Observations) -> Observations:
        """Return those that came after the first."""
        return Observations(
            self.shown - first.shown, self.taken - first.taken, self.verdicts[len(first.verdicts) :]
        )


@dataclass
class _Suggestion:
    terms: Terms
    latest: float  # when it was sent, or something was said of it
    scores: dict[int, float] = field(default_factory=dict)  # by the lengths in which it was sent
    shown: bool = False
    taken: bool = False
    accepted: tuple[int, int] | None = None  # how much of it was taken last, of how much
    decided: bool = False

    def receive(self, feedback: Feedback) -> Observations:
        """Return what feedback adds."""
        seen = feedback.length or max(self.scores)
        if feedback.event == "shown":
            first, self.shown = not self.shown, True
            if self.decided:
                # It comes back, after a typing mistake or with the cursor, and is judged anew.
                self.decided, self.accepted = False, None
            return Observations(shown=first)
        if feedback.event == "accepted":
            first, self.taken, self.accepted = not self.taken, True, (feedback.chars, seen)
            return Observations(taken=first)
        if feedback.event == "retained":
            if not self.accepted:
                return Observations()
            _, seen = self.accepted
            return self._judge(seen, right=self.is_whole and feedback.chars >= KEPT * seen)
        return self._judge(seen, right=feedback.event == "typed_over" and feedback.chars >= seen)

    def end(self) -> Observations:
        """Return what there is to say of it where no more feedback comes."""
        return (
            self._judge(self.accepted[1], right=True) if self.accepted and self.is_whole else Observations()
        )

    @property
    def is_whole(self) -> bool:
        """Whether all of it was taken that there was to see."""
        taken, seen = self.accepted or (0, 0)
        return taken >= seen > 0

    def _judge(self, seen: int, *, right: bool) -> Observations:
        if self.decided:
            return Observations()
        self.decided = True
        # Of what was seen: more of it may have been on its way.
        score = self.scores.get(seen, self.scores[max(self.scores)])
        return Observations(verdicts=(Verdict(self.terms, score, right),))


class Outcomes:
    """Remembers suggestions until it is known whether they were right."""

    def __init__(self) -> None:
        self._suggestions: OrderedDict[str, _Suggestion] = OrderedDict()  # that of the latest feedback last
        self._ended = Observations()

    def sent(self, name: str, terms: Terms, length: int, score: float, now: float) -> None:
        """Remember a suggestion that is sent to an editor, or that more of it is sent."""
        known = self._suggestions.setdefault(name, _Suggestion(terms, now))
        known.scores[length] = score
        while len(self._suggestions) > MOST:
            self._end_oldest()

    def receive(self, feedback: Feedback, now: float) -> Observations:
        """Return what feedback adds, and what there is to say of suggestions whose time is over."""
        while self._suggestions and now - next(iter(self._suggestions.values())).latest > SECONDS:
            self._end_oldest()
        observed = Observations()
        if known := self._suggestions.get(feedback.id):
            known.latest = now
            self._suggestions.move_to_end(feedback.id)
            observed = known.receive(feedback)
        ended, self._ended = self._ended, Observations()
        return ended + observed

    def end(self) -> Observations:
        """Forget all; return what there is to say of them."""
        while self._suggestions:
            self._end_oldest()
        ended, self._ended = self._ended, Observations()
        return ended

    def _end_oldest(self) -> None:
        _, oldest = self._suggestions.popitem(last=False)
        self._ended += oldest.end()
