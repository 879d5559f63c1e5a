"""The gate: decides by probability how much of a suggestion is shown. Pure.

An answer may be shown up to a boundary: the end of a word, an argument or a line. The score of a boundary
is computed from the features there by decision trees, which `scripts/fit_gate.py` fits to real
notebooks. A prefix is shown as soon as its score passes the setting's threshold.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.suggestion.brackets import balanced_length, closing_length, leaves_open
from jupyter_turbopilot.suggestion.candidates import NO_CANDIDATES
from jupyter_turbopilot.suggestion.features import SMALLEST, CursorFeatures, features
from jupyter_turbopilot.suggestion.gate_fit import DEFAULT, fit_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.suggestion.candidates import Candidates
    from jupyter_turbopilot.suggestion.trees import Trees

WORTH_A_KEY = 4  # characters: a shorter part of a line is not shown before the line is finished
_QUOTES = frozenset("'\"")
_NUMBER = "0123456789_"  # characters of integers
_TRIED = 128  # boundaries of a line that are checked at most: each check parses the text before it
# Probability of brackets and quotes that a suggestion closes at its end. It is that of the likeliest token:
# often several tokens begin with them, such as `)`, `):` and `))`.
_CLOSED = 0.3
_FORGIVEN = 0.4  # generation stops below this fraction of the threshold


class Boundary(NamedTuple):
    """A position where an answer may end, and the score of the text before it."""

    end: int
    score: float
    line: int  # number of non-empty lines that end before it
    whole: bool  # whether the line ends there
    early: bool = False  # whether it may be shown before the line is finished


def may_end(text: str, following: str) -> bool:
    """Return whether a text may end here: not within a word, number or quotes, and not after a dot."""
    if not text.strip("'\" \t\n") or text[-1] in " \t.":
        return False
    if not following:
        return True
    if text[-1] in _QUOTES and following[0] == text[-1]:
        return False
    cuts = (text[-1].isalnum() or text[-1] == "_") and (following[0].isalnum() or following[0] == "_")
    return not (cuts or (following[0] == "." and _ends_with_number(text)))


def _ends_with_number(text: str) -> bool:
    head = text.rstrip(_NUMBER)
    return len(head) < len(text) and not head[-1:].isalnum()


class Gate:
    """Scores an answer token by token, and decides how much of it may be shown."""

    def __init__(
        self,
        cursor: CursorFeatures,
        threshold: float,
        fits: Callable[[str], bool] = lambda _: True,
        trees: Trees | None = None,
        candidates: Candidates = NO_CANDIDATES,
    ) -> None:
        """`trees`: the model's decision trees; by default those of the default model.

        `candidates`: the candidates for the name at the cursor. A single candidate passes with any score.
        """
        self.cursor = cursor
        self.threshold = threshold
        self._trees = trees or fit_for(DEFAULT).trees
        # The next character may belong to the name, or be the user's own closing quote.
        following = cursor.rest[:1]
        single = "" if following.isidentifier() else candidates.single
        self._single = single.removesuffix(following) if following in _QUOTES else single
        needs_quote = not following.isidentifier() and _QUOTES.isdisjoint(cursor.rest)
        self._labels = [text for text in candidates.texts if needs_quote and text[-1:] in _QUOTES]
        self.fits = fits  # whether the cell with this text can still become valid code
        self.text = ""
        self.boundaries: list[Boundary] = []
        self._tokens: list[tuple[int, float]] = []  # the start of each token in the text, and its probability
        self._sure: list[float] = []  # logprobs of the current line
        self._start = 0  # start of that line in the text
        self._line = 0
        self._open = 0  # number of leading lines that passed as a whole
        self._ended = False

    def add(self, piece: str, probability: float) -> None:
        """Process the next token."""
        head, newline, rest = piece.partition("\n")
        ends = bool(newline and (self.text[self._start :] + head).strip())
        if self._sure and not (ends and not head) and may_end(self.text, piece):
            self._note(whole=False)
        self._sure.append(math.log(max(SMALLEST, probability)))
        self._tokens.append((len(self.text), probability))
        if not ends:
            self.text += piece
            return
        # A token that ends the line has the probability of the line ending here.
        self.text += head
        self._note(whole=True)
        self.text += newline + rest
        self._sure = []
        self._start = len(self.text) - len(rest)
        self._line += 1

    def end(self) -> None:
        """Treat the end of the text as the end of its last line."""
        self._ended = True
        if self._sure:
            self._note(whole=True)

    @property
    def hopeless(self) -> bool:
        """Whether no continuation could be shown."""
        if not self.threshold:
            return False
        if self._line and self._open < self._line:
            return True  # a line that is not shown whole hides all later ones
        # Each further token lowers the probability of the line.
        return bool(self._sure) and sum(self._sure) < math.log(self.threshold * _FORGIVEN)

    def shown(self, text: str, *, final: bool = False) -> tuple[int, float]:
        """Return how much of the trimmed text may be shown, never less than before, and its score.

        While the first line is being generated, this is its longest prefix that passes and leaves nothing
        open; once it is finished, the later boundary with the greatest expected gain. Further lines are shown
        only whole.
        """
        end, confidence, line = 0, 0.0, 0
        while boundary := self._best(text, line, end, settled=final or self._ended or self._line > line):
            end, value = min(boundary.end, len(text)), boundary.score
            confidence = min(value, confidence) if line else value
            if not boundary.whole:
                break
            line += 1
        if end < len(self._single) and self._begins_with_single(text):
            end, confidence = len(self._single), 1.0
        elif self._is_label_complete(text, end):
            end += 1
        return self._with_closers(text, end) if end else 0, confidence

    def _with_closers(self, text: str, end: int) -> int:
        """Return the end after the brackets and quotes that probably close directly after `end`."""
        start = text.rfind("\n", 0, end) + 1
        before = text[start:end] if start else self.cursor.body + text[:end]
        for length in range(closing_length(before, text[end:]), 0, -1):
            closed = text[: end + length]
            ends = (*(at for at, _ in self._tokens[1:]), math.inf)
            tokens = zip(self._tokens, ends, strict=True)
            sure = [chance for (at, chance), next_at in tokens if at < len(closed) and next_at > end]
            if math.prod(sure) >= _CLOSED and self._may_stand(closed):
                return len(closed)
        return end

    def _is_label_complete(self, text: str, end: int) -> bool:
        """Return whether the text up to `end` is a unique label whose closing quote follows and fits."""
        closed = text[: end + 1]
        return (
            0 < end < len(text)
            and closed in self._labels
            and sum(label.startswith(text[:end]) for label in self._labels) == 1
            and self.fits(closed)
        )

    def _begins_with_single(self, text: str) -> bool:
        """Return whether the text begins with the single candidate, which is worth a keystroke."""
        single = self._single
        return len(single) >= WORTH_A_KEY and text.startswith(single) and self.fits(single)

    def _best(self, text: str, line: int, start: int, *, settled: bool) -> Boundary | None:
        passing = [
            boundary
            for boundary in self.boundaries
            if boundary.line == line
            and boundary.score >= self.threshold
            and (boundary.whole or not line)
            and min(boundary.end, len(text)) > start
        ]
        early = self._first_fit(text, [boundary for boundary in reversed(passing) if boundary.early])
        if not settled:
            return early

        def worth(boundary: Boundary) -> tuple[float, int]:
            # Characters saved, less the accepting keystroke. Without a threshold, the longest text wins.
            gain = boundary.score * max(0.5, len(text[start : boundary.end].strip()) - 1)
            return (gain if self.threshold else 0.0), boundary.end

        further = [boundary for boundary in passing if not early or boundary.end >= early.end]
        return self._first_fit(text, sorted(further, key=worth, reverse=True))

    def _first_fit(self, text: str, boundaries: list[Boundary]) -> Boundary | None:
        fitting = (boundary for boundary in boundaries[:_TRIED] if self._may_stand(text[: boundary.end]))
        return next(fitting, None)

    def _may_stand(self, text: str) -> bool:
        return balanced_length(text, self.cursor.closed) == len(text) and self.fits(text)

    def _note(self, *, whole: bool) -> None:
        text = self.text[self._start :]
        if not text.strip():
            return
        values = features(text, self._sure, self.cursor, whole=whole, further=self._line > 0)
        value = self.rate(values)
        early = len(text.strip()) >= WORTH_A_KEY and not (self._line or leaves_open(text, self.cursor.quote))
        early = not whole and (early or not self.threshold)
        self.boundaries.append(Boundary(len(self.text.rstrip()), value, self._line, whole, early))
        self._open += whole and value >= self.threshold and self._open == self._line

    def rate(self, values: dict[str, float]) -> float:
        """Return the score of a suggestion prefix."""
        return self._trees.score(values)
