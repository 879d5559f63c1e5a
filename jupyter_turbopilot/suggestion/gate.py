"""How likely each beginning of an answer is to be right, and so how much of it is shown. Pure.

An answer may be shown up to a boundary: the end of a word, an argument or a line. The score of a boundary
is a logistic function of the features there; its coefficients are fitted to real notebooks by
`scripts/fit_gate.py`. A beginning whose score passes the setting's threshold is shown as soon as it does.
"""

from __future__ import annotations

import keyword
import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.bounds import LINE, end_of, remembered
from jupyter_turbopilot.suggestion.brackets import balanced_length, closers_behind, leaves_open, open_quote
from jupyter_turbopilot.suggestion.coefficients import COEFFICIENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_WORD = re.compile(r"[^\W\d]\w*+")
_AFTER_DOT, _IN_WORD = re.compile(r"\.\w*+$"), re.compile(r"\w$")
_IN_BRACKETS, _AFTER_EQUALS = re.compile(r"[(\[{,]\s*+$"), re.compile(r"=\s*+$")
_KEYWORDS = frozenset((*keyword.kwlist, "self"))
_TINY = 1e-4
WORTH_A_KEY = 4  # characters: less of a line is not shown before the line is finished
_TRIED = 128  # boundaries of a line that are tried at most: the text up to each has to be parsed
_FORGIVEN = 0.4  # below this share of the threshold, the rest of an answer is not generated


@dataclass(frozen=True)
class CursorFeatures:
    """What the gate knows about the text around the cursor."""

    line: str = ""  # the line up to the cursor
    rest: str = ""  # what follows the cursor on its line
    words: frozenset[str] = frozenset()  # names that the notebook holds
    lines: frozenset[str] = frozenset()  # its lines, without indentation

    @cached_property
    def body(self) -> str:
        """The line up to the cursor without its indentation."""
        return self.line.lstrip()

    @cached_property
    def quote(self) -> str:
        """The quote that is open at the cursor."""
        return open_quote(self.line)

    @cached_property
    def closed(self) -> str:
        """The brackets right behind the cursor, if they close all that the line has opened."""
        return closers_behind(self.line, self.rest)

    @cached_property
    def line_features(self) -> dict[str, float]:
        """The features of the line up to the cursor, the same for every token."""
        line = self.body
        return {
            "empty line": float(not line),
            "after dot": float(bool(_AFTER_DOT.search(line))),
            "in word": float(bool(_IN_WORD.search(line))),
            "in brackets": float(bool(_IN_BRACKETS.search(line))),
            "after =": float(bool(_AFTER_EQUALS.search(line))),
            "in string": float(bool(open_quote(line, "'\""))),
        }


def cursor_features(prefix: str, suffix: str, pieces: Iterable[str]) -> CursorFeatures:
    """Collect what the gate needs to know about the text around the cursor."""
    prefix = end_of(prefix, 2**17)
    words, lines = _words_and_lines(tuple(pieces))
    *above, line = prefix.split("\n")
    return CursorFeatures(
        line[-LINE:],
        suffix.partition("\n")[0].strip(),
        words.union(_WORD.findall(prefix)),
        lines.union(text.strip() for text in above),
    )


@remembered(2**21)
def _words_and_lines(pieces: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the words and lines of the cells above, which typing does not change."""
    above = "".join(pieces)
    return _KEYWORDS.union(_WORD.findall(above)), frozenset(line.strip() for line in above.split("\n"))


class Boundary(NamedTuple):
    """A place in an answer where it may end, and the score of the text up to there."""

    end: int
    score: float
    line: int  # how many lines with text end before it
    whole: bool  # whether the line is finished there
    early: bool = False  # whether it may be shown before the line is finished


def sigmoid(value: float) -> float:
    """Return a score between 0 and 1."""
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, value))))


def features(
    text: str, sure: list[float], cursor: CursorFeatures, *, whole: bool, further: bool
) -> dict[str, float]:
    """Return the features of a beginning.

    `sure` holds the logarithms of its tokens' probabilities; `whole`: it reaches the end of its line;
    `further`: that line is not the first.
    """
    line = cursor.body
    body = text.strip()
    names = _WORD.findall(body)
    known = [word for word in names if word in cursor.words]
    total = sum(sure)
    values = {
        "bias": 1.0,
        "sum": total,
        "odds": _odds(total),
        "worst odds": _odds(min(sure)),
        "worst": min(sure),
        "first": sure[0],
        "last": sure[-1],
        "tokens": math.log(len(sure)),
        "length": math.log(1 + len(body)),
        "whole": float(whole),
        "whole sum": total * whole,
        "known": len(known) / len(names) if names else 1.0,
        "unknown": math.log(1 + len(names) - len(known)),
        "rest": float(bool(cursor.rest)),
        "further": float(further),
        **cursor.line_features,
        "comment": float(line.startswith("#") or body.startswith("#")),
        "again": float((line + text).strip() in cursor.lines) if not further else float(body in cursor.lines),
    }
    values["known sum"] = total * values["known"]
    return values


def _odds(logarithm: float) -> float:
    """Return the log-odds of a probability, given its logarithm."""
    chance = min(0.999, max(_TINY, math.exp(logarithm)))
    return math.log(chance / (1 - chance))


def score(values: dict[str, float]) -> float:
    """Return how likely a beginning is to be right."""
    return sigmoid(sum(COEFFICIENTS[name] * value for name, value in values.items()))


def may_end(text: str, following: str) -> bool:
    """Tell whether a text may end here: not within a word or a number, and not after a dot."""
    if not text.strip() or text[-1] in " \t.":
        return False
    if not following:
        return True
    cuts = (text[-1].isalnum() or text[-1] == "_") and (following[0].isalnum() or following[0] == "_")
    return not cuts


class Gate:
    """Scores an answer token by token, and says how much of it may be shown."""

    def __init__(
        self, cursor: CursorFeatures, threshold: float, fits: Callable[[str], bool] = lambda _: True
    ) -> None:
        self.cursor = cursor
        self.threshold = threshold
        self._fits = fits  # whether the cell could still become a valid program with this text
        self.text = ""
        self.boundaries: list[Boundary] = []
        self._sure: list[float] = []  # log probabilities of the line being written
        self._start = 0  # where that line begins in the text
        self._line = 0
        self._open = 0  # how many of the finished lines pass as a whole, from the first on
        self._ended = False

    def add(self, piece: str, probability: float) -> None:
        """Take one more token."""
        head, newline, rest = piece.partition("\n")
        ends = bool(newline and (self.text[self._start :] + head).strip())
        if self._sure and not (ends and not head) and may_end(self.text, piece):
            self._note(whole=False)
        self._sure.append(math.log(max(_TINY, probability)))
        if not ends:
            self.text += piece
            return
        # The probability of the token that ends the line is that of its ending here.
        self.text += head
        self._note(whole=True)
        self.text += newline + rest
        self._sure = []
        self._start = len(self.text) - len(rest)
        self._line += 1

    def end(self) -> None:
        """Take the end of the text as the end of its last line."""
        self._ended = True
        if self._sure:
            self._note(whole=True)

    @property
    def finished(self) -> int:
        """How many lines with text are finished."""
        return self._line

    @property
    def hopeless(self) -> bool:
        """Whether nothing more would be shown, whatever came."""
        if not self.threshold:
            return False
        if self._line and self._open < self._line:
            return True  # after a line that is not shown whole, none is shown
        # Each further token lowers the probability of the line.
        return bool(self._sure) and sum(self._sure) < math.log(self.threshold * _FORGIVEN)

    def shown(self, text: str, *, final: bool = False) -> tuple[int, float]:
        """Return how much of the trimmed text may be shown, never less than before, and its score.

        While the first line is being written, that is its longest beginning that passes and leaves nothing
        open; once it is finished, the boundary from there on with the greatest expected gain. Further lines
        are shown only whole.
        """
        end, confidence, line = 0, 0.0, 0
        while boundary := self._best(text, line, end, settled=final or self._ended or self._line > line):
            end, value = min(boundary.end, len(text)), boundary.score
            confidence = min(value, confidence) if line else value
            if not boundary.whole:
                break
            line += 1
        return end, confidence

    def _best(self, text: str, line: int, start: int, *, settled: bool) -> Boundary | None:
        """Return the boundary up to which a line is shown."""
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
            # Characters saved, less the key that accepts them. Without a threshold, the longest text wins.
            gain = boundary.score * max(0.5, len(text[start : boundary.end].strip()) - 1)
            return (gain if self.threshold else 0.0), boundary.end

        further = [boundary for boundary in passing if not early or boundary.end >= early.end]
        return self._first_fit(text, sorted(further, key=worth, reverse=True))

    def _first_fit(self, text: str, boundaries: list[Boundary]) -> Boundary | None:
        fitting = (boundary for boundary in boundaries[:_TRIED] if self._may_stand(text[: boundary.end]))
        return next(fitting, None)

    def _may_stand(self, text: str) -> bool:
        return balanced_length(text, self.cursor.closed) == len(text) and self._fits(text)

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
        """Return the score of a beginning."""
        return score(values)
