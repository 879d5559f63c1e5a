"""Outcomes of automatic suggestions, from an editor's feedback. Pure.

A suggestion was right if all of it is in the document: typed as suggested, or accepted and still there after
a while. It was wrong if the user typed something else or dismissed it. The gate is fitted to predict the same
outcome. A suggestion that was accepted in full counts as right without further feedback: most wrong ones are
reported at once, so a crashing browser would mostly hide right ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_turbopilot.protocol.request import Feedback

MOST = 512  # suggestions tracked at a time
SECONDS = 3600.0  # without feedback, after which a suggestion is dropped
KEPT = 0.9  # share of an accepted suggestion that has to remain


@dataclass(frozen=True)
class DisplayConditions:
    """The conditions under which suggestions are shown."""

    subject: str  # identifies the scores: model and setting
    threshold: float  # minimum score
    promised: float | None  # precision that the setting promises, if any


@dataclass(frozen=True)
class Verdict:
    """Whether a suggestion shown with a score was right."""

    terms: DisplayConditions
    score: float
    right: bool


@dataclass(frozen=True)
class Observations:
    """Counts and outcomes from feedback."""

    shown: int = 0
    accepted: int = 0
    verdicts: tuple[Verdict, ...] = ()
    saved: int = 0  # keystrokes: characters that were inserted, minus one for each acceptance
    executed: int = 0  # accepted characters whose cell was executed
    retained: int = 0  # of these, still there when it was executed next

    def __bool__(self) -> bool:
        """Return whether anything was observed."""
        return self != Observations()

    def __add__(self, later: Observations) -> Observations:
        """Return the sum of these and later ones."""
        return Observations(
            self.shown + later.shown,
            self.accepted + later.accepted,
            self.verdicts + later.verdicts,
            self.saved + later.saved,
            self.executed + later.executed,
            self.retained + later.retained,
        )

    def since(self, first: Observations) -> Observations:
        """Return the observations after the first ones."""
        return Observations(
            self.shown - first.shown,
            self.accepted - first.accepted,
            self.verdicts[len(first.verdicts) :],
            self.saved - first.saved,
            self.executed - first.executed,
            self.retained - first.retained,
        )


@dataclass
class _SentSuggestion:
    terms: DisplayConditions
    latest: float  # time of its last reply or feedback
    scores: dict[int, float] = field(default_factory=dict)  # by the lengths that were sent
    shown: bool = False
    counted: bool = False  # whether its acceptance was counted
    accepted: tuple[int, int] | None = None  # characters of the last acceptance, and shown characters
    executed: bool = False  # whether its execution was counted
    decided: bool = False

    def receive(self, feedback: Feedback) -> Observations:
        """Return the observations that feedback adds."""
        seen = feedback.length or max(self.scores)
        if feedback.event == "shown":
            first, self.shown = not self.shown, True
            if self.decided:
                # It reappears, after a typing mistake or with the cursor, and is judged again.
                self.decided, self.accepted = False, None
            return Observations(shown=first)
        if feedback.event == "accepted":
            before = max(feedback.before, self.accepted[0] if self.accepted else 0)
            saved = max(0, min(feedback.chars, seen) - before - 1)
            first, self.counted, self.accepted = not self.counted, True, (feedback.chars, seen)
            return Observations(accepted=first, saved=saved)
        if feedback.event == "executed":
            return self._observe_execution(feedback.chars)
        if feedback.event == "retained":
            if not self.accepted:
                return Observations()
            _, seen = self.accepted
            return self._judge(seen, right=self.is_whole and feedback.chars >= KEPT * seen)
        return self._judge(seen, right=feedback.event == "typed_over" and feedback.chars >= seen)

    def end(self) -> Observations:
        """Return the final observations when no further feedback is expected."""
        return (
            self._judge(self.accepted[1], right=True) if self.accepted and self.is_whole else Observations()
        )

    def _observe_execution(self, chars: int) -> Observations:
        """Count the accepted characters at the first execution, without judging: the user may edit it now."""
        if self.executed or not self.accepted:
            return Observations()
        self.executed, taken = True, min(self.accepted)
        return Observations(executed=taken, retained=min(chars, taken))

    @property
    def is_whole(self) -> bool:
        """Whether the user accepted all of the shown text."""
        accepted, seen = self.accepted or (0, 0)
        return accepted >= seen > 0

    def _judge(self, seen: int, *, right: bool) -> Observations:
        if self.decided:
            return Observations()
        self.decided = True
        # The score of the shown part: more of it may have been on its way.
        score = self.scores.get(seen, self.scores[max(self.scores)])
        return Observations(verdicts=(Verdict(self.terms, score, right),))


class Outcomes:
    """Tracks suggestions until their outcome is known."""

    def __init__(self) -> None:
        self._suggestions: dict[str, _SentSuggestion] = {}  # by their latest feedback
        self._ended = Observations()

    def sent(self, name: str, terms: DisplayConditions, length: int, score: float, now: float) -> None:
        """Record a suggestion that is sent to an editor, or a longer part of it."""
        known = self._suggestions.setdefault(name, _SentSuggestion(terms, now))
        known.scores[length] = score
        while len(self._suggestions) > MOST:
            self._end_oldest()

    def receive(self, feedback: Feedback, now: float) -> Observations:
        """Return the observations from feedback, and from suggestions that have expired."""
        while self._suggestions and now - next(iter(self._suggestions.values())).latest > SECONDS:
            self._end_oldest()
        observed = Observations()
        if known := self._suggestions.pop(feedback.id, None):
            self._suggestions[feedback.id] = known
            known.latest = now
            observed = known.receive(feedback)
        ended, self._ended = self._ended, Observations()
        return ended + observed

    def end(self) -> Observations:
        """Drop all suggestions; return their final observations."""
        while self._suggestions:
            self._end_oldest()
        ended, self._ended = self._ended, Observations()
        return ended

    def _end_oldest(self) -> None:
        self._ended += self._suggestions.pop(next(iter(self._suggestions))).end()
