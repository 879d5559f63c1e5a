"""Trimming of suggestions: a pipeline of small filters over the text so far. Pure.

Every filter keeps a prefix of its text, and never keeps less of a longer text, so the shown text only grows.
A filter holds back text that it cannot judge yet, until more text follows or the answer is final.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from jupyter_turbopilot.analysis import lexer
from jupyter_turbopilot.suggestion.surroundings import Surroundings, indentation
from jupyter_turbopilot.util.bounds import LINE

_CLOSERS = ")]}\"'`;,: \t\n"
MIN_REPEATED = 3
_LONGEST_PIECE = 60  # characters of a repeated piece within one or a few lines
_LEAST_REPEATED = 32  # characters: `VALUES (?, ?, ?, ?, ?, ?)` is code
MOST = 16_000  # characters of a suggestion: each filter processes all of them
_BETWEEN_WORDS = re.compile(r"(\W+)")
# The beginning of a line that is not repeated, unlike brackets and `#endif`.
_NOT_REPEATED = re.compile(r"\A\s*+(?:#(?!endif)[# '!|]*+)?\w")
# Words that code repeats.
_OPERATORS = frozenset({"and", "or", "not", "is", "in", "left", "right", "inner", "outer", "full", "cross"})
_PHRASES = (
    "Sure, ", "Sure! ", "Certainly", "Here is ", "Here are ", "Here's ", "This code ", "This function ",
    "This script ", "This will ", "Note that ", "Explanation:", "You can ", "In this ", "Let me ", "To run ",
    "To fix ", "I have ", "I've ",
)  # fmt: skip


@dataclass(frozen=True)
class Cut:
    """The text to show, and whether more tokens could extend it."""

    text: str
    done: bool = False


# All filters have the same signature.
Filter = Callable[[str, Surroundings, bool], Cut]


def end_of_line(text: str, surroundings: Surroundings, final: bool) -> Cut:  # noqa: ARG001
    """Stop at the end of the line, unless several lines are allowed. Open brackets continue it."""
    if surroundings.multi:
        return Cut(text)
    is_single = surroundings.max_lines == 1
    end = text.find("\n") if is_single else lexer.end_of_line(surroundings.line[-LINE:], text)
    return Cut(text) if end < 0 else Cut(text[:end], done=True)


def dedent(text: str, surroundings: Surroundings, final: bool) -> Cut:
    """Stop before a line with less indentation, and at a blank line after code without indentation."""
    lines = text.split("\n")
    length = at = len(lines[0])
    started = bool(lines[0].strip())
    blank_before = False
    for number, line in enumerate(lines[1:], 1):
        last = number == len(lines) - 1
        at += 1 + len(line)
        if not line.strip():
            if last and not final:
                break  # its indentation is not complete yet
            blank_before = blank_before or (started and not last)
            continue
        left = indentation(line)
        if left < surroundings.indent or (blank_before and started and left == 0):
            return Cut(text[:length], done=True)
        started, blank_before = True, False
        length = at
    return Cut(text if final else text[:length])


def longest(text: str, surroundings: Surroundings, final: bool) -> Cut:  # noqa: ARG001
    """Stop after `MOST` characters."""
    return Cut(text[:MOST], done=len(text) > MOST)


def line_limit(text: str, surroundings: Surroundings, final: bool) -> Cut:  # noqa: ARG001
    """Stop after `max_lines` lines, not counting blank ones at the beginning."""
    body = text.lstrip("\n")
    lead = len(text) - len(body)
    lines = body.split("\n")
    if len(lines) <= surroundings.max_lines:
        return Cut(text)
    return Cut(text[:lead] + "\n".join(lines[: surroundings.max_lines]), done=True)


def code_fence(text: str, surroundings: Surroundings, final: bool) -> Cut:  # noqa: ARG001
    """Stop before a Markdown fence, where code ends and chat begins."""
    if fence := re.search(r"(^|\n)[ \t]*```", text):
        return Cut(text[: fence.start()], done=True)
    if not final and (begun := re.search(r"(^|\n)[ \t]*`{1,2}$", text)):
        return Cut(text[: begun.start()])
    return Cut(text)


def chat(text: str, surroundings: Surroundings, final: bool) -> Cut:
    """Stop before a line of prose addressed to the user."""
    at = 0
    for number, line in enumerate(text.split("\n")):
        words = line.lstrip()
        if number or not surroundings.quote:
            if words.startswith(_PHRASES):
                return Cut(text[: max(0, at - 1)], done=True)
            last = at + len(line) == len(text)
            if words and last and not final and any(phrase.startswith(words) for phrase in _PHRASES):
                return Cut(text[: max(0, at - 1)])
        at += len(line) + 1
    return Cut(text)


def line_above_again(text: str, surroundings: Surroundings, final: bool) -> Cut:
    """Drop an answer that makes the line equal to the one above."""
    above = surroundings.above.rstrip()
    body = text if surroundings.line.strip() else text.lstrip("\n")
    begun = surroundings.line if body == text else ""  # the text begins on a later line
    written, newline, _ = body.partition("\n")
    line = (begun + written).rstrip()  # with its indentation: in another block it is a different line
    if not (_NOT_REPEATED.match(above) and above.startswith(line)):
        return Cut(text)
    if not (newline or final):
        return Cut("")
    again = above in {line, (begun + written + surroundings.rest).rstrip()}
    # The user typed the whole line already, and wants the repetition.
    return Cut("", done=True) if again and written.strip() else Cut(text)


def next_line_again(text: str, surroundings: Surroundings, final: bool) -> Cut:
    """Stop before a line that repeats the next line below the cursor."""
    wanted = surroundings.next_line.strip()
    if not wanted:
        return Cut(text)
    at = 0
    for line in text.split("\n"):
        whole = at + len(line) < len(text)  # whether a newline follows
        if at and line.strip():
            if line.strip() == wanted and (whole or final):
                return Cut(text[: at - 1], done=True)
            if not whole and not final and wanted.startswith(line.strip()):
                return Cut(text[: at - 1])
        at += len(line) + 1
    return Cut(text)


def import_again(text: str, surroundings: Surroundings, final: bool) -> Cut:
    """Stop before an import that the code above contains, unless the user has begun to name the module."""
    above = f"\n{surroundings.imports}\n"
    lines = (surroundings.line + text).split("\n") if surroundings.imports else []
    at = -len(surroundings.line)
    for number, line in enumerate(lines):
        complete = final or number < len(lines) - 1
        statement = line.rstrip()
        # The following lines contain the names of a parenthesised import.
        continues = complete and statement.endswith(("(", "\\"))
        if statement and not continues and (number or not surroundings.line.split()[1:]):
            # `import numpy` is the beginning of `import numpy as np`.
            ends = ("\n", " ", ",") if complete else ("",)
            if any(f"\n{statement}{end}" in above for end in ends):
                return Cut(text[: max(0, at - 1)], done=complete)
        at += len(line) + 1
    return Cut(text)


def echo(text: str, surroundings: Surroundings, final: bool) -> Cut:
    """Stop before two words that also occur two or three words earlier: "all results are all results"."""
    typed = surroundings.line[-2 * _LONGEST_PIECE :]
    parts = _BETWEEN_WORDS.split(typed + text)
    at = -len(typed)
    for number in range(0, len(parts) - 2, 2):
        word, space, following = parts[number : number + 3]
        for back in (4, 6):
            repeats = at >= 0 and back <= number and word[:1].isalpha() and word == parts[number - back]
            spaces = set(parts[number - back + 1 : number + 2 : 2])
            if repeats and spaces == {" "} and word.lower() not in _OPERATORS:
                if following == parts[number - back + 2]:
                    return Cut(text[:at], done=True)
                if not following and not final:
                    return Cut(text[:at])
        at += len(word) + len(space)
    return Cut(text)


def repetition(text: str, surroundings: Surroundings, final: bool) -> Cut:  # noqa: ARG001
    """Stop before the third of three equal lines."""
    lines = text.split("\n")
    at = 0
    for number, line in enumerate(lines):
        if number >= MIN_REPEATED - 1 and lines[number - 1].strip():
            earlier = lines[number - MIN_REPEATED + 1 : number]
            if len(set(earlier)) == 1:
                last = number == len(lines) - 1
                if line == earlier[0] and (not last or final):
                    return Cut(text[: at - 1], done=True)
                if last and not final and earlier[0].startswith(line):
                    return Cut(text[: at - 1])
        at += len(line) + 1
    return Cut(text)


def loop(text: str, surroundings: Surroundings, final: bool) -> Cut:
    """Stop where the end of the text only repeats itself: before a third copy, or a second one of one sign.

    At least one copy must be generated, and words are not split: half of a number is a different number.
    """
    typed = surroundings.line[-2 * _LONGEST_PIECE :]
    written = typed + text
    sure: list[int] = []
    possible = [len(written)]
    blank = len(written) - len(written.rstrip())  # blank pieces repeat in any code
    runs: dict[int, int] = {}
    for period in range(blank + 1, min(_LONGEST_PIECE, len(written) - 1) + 1):
        # Copies of several shorter pieces start where that piece's run does: skip them.
        if any(period % piece == 0 and run >= piece + period for piece, run in runs.items()):
            continue
        start = _start_of_run(written, period)
        kept = start + (period if period == 1 else 2 * period)
        if kept < len(written):
            runs[period] = len(written) - start
            is_long = len(written) - start >= max(MIN_REPEATED * period, _LEAST_REPEATED)
            (sure if is_long and len(text) >= period else possible).append(kept)
    if final and not sure:
        return Cut(text)
    end = max(0, min(sure or possible) - len(typed))
    while 0 < end < len(text) and is_word(text[end - 1]) and is_word(text[end]):
        end -= 1
    return Cut(text[:end], done=bool(sure))


def _start_of_run(text: str, period: int) -> int:
    """Return the start of the periodic end of a text."""
    at = len(text) - period
    while at > 0 and text[at - 1] == text[at - 1 + period]:
        at -= 1
    return at


class Matcher:
    """Searches for a text in pieces as they arrive, by the Knuth-Morris-Pratt algorithm."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.begun = 0  # length of the text's longest prefix that the pieces so far end with
        self._fallback = [0]  # for each prefix: its longest proper suffix that is also a prefix
        for at in range(1, len(text)):
            self._fallback.append(self._after(text[at], self._fallback[at - 1]))

    def _after(self, char: str, begun: int) -> int:
        while begun and (begun == len(self.text) or self.text[begun] != char):
            begun = self._fallback[begun - 1]
        return begun + (self.text[begun] == char)

    def find(self, piece: str, start: int = 0) -> int:
        """Search a piece from `start` for the next occurrence of the text; return its end, or -1."""
        for at in range(start, len(piece)):
            self.begun = self._after(piece[at], self.begun)
            if self.begun == len(self.text):
                return at + 1
        return -1

    def beginnings(self) -> list[int]:
        """Return the lengths of all prefixes of the text that the pieces so far end with, longest first."""
        lengths, begun = [], self.begun
        while begun:
            lengths.append(begun)
            begun = self._fallback[begun - 1]
        return lengths


def rest_of_line(text: str, surroundings: Surroundings, final: bool) -> Cut:
    """Stop before text that repeats the rest of the line after the cursor, most often closing brackets."""
    rest = surroundings.rest.strip()
    if not rest:
        return Cut(text)
    is_outside = lexer.outside(text, surroundings.quote)
    matcher = Matcher(rest[: len(text) + 1])
    end = 0
    while (end := matcher.find(text, end)) >= 0:
        at = end - len(rest)
        inside_word = at > 0 and is_word(text[at - 1]) and is_word(rest[0])
        if is_outside[at] and not inside_word:
            return Cut(text[:at], done=True)
    closing = len(text) - len(text.rstrip(_CLOSERS))
    for length in matcher.beginnings():
        sure = length == len(rest) or length <= closing
        if is_outside[len(text) - length] and (not final or sure):
            return Cut(text[:-length])
    return Cut(text)


def closed_after(text: str, surroundings: Surroundings, final: bool) -> Cut:  # noqa: ARG001
    """Stop before a bracket that would close what is already closed after the cursor."""
    return Cut(text[: lexer.balanced_length(text, surroundings.closed)])


def unfinished_list(text: str, surroundings: Surroundings, final: bool) -> Cut:  # noqa: ARG001
    """Stop before a bracket that closes a list of arguments, unless a line begins with it."""
    left = surroundings.closable
    if left is None:
        return Cut(text)
    for at in lexer.closers_of_given(text, surroundings.quote):
        line = (surroundings.line + text[:at]).rpartition("\n")[2]
        if left == 0 and line.strip():
            return Cut(text[:at], done=True)
        left = max(0, left - 1)
    return Cut(text)


def is_word(char: str) -> bool:
    return char == "_" or char.isalnum()


def unfinished_word(text: str, surroundings: Surroundings, final: bool) -> Cut:  # noqa: ARG001
    """Hold back a word that may be incomplete."""
    end = len(text)
    while not final and end and is_word(text[end - 1]):
        end -= 1
    return Cut(text[:end])


def trailing_space(text: str, surroundings: Surroundings, final: bool) -> Cut:  # noqa: ARG001
    """Remove white space at the end."""
    return Cut(text.rstrip())


FILTERS: tuple[Filter, ...] = (
    longest,
    unfinished_word,
    end_of_line,
    dedent,
    line_limit,
    code_fence,
    chat,
    line_above_again,
    next_line_again,
    import_again,
    repetition,
    echo,
    loop,
    rest_of_line,
    closed_after,
    unfinished_list,
    trailing_space,
)


def trim(text: str, surroundings: Surroundings, *, final: bool) -> Cut:
    """Apply every filter."""
    done = False
    for keep in FILTERS:
        cut = keep(text, surroundings, final or done)
        text = cut.text
        done = done or cut.done
    return Cut(text, done)
