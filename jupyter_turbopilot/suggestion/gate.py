"""The gate: decides by probability how much of a suggestion is shown. Pure.

An answer may be shown up to a boundary: the end of a word, an argument or a line. The score of a boundary
is computed from the features there by decision trees, which `research/scripts/fit_gate.py` fits to real
notebooks. Of the boundaries whose score passes the setting's threshold, the gate chooses the one that saves
most keystrokes, less the time of reading the suggestion.
"""

from __future__ import annotations

import keyword
import math
import re
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.analysis import lexer
from jupyter_turbopilot.analysis.lexer import CLOSERS, OPENERS, scan
from jupyter_turbopilot.suggestion.candidates import NO_CANDIDATES
from jupyter_turbopilot.suggestion.names import ANY_NAMES
from jupyter_turbopilot.suggestion.readable import WORTH_A_KEY
from jupyter_turbopilot.suggestion.scores import DEFAULT, SMALLEST, CursorFeatures, features, fit_for
from jupyter_turbopilot.suggestion.trim import is_word

if TYPE_CHECKING:
    from jupyter_turbopilot.suggestion.candidates import Candidates
    from jupyter_turbopilot.suggestion.names import AnyNames
    from jupyter_turbopilot.suggestion.scores import Trees

READING = 4  # keystrokes that take as long as reading a suggestion (research/measure.md)
_QUOTES = frozenset("'\"")
_NUMBER = "0123456789_"  # characters of integers
_TRIED = 128  # boundaries of a line that are checked at most: each check parses the text before it
# Probability of brackets and quotes that a suggestion closes at its end. It is that of the likeliest token:
# often several tokens begin with them, such as `)`, `):` and `))`.
_CLOSED = 0.3
# Signs and words of Python that need an operand.
_NEEDY_SIGNS = frozenset("=+-*/%&|^~<>@,!:")
_NEEDY_WORDS = frozenset(keyword.kwlist) - {"True", "False", "None", "break", "continue", "pass"}
_OPENING = re.compile(r"(?<=\w)[(\[](?!\])(?:[\"'](?![\"']))?")  # of a call or subscript, with a quote
_MIN_OPENING = 0.8  # probability of the token with the opening bracket or quote after a suggestion
_CLOSERS = ")]}'\""
_LONGEST_WORD = 32  # characters; longer ones are no keywords
_LAST_WORD = re.compile(r"(?:\A|\W)([a-z]+)\Z")
_FORGIVEN = 0.8  # generation stops below this fraction of the threshold


class Boundary(NamedTuple):
    """A position where an answer may end, and the score of the text before it."""

    end: int
    score: float
    line: int  # number of non-empty lines that end before it
    whole: bool  # whether the line ends there


def may_end(text: str, following: str) -> bool:
    """Return whether a text may end here: not within a word, number or quotes, and not after a dot."""
    if not text.strip("'\" \t\n") or text[-1] in " \t.":
        return False
    if not following:
        return True
    if text[-1] in _QUOTES and following[0] == text[-1]:
        return False
    if following[0] == "." and (head := text.rstrip(_NUMBER)) != text:
        return head[-1:].isalnum()  # not within a number
    return not (is_word(text[-1]) and is_word(following[0]))


def expected_gain(probability: float, text: str) -> float:
    """Return the keystrokes that a suggestion saves on average, less the time of reading it."""
    return probability * (len(text.strip()) - 1) - READING


def is_complete(line: str, scanned: str, *, whole: bool) -> bool:
    """Return whether a line of Python leaves nothing open and lacks no operand; `whole`: the line ends here.

    `scanned`: the same line, or a shorter one that leaves the same open.
    """
    opened = scan(scanned)
    if opened.brackets or opened.quote:
        return False
    word = _LAST_WORD.search(line[-_LONGEST_WORD:])
    needs_more = line[-1:] in _NEEDY_SIGNS or (word is not None and word[1] in _NEEDY_WORDS)
    return whole or opened.comment or not needs_more


def opening_of(line: str) -> str:
    """Return a short line that leaves the same brackets and quote or comment open."""
    opened = scan(line)
    brackets = "".join(OPENERS[bracket] for bracket in reversed(opened.brackets))
    return f"{brackets}{opened.quote}{'#' if opened.comment else ''}"


class Gate:
    """Scores an answer token by token, and decides how much of it may be shown."""

    def __init__(
        self,
        cursor: CursorFeatures,
        threshold: float,
        names: AnyNames = ANY_NAMES,
        trees: Trees | None = None,
        candidates: Candidates = NO_CANDIDATES,
        *,
        is_python: bool = True,
    ) -> None:
        """`trees`: the model's decision trees; by default those of the default model.

        `candidates`: the candidates for the name at the cursor. Their common prefix passes with any score.
        `is_python`: only in Python is it known which apostrophes are quotes, and what may stay open.
        """
        self.cursor = cursor
        self.threshold = threshold
        self._is_python = is_python
        # A substitute for the line up to the cursor, which may be long and is scanned with each text.
        self._opening = opening_of(cursor.body)
        self._trees = trees or fit_for(DEFAULT).trees
        # The next character may belong to the name, or be the user's own closing quote.
        following = cursor.rest[:1]
        certain = "" if following.isidentifier() else candidates.certain_prefix
        self._certain = certain.removesuffix(following) if following in _QUOTES else certain
        needs_quote = not following.isidentifier() and _QUOTES.isdisjoint(cursor.rest)
        self._labels = [text for text in candidates.texts if needs_quote and text[-1:] in _QUOTES]
        self.candidates = candidates
        self.names = names
        self.text = ""
        self.boundaries: list[Boundary] = []
        self.tokens: list[tuple[int, float, float]] = []  # the start in the text, and what `add` is given
        self._sure: list[float] = []  # logprobs of the current line
        self._start = 0  # start of that line in the text
        self._line = 0
        self._open = 0  # number of leading lines that passed as a whole

    def add(self, piece: str, probability: float, opening: float = 0.0) -> None:
        """Process the next token; `opening`: the probability of all that begin with the same bracket."""
        head, newline, rest = piece.partition("\n")
        written = self.text[self._start :] + head
        begun = "" if self._line else self._opening
        ends = bool(newline and written.strip()) and lexer.end_of_line(begun, f"{written}\n") >= 0
        if self._sure and not (ends and not head) and may_end(self.text, piece):
            self._note(whole=False)
        self._sure.append(math.log(max(SMALLEST, probability)))
        self.tokens.append((len(self.text), probability, opening))
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
        if self._sure:
            self._note(whole=True)

    @property
    def hopeless(self) -> bool:
        """Whether no continuation could be shown."""
        if not self.threshold or len(self.text) <= len(self._certain):
            return False
        if self._line and self._open < self._line:
            return True  # a line that is not shown whole hides all later ones
        # Each further token lowers the probability of the line.
        return bool(self._sure) and sum(self._sure) < math.log(self.threshold * _FORGIVEN)

    @property
    def hidden_reason(self) -> str:
        """The reason to show nothing: the scores are too low, or the text is too short or does not fit."""
        passing = [(end, score) for end, score, _, _ in self.boundaries if score >= self.threshold]
        if not passing:
            return "unsure"
        if all(expected_gain(score, self.text[:end]) < 0 for end, score in passing):
            return "short"
        return "unknown_name" if self.names.lacks_name else "invalid"

    def shown(self, text: str, *, final: bool = True) -> tuple[int, float]:
        """Return how much of the trimmed text is worth reading, and its score; further lines only whole.

        Without a threshold, all of the final text is shown.
        """
        end, confidence, line = 0, 0.0, 0
        while found := self._best(text, line, end, everything=final and not self.threshold):
            boundary, end = found
            confidence = min(boundary.score, confidence) if line else boundary.score
            if not boundary.whole:
                break
            line += 1
        certain = self._certain
        # The only possible text is worth a keystroke.
        if end < len(certain) >= WORTH_A_KEY and text.startswith(certain) and self.names.fit(certain):
            end, confidence = self._end_of_label(text, len(certain)) or len(certain), 1.0
        is_known = final or end < len(self.text)  # the next token may close a bracket
        return (end, confidence) if is_known else (0, 0.0)

    def opening(self, end: int) -> str:
        """Return an opening bracket and quote that very probably follow the text up to `end`."""
        found, rest = _OPENING.match(self.text, end), self.cursor.rest.strip()
        if not found or not self._is_python or rest.strip(_CLOSERS):
            return ""
        opened = scan(self._opening + self.text[:end])
        if opened.quote or opened.comment:
            return ""
        for stop in (found.end(), end + 1):
            text = self.text[end:stop]
            # Before other closing brackets, the editor closes this one, too.
            closers = "".join(CLOSERS.get(sign, sign) for sign in reversed(text)) if rest else ""
            chance = self._probability(end, stop)
            if stop == end + 1:
                chance = max([chance, *(opening for at, _, opening in self.tokens if at == end)])
            if chance >= _MIN_OPENING and self.names.fit(self.text[:stop] + closers):
                return text
        return ""

    def _probability(self, start: int, end: int) -> float:
        """Return the product of the probabilities of the tokens in a part of the text."""
        ends = (*(at for at, *_ in self.tokens[1:]), math.inf)
        tokens = zip(self.tokens, ends, strict=True)
        return math.prod(chance for (at, chance, _), next_at in tokens if at < end and next_at > start)

    def _with_closers(self, line: str, text: str, end: int) -> int:
        """Return the end after the brackets and quotes that probably close the line directly after `end`."""
        for length in range(lexer.closing_length(line, text[end:]), 0, -1):
            closed = text[: end + length]
            if self._probability(end, len(closed)) >= _CLOSED and self._may_stand(closed):
                return len(closed)
        return end

    def _end_of_label(self, text: str, end: int) -> int:
        """Return the end after the quote and the bracket that must follow a label; 0 if there is no label."""
        closed = text[: end + 1]
        is_unique = [label for label in self._labels if label.startswith(text[:end])] == [closed]
        end = len(closed) if is_unique and self.names.fit(closed) else end
        if text[:end] not in self._labels:
            return 0
        closed = text[: end + 1]
        return len(closed) if closed[end:] == self.candidates.closer and self._may_stand(closed) else end

    def _best(self, text: str, line: int, start: int, *, everything: bool) -> tuple[Boundary, int] | None:
        """Return the boundary of a line with the greatest gain, and the end of the text shown for it."""
        passing = [
            boundary
            for boundary in self.boundaries
            if boundary.line == line
            and boundary.score >= self.threshold
            and (boundary.whole or not line)
            and min(boundary.end, len(text)) > start
        ]

        def gain(boundary: Boundary) -> tuple[float, int, bool]:
            # Further lines are shown only after a whole one.
            saved = expected_gain(boundary.score, text[start : boundary.end])
            return (0.0 if everything else saved), boundary.end, boundary.whole

        for boundary in sorted(passing, key=gain, reverse=True)[:_TRIED]:
            if gain(boundary)[0] < 0:
                break
            if not self._may_stand(text[: boundary.end]):
                continue
            end = min(boundary.end, len(text))
            begun = "" if line else self._opening
            label = self._end_of_label(text, end)
            end = label or end
            if text[:end] not in self._labels:
                end = self._with_closers(begun + text[start:end], text, end)
            # Text after the cursor may close brackets, as `fits` checks. After a label, they may stay open.
            if everything or not self._is_python or self.cursor.rest or label or text[:end] in self._labels:
                return boundary, end
            if is_complete(self.cursor.body + text[:end], begun + text[start:end], whole=boundary.whole):
                return boundary, end
        return None

    def _may_stand(self, text: str) -> bool:
        return lexer.balanced_length(text, self.cursor.closed) == len(text) and self.names.fit(text)

    def _note(self, *, whole: bool) -> None:
        text = self.text[self._start :]
        if not text.strip():
            return
        value = self.rate(features(text, self._sure, self.cursor, whole=whole, further=self._line > 0))
        self.boundaries.append(Boundary(len(self.text.rstrip()), value, self._line, whole))
        self._open += whole and value >= self.threshold and self._open == self._line

    def rate(self, values: dict[str, float]) -> float:
        """Return the score of a suggestion prefix."""
        return self._trees.score(values)
