"""Source with f-strings rewritten as tuples of their expressions. Pure.

Up to Python 3.11, the parser gives wrong positions inside f-strings.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jupyter_turbopilot.suggestion.syntax import lex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.suggestion.syntax import Lexeme

_DEEPEST = 8  # nested f-strings and format specifications
_LITERAL = re.compile(r"(?:\\N\{[^{}]*\}|\\[^{}]|\{\{|\}\}|[^{}\\]|\\)*+", re.DOTALL)
_RAW_LITERAL = re.compile(r"(?:\{\{|\}\}|[^{}])*+", re.DOTALL)
_SPECIFICATION = re.compile(r"[^{}]*+")
_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def without_f_strings(source: str, depth: int = 0) -> str:
    """Return a source of the same length and with the same names at the same positions.

    Raise SyntaxError for malformed f-strings, and for those that repeat their quotes in an expression.
    """
    result, at = [], 0
    for group in _literals(source):
        if not any(map(_is_formatted, group)):
            continue
        for lexeme in group:  # a tuple cannot follow a string
            result += [source[at : lexeme.start], _tuple(lexeme, depth)]
            at = lexeme.end
    return "".join([*result, source[at:]])


def _literals(source: str) -> Iterator[list[Lexeme]]:
    """Yield the groups of adjacent strings."""
    group: list[Lexeme] = []
    for lexeme in lex(source):
        if lexeme.kind == "string":
            group.append(lexeme)
        elif lexeme.kind not in {"line", "comment"} and lexeme.text != "\\":
            if group:
                yield group
            group = []
    yield group


def _prefix(lexeme: Lexeme) -> str:
    return re.split("[\"']", lexeme.text, maxsplit=1)[0].lower()


def _is_formatted(lexeme: Lexeme) -> bool:
    return "f" in _prefix(lexeme)


def _tuple(lexeme: Lexeme, depth: int) -> str:
    """Return a tuple of the expressions of a string."""
    text, prefix = lexeme.text, _prefix(lexeme)
    quotes = 3 if text[len(prefix) :][:3] in {'"""', "'''"} else 1
    if lexeme.unclosed or depth > _DEEPEST:
        raise SyntaxError("The f-string cannot be parsed.")
    written = ["\n" if character == "\n" else " " for character in text]
    written[0], written[-1] = "(", ")"
    if "f" in prefix:
        body = text[: len(text) - quotes]
        literal = _RAW_LITERAL if "r" in prefix else _LITERAL
        if _fields(body, len(prefix) + quotes, written, literal, depth) != len(body):
            raise SyntaxError("A '}' is unmatched.")
    return "".join(written)


def _fields(text: str, at: int, written: list[str], literal: re.Pattern[str], depth: int) -> int:
    """Copy the expressions after a position; return the position of the first unmatched `}`, or the end."""
    if depth > _DEEPEST:
        raise SyntaxError("The f-string is nested too deeply.")
    while True:
        at = _end_of(literal, text, at)
        if text[at : at + 1] != "{":
            return at
        end = _expression_end(text, at + 1)
        written[at + 1 : end] = without_f_strings(text[at + 1 : end], depth + 1)
        written[end] = ","
        if text[end] == "=":
            end = _end_of(re.compile(r"=\s*+"), text, end)
        if text[end : end + 1] == "!":
            end = _end_of(re.compile(r"!\s*\w*\s*"), text, end)
        if text[end : end + 1] == ":":
            end = _fields(text, end + 1, written, _SPECIFICATION, depth + 1)
        if text[end : end + 1] != "}":
            raise SyntaxError("A '}' is missing.")
        at = end + 1


def _expression_end(text: str, start: int) -> int:
    """Return the position of the `}`, `!`, `:` or `=` after an expression."""
    depth = 0
    for lexeme in lex(text[start:]):
        if lexeme.kind == "comment" or lexeme.unclosed:
            break
        if not depth and lexeme.text in {"}", "!", ":", "="}:
            return start + lexeme.start
        depth += _BRACKETS.get(lexeme.text, 0)
    raise SyntaxError("A '}' is missing.")


def _end_of(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at
