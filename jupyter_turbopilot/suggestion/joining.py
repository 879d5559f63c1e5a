"""Checks whether the text after the cursor can follow a suggestion. Pure."""

from __future__ import annotations

import re
from functools import cache, cached_property
from itertools import chain, takewhile
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.lexer import CLOSERS, CLOSING, depths, lex, rest_of_statement, scan
from jupyter_turbopilot.analysis.syntax import MOST_PARSED, judge
from jupyter_turbopilot.suggestion.trim import is_word
from jupyter_turbopilot.util.bounds import STATEMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jupyter_turbopilot.analysis.lexer import Lexeme, Open

# Possible parts of a statement at the cursor.
_FILLINGS = (" _ ", ", ", ".", " + ", " in ", ": ", "=", " else ", " as ", " import ", "[_", "(_", "{_")
_MOST_CLOSED = 4  # brackets that a part of a statement closes
LONGEST_JOINED = 1_000  # characters of a statement; of a longer one, only the line at the cursor is checked
_MOST_REPEATED = 32  # lexemes of the rest that a text may repeat at its end
_MOST_SEARCHED = 2**20  # characters in which words are looked up
_WORD = re.compile(r"\.?\w++")
_ONLY_CLOSING = re.compile(r"[)\]}\"'\s]++")
_DOTTED_NAME = re.compile(r"\w++(?:\.\w++)*+")


def joining(language: str, prefix: str, suffix: str, texts: Iterable[str] = ()) -> Callable[[str], bool]:
    """Return a check whether the rest of the statement after the cursor can follow a text.

    The statement must be valid then. If no text makes it valid, it must not become worse: it leaves less open
    than without the text, or its rest begins within the same brackets and quotes. A text leaves the brackets
    that the rest closes open, unless the rest consists of those that an editor inserts. A word that the
    cursor or the text divides must become a word of the cell or of `texts`.
    """
    line, rest = prefix.rpartition("\n")[2], rest_of_statement(prefix, suffix)
    before = prefix[scan(prefix).start :] if len(prefix) <= STATEMENT else prefix
    if len(before) + len(rest) > LONGEST_JOINED:
        before, rest = line.lstrip(), suffix.partition("\n")[0]
    if not rest.strip() or len(line) > LONGEST_JOINED:
        return lambda _: True
    word = _Word(prefix, suffix, texts)
    statement = _Statement(language, before, rest)
    return cache(lambda text: word.is_completed_by(text) and statement.is_joined_by(text))


def joining_part(text: str, joins: Callable[[str], bool]) -> str:
    """Return the longest prefix of whole words that the text after the cursor can follow."""
    for end in range(len(text), 0, -1):
        is_inside_word = end < len(text) and is_word(text[end - 1]) and is_word(text[end])
        if not (is_inside_word or text[end - 1].isspace()) and joins(text[:end]):
            return text[:end]
    return ""


class _Word:
    """The word around the cursor."""

    def __init__(self, prefix: str, suffix: str, texts: Iterable[str]) -> None:
        self._texts = chain((prefix, suffix), texts)
        self._begun = _last_word(prefix)
        self._rest = first_word(suffix)

    def is_completed_by(self, text: str) -> bool:
        """Return whether a text and the rest of the word form a known word, or are separate words."""
        last = _last_word(text)
        if self._rest and text.endswith("."):
            return f".{self._rest}" in self._known
        if not self._rest or not (last or self._begun):
            return True
        if last == text:
            return self._begun + text + self._rest in self._known
        return not self._begun and last + self._rest in self._known

    @cached_property
    def _known(self) -> frozenset[str]:
        """The known names and, with their dot, attributes that end with the rest."""
        left, found = _MOST_SEARCHED, set[str]()
        for text in self._texts:
            names = [name for name in _WORD.findall(text[:left]) if name.endswith(self._rest)]
            found.update(names, (name.lstrip(".") for name in names))
            left -= len(text)
            if left <= 0:
                break
        return frozenset(found)


def first_word(text: str) -> str:
    """Return the word that a text begins with, or an empty string."""
    return "".join(takewhile(is_word, text))


def _last_word(text: str) -> str:
    """Return the word that a text ends with, or an empty string."""
    return "".join(takewhile(is_word, reversed(text)))[::-1]


class _Statement:
    """The statement around the cursor."""

    def __init__(self, language: str, before: str, rest: str) -> None:
        self._language = language
        self._before = before
        self._rest = rest
        self._hides = bool(rest.partition("\n")[0].strip())  # whether a comment would hide the rest
        self._at_cursor = scan(before)
        self._left = MOST_PARSED
        self._open = self._count_open("")
        start, lowest = depths(before, rest)
        self._closed = 0 if _ONLY_CLOSING.fullmatch(rest) else start - lowest  # by the rest
        self._is_in_field = start > len(self._at_cursor.brackets)

    def is_joined_by(self, text: str) -> bool:
        """Return whether the rest can follow a text."""
        at_end, count = scan(self._before + text), self._count_open(text)
        self._left -= len(self._before) + len(text)
        hidden = self._hides and at_end.comment and not self._at_cursor.comment
        if hidden or count > self._open or self._left <= 0:
            return False
        # Of the brackets at the cursor, the text may close those that the rest does not.
        if depths(self._before, text)[1] < self._closed:
            return False
        is_code = not (at_end.comment or at_end.quote) or self._is_in_field
        if self._language and is_code and self._overlaps(text, at_end):
            return False
        valid = self._is_valid(f"{self._before}{text}{self._rest}")
        if valid and not count:
            return True
        has_same_open = at_end[:-1] == self._at_cursor[:-1]
        if self._can_be_valid or self._left <= 0 or not (count < self._open or has_same_open):
            return False
        fits = self._is_valid(self._before + text) or not self._is_valid(self._before)
        return valid or (fits and not self._is_valid(self._before + self._rest))

    def _overlaps(self, text: str, at_end: Open) -> bool:
        """Return whether a text contains what the rest is there for, such as the call of a name."""
        self._left -= len(self._before) + len(text)
        start = 0 if self._is_in_field else len(self._before)
        lexemes = [lexeme for lexeme in lex(self._before[:start] + text) if lexeme.end > start]
        own = [lexeme.text for lexeme in lexemes if lexeme.start >= start]
        if _repeats(own, self._following) or self._concatenates(lexemes):
            return True
        element, sign = _last_element(own), self._following[0]
        if sign in {"=", ":"}:
            return sign in element and (self._is_in_field or not at_end.brackets)
        if sign not in {"(", "["} or self._rest[0] != sign:
            return False
        before = self._before[-1:]
        if not self._at_cursor.quote and (is_word(before) or before == ".") and is_word(text[:1]):
            # The rest calls the name at the cursor, or selects from it.
            return not _DOTTED_NAME.fullmatch(text) if sign == "(" else "[]" in element
        return sign == "(" and (element[-1:] in (["()"], ["[]"], ["{}"]) or _is_literal(lexemes))

    def _concatenates(self, lexemes: Sequence[Lexeme]) -> bool:
        """Return whether Python would join a string of the text and the one after it, on the same line."""
        last = lexemes[-1] if lexemes else None
        is_own = last is not None and last.kind == "string" and last.start >= len(self._before)
        return is_own and self._begins_with_string

    @cached_property
    def _begins_with_string(self) -> bool:
        is_python = self._language == "python" and self._before.lstrip()[:1] not in {"!", "%"}
        return is_python and [lexeme.kind for lexeme in self._lexemes_of_rest[:1]] == ["string"]

    @cached_property
    def _following(self) -> list[str]:
        return [lexeme.text for lexeme in self._lexemes_of_rest if lexeme.kind != "line"] or [""]

    @cached_property
    def _lexemes_of_rest(self) -> list[Lexeme]:
        return [*lex(self._rest)]

    @cached_property
    def _can_be_valid(self) -> bool:
        fillings = (text for text in _fillings(self._at_cursor) if self._left > 0)
        closing = (text for text in fillings if not self._count_open(text))
        return any(self._is_valid(f"{self._before}{text}{self._rest}") for text in closing)

    def _count_open(self, text: str) -> int:
        code = f"{self._before}{text}{self._rest}"
        self._left -= len(code)
        opened = scan(code)
        return len(opened.brackets) + bool(opened.quote)

    def _is_valid(self, code: str) -> bool:
        if self._language != "python":
            return scan(code).balanced
        errors, parsed = judge(self._language, code)
        self._left -= parsed
        return not errors


def _repeats(own: Sequence[str], following: Sequence[str]) -> bool:
    """Return whether lexemes end with the beginning of those that follow, other than brackets of the text."""
    for count in range(1, min(_MOST_REPEATED, len(own), len(following)) + 1):
        end = own[-count:]
        if end == following[:count] and not any(text in CLOSING or text in CLOSERS for text in _joined(end)):
            return True
    return False


def _joined(lexemes: Iterable[str]) -> list[str]:
    """Return lexemes with each pair of brackets as one."""
    opened: list[int] = []
    joined: list[str] = []
    for text in lexemes:
        if text in CLOSING and opened and CLOSERS[joined[opened[-1]]] == text:
            start = opened.pop()
            joined[start:] = [joined[start] + text]
            continue
        if text in CLOSERS:
            opened.append(len(joined))
        joined.append(text)
    return joined


def _last_element(lexemes: Iterable[str]) -> list[str]:
    """Return the lexemes after the last comma or closed bracket, with each pair of brackets as one."""
    joined = _joined(lexemes)
    ends = (at for at, text in enumerate(joined) if text in CLOSING or text in {",", ";"})
    return joined[max(ends, default=-1) + 1 :]


def _is_literal(lexemes: Sequence[Lexeme]) -> bool:
    return bool(lexemes) and lexemes[-1].kind in {"number", "string"}


def _fillings(opened: Open) -> list[str]:
    """Return texts of which one is likely to make a statement valid at the cursor, if any does."""
    closed = [
        opened.quote + opened.brackets[:end] for end in range(min(_MOST_CLOSED, len(opened.brackets)) + 1)
    ]
    # `_` is also the content of a replacement field of an f-string, which the rest may not close.
    return [*closed, "_", "_}"] if opened.quote else [*_FILLINGS, *closed, *(f"_{each}" for each in closed)]
