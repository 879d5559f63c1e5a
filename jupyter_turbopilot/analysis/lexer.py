"""Lexing of code that is being typed: its lexemes, and the brackets and quotes that it leaves open. Pure.

`lex` and the functions that use it split a text into Python's lexemes. Those for any language, at the end,
know no comments or escapes: a quote is closed by the next one of its kind, and quoted brackets are ignored.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.util.bounds import LINE, STATEMENT, count_operations

if TYPE_CHECKING:
    from collections.abc import Iterator

# Names may contain combining marks, as in decomposed umlauts and Indic vowels, which `\w` does not match.
_LEXEME = re.compile(
    r"""(?P<string>[rbfuRBFU]{0,2}(?P<quote>(?P<long>\"{3}|'{3})|["'])
        (?:\\(?:.|\Z)|(?!(?P=quote))(?(long)[^\\]|[^\\\n]))*+(?P<closed>(?P=quote))?)
    |(?P<comment>\#[^\n]*+)|(?P<number>\d[\w.]*+)|(?P<name>[^\W\d][\w\u0300-\u036f\u0900-\u0e7f]*+)
    |(?P<sign>\*\*|[=!<>]=|[^\s\w])|(?P<line>\n)""",
    re.VERBOSE | re.DOTALL,
)
_FORMATTED = re.compile(r"[rR]?[fF]")
_FIELD_BRACKET = re.compile(r"\{\{|[{}]")
_CONTINUATIONS = frozenset({"else", "elif", "except", "finally", "case"})

CLOSERS = {"(": ")", "[": "]", "{": "}"}
OPENERS = {closer: opener for opener, closer in CLOSERS.items()}
CLOSING = frozenset(OPENERS)
QUOTES = "\"'`"
NESTED = 32  # brackets after the cursor that are considered: more than any code nests
_SAME = {quote: quote for quote in QUOTES}
_PAIRS = CLOSERS | _SAME
_BACKWARDS = OPENERS | _SAME  # for scanning a text backwards
_BRACKETS = frozenset(CLOSERS) | CLOSING
_BRACKET_OR_QUOTE = re.compile(r"""[()\[\]{}"'`]""")


def _follow(pending: list[str], sign: str, pairs: dict[str, str] = _PAIRS) -> None:
    """Update the pending closers, innermost last, with the next sign.

    A bracket of the wrong kind is ignored: comments and other languages have some, as in `[0, 1)`.
    """
    innermost = pending[-1] if pending else ""
    if sign == innermost:
        pending.pop()
    elif sign in pairs and innermost not in _SAME:
        pending.append(pairs[sign])


# Lexemes ------------------------------------------------------------------------------------------------


class Lexeme(NamedTuple):
    """A word, number, string, sign, comment or line end of a source text."""

    kind: str
    text: str
    end: int
    unclosed: str = ""  # the quote that a string lacks at its end
    depth: int = 0  # brackets open before it

    @property
    def start(self) -> int:
        """Position of its first character in the source."""
        return self.end - len(self.text)


def lex(source: str, pending: list[str] | None = None) -> Iterator[Lexeme]:
    """Split a source text into lexemes; white space other than line ends is omitted.

    `pending` is updated: the closing brackets that are missing before the current lexeme, innermost last.
    """
    count_operations(len(source))
    pending = [] if pending is None else pending
    for match in _LEXEME.finditer(source):
        kind, text = match.lastgroup, match[0]
        unclosed = match["quote"] if kind == "string" and not match["closed"] else ""
        # Faster than `Lexeme(...)`.
        yield tuple.__new__(Lexeme, (kind, text, match.end(), unclosed, len(pending)))
        if kind == "sign" and text in _BRACKETS:
            # A bracket of the wrong kind closes the innermost one, too.
            _follow(pending, pending[-1] if pending and text in CLOSING else text)


def count_lexemes(source: str) -> int:
    """Return the number of lexemes; faster than `lex`."""
    return sum(1 for _ in _LEXEME.finditer(source))


class Open(NamedTuple):
    """The open constructs at the end of a text."""

    quote: str
    brackets: str
    balanced: bool
    comment: bool
    start: int  # of the last top-level statement; the text above it has no influence


def scan(text: str) -> Open:
    """Find the quote and the brackets that are open at the end."""
    pending: list[str] = []
    balanced, decorated, start = True, False, 0
    is_first, last = True, Lexeme("line", "", 0)
    for last in lex(text, pending):
        if last.text in CLOSING:
            balanced = balanced and pending[-1:] == [last.text]
        elif is_first and not pending and _opens_statement(text, last):
            start = start if decorated else last.start
            decorated = last.text == "@"
        is_first = last.kind == "line"
    # An unclosed string or a comment that a line follows is not the last lexeme.
    return Open(last.unclosed, "".join(reversed(pending)), balanced, last.kind == "comment", start)


def _opens_statement(text: str, lexeme: Lexeme) -> bool:
    """Return whether a top-level statement certainly begins here."""
    start = lexeme.start
    if start and (text[start - 1] != "\n" or text.endswith("\\\n", 0, start)):
        return False
    return not (
        lexeme.kind in {"line", "comment"} or lexeme.text[0] in "'\"([{" or lexeme.text in _CONTINUATIONS
    )


def end_of_line(before: str, text: str) -> int:
    """Return the offset in `text` where the line `before` ends; -1 if it does not.

    Brackets and strings that the line opens continue it.
    """
    if "\n" not in text:
        return -1  # the usual case, and this runs at every token
    ends = (each.start - len(before) for each in lex(before + text) if each.kind == "line" and not each.depth)
    return next((end for end in ends if end >= 0), -1)


def logical_lines(source: str) -> Iterator[list[Lexeme]]:
    """Yield the lexemes of each finished logical line, without comments; the last one is its end."""
    line: list[Lexeme] = []
    for lexeme in lex(f"{source}\n"):
        if lexeme.kind == "line" and not lexeme.depth:
            if line and line[-1].text != "\\":
                yield [*line, lexeme]
                line = []
        elif lexeme.kind not in {"line", "comment"}:
            line.append(lexeme)


def rest_of_statement(prefix: str, suffix: str) -> str:
    """Return the text after the cursor up to the end of its statement.

    If the brackets around the cursor are not closed, this is the rest of the line.
    """
    line = suffix.partition("\n")[0]
    if len(prefix) > STATEMENT or not suffix.strip():
        return line
    pending: list[str] = []
    start = scan(prefix).start
    whole = prefix[start:] + suffix[:STATEMENT]
    for lexeme in lex(f"{whole}\n", pending):
        end = start + lexeme.start - len(prefix)
        if lexeme.kind == "line" and end >= 0 and not pending:
            return suffix[:end]
        if lexeme.text in CLOSING and pending[-1:] != [lexeme.text]:
            break
    return line


def closed_before(text: str) -> int:
    """Return the number of brackets before a text that it closes."""
    return sum(lexeme.text in CLOSING and not lexeme.depth for lexeme in lex(text))


def depths(before: str, text: str) -> tuple[int, int]:
    """Return the number of brackets that are open before a text, and the lowest number within it.

    The braces of replacement fields are included.
    """
    depth, found = 0, []
    for lexeme in lex(before + text):
        if lexeme.text not in _BRACKETS and lexeme.kind != "string":
            continue
        for at, sign in _field_braces(lexeme) if lexeme.kind == "string" else [(0, lexeme.text)]:
            if lexeme.start + at >= len(before):
                found.append(depth)
            depth += 1 if sign in CLOSERS else -min(depth, 1)
    found.append(depth)
    return found[0], min(found)


def _field_braces(lexeme: Lexeme) -> Iterator[tuple[int, str]]:
    """Yield the braces of the replacement fields in an f-string, with their positions in it."""
    depth = 0
    for match in _FIELD_BRACKET.finditer(lexeme.text) if _FORMATTED.match(lexeme.text) else ():
        step = {"{": 1, "}": -min(depth, 1)}.get(match[0], 0)
        depth += step
        if step:
            yield match.start(), match[0]


def open_field(literal: Lexeme) -> str:
    """Return the text of the replacement field that is open at the end of an f-string; "" without one."""
    opened: list[int] = []
    for at, sign in _field_braces(literal):
        if sign == "{":
            opened.append(at + 1)
        else:
            opened.pop()
    return literal.text[opened[-1] :] if opened else ""


# Any language -------------------------------------------------------------------------------------------


def _unclosed(text: str, pairs: dict[str, str] = _PAIRS) -> tuple[list[str], str]:
    """Return the brackets that would close a text, innermost last, and the quote open at its end."""
    pending: list[str] = []
    for sign in _BRACKET_OR_QUOTE.findall(text):
        _follow(pending, sign, pairs)
    quote = pending.pop() if pending and pending[-1] in _SAME else ""
    return pending, quote


def open_quote(line: str, quotes: str = QUOTES) -> str:
    """Return the quote open at the end of a line, or ""; a line too long for code has none."""
    return _unclosed(line, {quote: quote for quote in quotes})[1] if len(line) <= LINE else ""


def outside(text: str, quote: str = "") -> list[bool]:
    """Return for each character whether it is outside all brackets and quotes that the text itself opens.

    `quote` was open before the text; up to its end, the text counts as outside. An opening bracket counts as
    outside, an opening quote does not.
    """
    pending = [quote] if quote else []
    within_given = bool(quote)
    places: list[bool] = []
    for char in text:
        places.append(within_given or not (pending or char in QUOTES))
        _follow(pending, char)
        within_given = within_given and bool(pending)
    return places


def balanced_length(text: str, closed: str) -> int:
    """Return the length of the longest prefix that closes none of the brackets in `closed`.

    The text may contain these brackets only where it has opened the same kind itself.
    """
    if not closed:
        return len(text)  # the usual case, and this runs at every token
    given = [*reversed(closed)]
    pending = given.copy()
    length = 0
    for at, char in enumerate(text, 1):
        _follow(pending, char)
        if pending[: len(given)] == given:
            length = at
    return length


def closers_of_given(text: str, quote: str = "") -> Iterator[int]:
    """Yield the positions of brackets that close those before a text; `quote` is open before it."""
    pending = [quote] if quote else []
    for found in _BRACKET_OR_QUOTE.finditer(text):
        if not pending and found[0] in CLOSING:
            yield found.start()
        _follow(pending, found[0])


def closing_length(before: str, after: str) -> int:
    """Return the length of the brackets and quotes at the start of `after` that close what is open before it.

    `before` is a line up to `after`. Brackets that it does not open may be open in the lines above.
    """
    pending, quote = _unclosed(before)
    pending += [quote] if quote else []
    for at, char in enumerate(after):
        if char != (pending.pop() if pending else char) or char not in (QUOTES if quote else CLOSING):
            return at
        quote = ""
    return len(after)


def closers_after(line: str, rest: str) -> str:
    """Return the closing brackets directly after the cursor, if they match all that the line has opened."""
    rest = rest.strip()
    closed = rest[: len(rest) - len(rest.lstrip(")]}"))][:NESTED]
    if not closed or len(line) > LINE:
        return ""
    opened, quote = _unclosed(line)
    closing, _ = _unclosed(rest[LINE::-1], _BACKWARDS)
    return closed if quote in rest and len(opened) <= len(closing) else ""
