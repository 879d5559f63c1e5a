"""Show or stay silent: how likely each beginning of an answer is to be right. Pure.

An answer may be shown up to a boundary: the end of a word, an argument or a line. The score of a boundary
is a logistic function of what is known there; its coefficients are fitted to real notebooks by
`scripts/fit_gate.py`. The longest beginning whose score passes the setting's threshold is shown.
"""

from __future__ import annotations

import keyword
import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.bounded import LINE, end_of, remembered
from jupyter_turbopilot.suggestion.coefficients import COEFFICIENTS
from jupyter_turbopilot.suggestion.trim import open_quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_WORD = re.compile(r"[^\W\d]\w*+")
_AFTER_DOT, _IN_WORD = re.compile(r"\.\w*+$"), re.compile(r"\w$")
_IN_BRACKETS, _AFTER_EQUALS = re.compile(r"[(\[{,]\s*+$"), re.compile(r"=\s*+$")
_KEYWORDS = frozenset((*keyword.kwlist, "self"))
_TINY = 1e-4
_TRIED = 128  # boundaries of a line that are looked at: what stands there has to parse
_FORGIVEN = 0.4  # how much the rest of an answer may still gain: below that nothing more is written


@dataclass(frozen=True)
class Place:
    """What the gate knows of where an answer stands."""

    line: str = ""  # the line up to the cursor
    rest: str = ""  # what follows the cursor on its line
    words: frozenset[str] = frozenset()  # names that the notebook holds
    lines: frozenset[str] = frozenset()  # its lines, without indentation

    @cached_property
    def body(self) -> str:
        """The line up to the cursor without its indentation."""
        return self.line.lstrip()

    @cached_property
    def features(self) -> dict[str, float]:
        """What the line alone says: a token changes nothing of it."""
        line = self.body
        return {
            "empty line": float(not line),
            "after dot": float(bool(_AFTER_DOT.search(line))),
            "in word": float(bool(_IN_WORD.search(line))),
            "in brackets": float(bool(_IN_BRACKETS.search(line))),
            "after =": float(bool(_AFTER_EQUALS.search(line))),
            "in string": float(bool(open_quote(line, "'\""))),
        }


def place_of(prefix: str, suffix: str, pieces: Iterable[str]) -> Place:
    """Read off the text around the cursor what the gate wants to know."""
    prefix = end_of(prefix, 2**17)
    words, lines = _held(tuple(pieces))
    *above, line = prefix.split("\n")
    return Place(
        line[-LINE:],
        suffix.partition("\n")[0].strip(),
        words.union(_WORD.findall(prefix)),
        lines.union(text.strip() for text in above),
    )


@remembered(2**21)
def _held(pieces: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the words and the lines of what stands above: no key changes it, however much it is."""
    above = "".join(pieces)
    return _KEYWORDS.union(_WORD.findall(above)), frozenset(line.strip() for line in above.split("\n"))


class Boundary(NamedTuple):
    """A place in an answer where it may end, and what the gate thinks of the text up to there."""

    end: int
    score: float
    line: int  # how many lines that hold anything end before
    whole: bool  # whether the line is finished there


def sigmoid(value: float) -> float:
    """Return a score between 0 and 1."""
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, value))))


def features(text: str, sure: list[float], place: Place, *, whole: bool, further: bool) -> dict[str, float]:
    """Return what the score of a beginning is computed from.

    `sure` holds the logarithms of its tokens' probabilities; `whole` where it reaches the end of its line.
    """
    line = place.body
    body = text.strip()
    names = _WORD.findall(body)
    known = [word for word in names if word in place.words]
    total = sum(sure)
    found = {
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
        "rest": float(bool(place.rest)),
        "further": float(further),
        **place.features,
        "comment": float(line.startswith("#") or body.startswith("#")),
        "again": float((line + text).strip() in place.lines) if not further else float(body in place.lines),
    }
    found["known sum"] = total * found["known"]
    return found


def _odds(logarithm: float) -> float:
    """Return the logarithm of the odds of a probability, from its own logarithm."""
    chance = min(0.999, max(_TINY, math.exp(logarithm)))
    return math.log(chance / (1 - chance))


def score(found: dict[str, float]) -> float:
    """Return how likely a beginning is to be right."""
    return sigmoid(sum(COEFFICIENTS[name] * value for name, value in found.items()))


def may_end(text: str, following: str) -> bool:
    """Tell whether a text may be shown up to its end: no word, no number and no attribute is cut."""
    if not text.strip() or text[-1] in " \t.":
        return False
    if not following:
        return True
    cuts = (text[-1].isalnum() or text[-1] == "_") and (following[0].isalnum() or following[0] == "_")
    return not cuts


class Gate:
    """Looks at an answer token by token and knows how much of it may be shown."""

    def __init__(self, place: Place, threshold: float, fits: Callable[[str], bool] = lambda _: True) -> None:
        self.place = place
        self.threshold = threshold
        self._fits = fits  # whether the cell could still become a program with this in it
        self.text = ""
        self.boundaries: list[Boundary] = []
        self._sure: list[float] = []  # of the line being written
        self._start = 0  # where that line begins in the text
        self._line = 0
        self._open = 0  # how many of the finished lines may be shown whole

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
        # The token that ends the line says that it was the end.
        self.text += head
        self._note(whole=True)
        self.text += newline + rest
        self._sure = []
        self._start = len(self.text) - len(rest)
        self._line += 1

    def end(self) -> None:
        """Nothing follows: the end of the text is the end of a line."""
        if self._sure:
            self._note(whole=True)

    @property
    def finished(self) -> int:
        """How many lines that hold anything are finished."""
        return self._line

    @property
    def hopeless(self) -> bool:
        """Tell whether nothing more would be shown, whatever came."""
        if not self.threshold:
            return False
        if self._line and self._open < self._line:
            return True  # a line that is not shown whole hides all that follow
        # The line's probability only falls.
        return bool(self._sure) and sum(self._sure) < math.log(self.threshold * _FORGIVEN)

    def shown(self, text: str) -> tuple[int, float]:
        """Return how much of the trimmed text may be shown, and its score.

        Of the first line the beginning that promises most, of further lines only whole ones, in turn.
        """
        end, confidence, line = 0, 0.0, 0
        while found := self._best(text, line, end):
            end, value = min(found.end, len(text)), found.score
            confidence = min(value, confidence) if line else value
            if not found.whole:
                break
            line += 1
        return end, confidence

    def _best(self, text: str, line: int, start: int) -> Boundary | None:
        """Return the boundary of a line that promises most: its score times what it saves."""
        worth: list[tuple[float, int, Boundary]] = []
        for boundary in self.boundaries:
            end = min(boundary.end, len(text))
            if boundary.line != line or boundary.score < self.threshold or (line and not boundary.whole):
                continue
            # A key is what taking it costs. Where everything is wanted, the longest is.
            gain = boundary.score * max(0.5, len(text[start:end].strip()) - 1) if self.threshold else end
            if end > start:
                worth.append((gain, len(worth), boundary))
        worth.sort(reverse=True)  # of two that promise as much the later one
        tried = (boundary for _, _, boundary in worth[:_TRIED])
        return next((one for one in tried if self._fits(text[: min(one.end, len(text))])), None)

    def _note(self, *, whole: bool) -> None:
        text = self.text[self._start :]
        if not text.strip():
            return
        found = features(text, self._sure, self.place, whole=whole, further=self._line > 0)
        value = self.rate(found)
        self.boundaries.append(Boundary(len(self.text.rstrip()), value, self._line, whole))
        self._open += whole and value >= self.threshold and self._open == self._line

    def rate(self, found: dict[str, float]) -> float:
        """Return the score of a beginning."""
        return score(found)
