"""Detection of unclosed brackets and quotes in any language. Pure.

A quote is closed by the next one of its kind; quoted brackets are ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.util.bounds import LINE

if TYPE_CHECKING:
    from collections.abc import Iterator

QUOTES = "\"'`"
NESTED = 32  # brackets after the cursor that are considered: more than any code nests
_SAME = {quote: quote for quote in QUOTES}
_CLOSERS = {"(": ")", "[": "]", "{": "}"} | _SAME
_OPENERS = {")": "(", "]": "[", "}": "{"} | _SAME  # for scanning a text backwards


def _follow(pending: list[str], char: str, pairs: dict[str, str] = _CLOSERS) -> None:
    """Update the pending closers, innermost last, with the next character."""
    innermost = pending[-1] if pending else ""
    if char == innermost:
        pending.pop()
    elif char in pairs and innermost not in _SAME:
        pending.append(pairs[char])


def _unclosed(text: str, pairs: dict[str, str] = _CLOSERS) -> tuple[list[str], str]:
    """Return the brackets that would close a text, innermost last, and the quote open at its end."""
    pending: list[str] = []
    for char in text:
        _follow(pending, char, pairs)
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
    for at, char in enumerate(text):
        if not pending and char in _OPENERS and char not in _SAME:
            yield at
        _follow(pending, char)


def closing_length(before: str, after: str) -> int:
    """Return the length of the brackets and quotes at the start of `after` that close what is open before it.

    `before` is a line up to `after`. Brackets that it does not open may be open in the lines above.
    """
    pending, quote = _unclosed(before)
    pending += [quote] if quote else []
    for at, char in enumerate(after):
        if char != (pending.pop() if pending else char) or char not in (QUOTES if quote else ")]}"):
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
    closing, _ = _unclosed(rest[LINE::-1], _OPENERS)
    return closed if quote in rest and len(opened) <= len(closing) else ""
