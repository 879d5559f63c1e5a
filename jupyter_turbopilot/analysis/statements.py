"""The lexed statement before the cursor: its open brackets, and the tables in it. Pure."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass

from jupyter_turbopilot.analysis.lexer import CLOSERS, CLOSING, Lexeme, lex
from jupyter_turbopilot.analysis.library_facts import methods
from jupyter_turbopilot.analysis.resolve import bindings
from jupyter_turbopilot.util.bounds import cached_function

STATEMENT_LENGTH = 2_000  # characters before the cursor that may belong to its statement
_STATEMENT = re.compile(r"^(?=[^\s)\]}#])", re.MULTILINE)
_COMPARISONS = frozenset({"==", "!=", "<", ">", "<=", ">="})
# After these operators and keywords, an expression is an operand, not the target of an assignment.
_READS = _COMPARISONS | {
    *"=+-*/%&|@",
    *("and", "assert", "if", "in", "is", "not", "or", "return", "while", "yield"),
}
_KEEPING = methods("group", "same", "window")
_ACCESSORS, _LOCATORS, _PASSING = methods("accessor"), methods("locates"), methods("passes")
_NONE: frozenset[str] = frozenset()


@dataclass
class Bracket:
    """An open bracket, and the state of its current element."""

    sign: str
    at: int  # its index
    before: int  # index of the sign before the current element
    number: int = 0  # of the element
    keyword: str = ""  # the name of the argument; ":" in the value of a dictionary's entry
    named: frozenset[str] = _NONE  # the keyword arguments so far


class Statement:
    """The lexemes of the statement before the cursor."""

    def __init__(self, text: str) -> None:
        self.lexemes: list[Lexeme] = []
        self.open: list[Bracket] = []
        self.opener: dict[int, int] = {}  # index of the opening bracket by that of the closing one
        self.line = 0  # index of the first lexeme of the logical line
        self.line_start = 0
        self.is_comment = False
        for lexeme in lex(text):
            self.is_comment = lexeme.kind == "comment"
            if lexeme.kind == "line" and not lexeme.depth:
                self.line, self.line_start = len(self.lexemes) + 1, lexeme.end
            if not (self.is_comment or (lexeme.kind == "line" and lexeme.depth)):
                self._add(lexeme)
        self.at_end = bool(self.lexemes) and self.lexemes[-1].end == len(text)

    def _add(self, lexeme: Lexeme) -> None:
        at, sign = len(self.lexemes), lexeme.text if lexeme.kind == "sign" else ""
        self.lexemes.append(lexeme)
        if sign in CLOSERS:
            self.open.append(Bracket(sign, at, at))
            return
        if not self.open:
            return
        inner = self.open[-1]
        if sign in CLOSING:
            self.opener[at] = self.open.pop().at
        elif sign == ",":
            inner.before, inner.number, inner.keyword = at, inner.number + 1, ""
        elif sign == ":" and inner.sign == "{":
            inner.before, inner.keyword = at, ":"
        elif sign == "=" and inner.sign == "(" and inner.before == at - 2 and self.kind(at - 1) == "name":
            inner.before, inner.keyword = at, self.text(at - 1)
            inner.named |= {inner.keyword}

    def text(self, at: int) -> str:
        """Return a lexeme's text; an empty one before the beginning."""
        return self.lexemes[at].text if at >= 0 else ""

    def kind(self, at: int) -> str:
        """Return a lexeme's kind."""
        return self.lexemes[at].kind if at >= 0 else ""

    def is_operand(self, at: int) -> bool:
        """Return whether an expression ends with a lexeme: a bracket after it is a call or a subscript."""
        if self.kind(at) == "name":
            return not keyword.iskeyword(self.text(at))
        return self.kind(at) == "string" or self.text(at) in {")", "]", "}"}

    def table(self, end: int) -> tuple[str, int]:
        """Return the variable with the same columns as the expression before `end`, and where that begins."""
        at = end - 1
        while at >= self.line:
            if self.kind(at) == "name" and self.text(at - 1) != ".":
                return (self.text(at), at) if not keyword.iskeyword(self.text(at)) else ("", at)
            if self.kind(at) == "name" and self.text(at) in _ACCESSORS:
                at -= 2
                continue
            start = self.opener.get(at, -1)
            if self.text(at) == ")" and self.text(start - 1) in _KEEPING and self.text(start - 2) == ".":
                at = start - 3
            elif self.text(at) == "]" and self._selects_rows(start, at):
                at = start - 1
            else:
                break
        return "", at

    def parameter(self, name: str) -> tuple[str, frozenset[str]]:
        """Return the variable with the same columns as a lambda's parameter, and those that `assign` adds."""
        for call in reversed(self.open):
            first, method = call.before + 1, self.text(call.at - 1)
            if self.text(first) != "lambda" or self.text(first + 1) != name:
                continue
            adds = method == "assign"
            is_passed = method in _PASSING and (adds or not call.number)
            # The body may bind the name again, and a dictionary after `**` may add any column.
            is_bound = name in bindings(" ".join(lexeme.text for lexeme in self.lexemes[first + 3 :]))
            is_open = "**" in map(self.text, range(call.at, first))
            if not is_passed or is_bound or is_open or self.text(call.at - 2) + self.text(first + 2) != ".:":
                break
            return self.table(call.at - 2)[0], call.named - {call.keyword} if adds else _NONE
        return "", _NONE

    def arguments(self, call: Bracket) -> set[str]:
        """Return the complete arguments of a call that are single names."""
        at, found = len(self.lexemes) - 1, set[str]()
        while (at := self.opener.get(at - 1, at - 1)) > call.at:
            if self.text(at + 1) == "," and self.text(at - 1) in {"(", ",", "="}:
                found.add(self.text(at))
        return found

    def may_assign(self, start: int) -> bool:
        """Return whether the line may be about to assign to the expression that begins at a lexeme."""
        if len(self.open) > 1:
            return False
        for at in range(start - 1, self.line - 1, -1):
            if self.text(at) in _READS:
                return False
            if self.text(at) in {":", ";"}:
                break
        return True

    def _selects_rows(self, start: int, end: int) -> bool:
        """Return whether a subscript is a condition, so that its result has all columns."""
        inside = {*map(self.text, range(start, end))}
        return not _COMPARISONS.isdisjoint(inside) and not (
            self.text(start - 1) in _LOCATORS and "," in inside
        )


def statement_at(prefix: str) -> tuple[Statement, int]:
    """Return the statement at the cursor, and where its logical line begins."""
    text = prefix[-STATEMENT_LENGTH:]
    *_, start = 0, *(match.start() for match in _STATEMENT.finditer(text))
    is_cut = not start and len(text) < len(prefix)
    statement = _statement_of("" if is_cut else text[start:])
    return statement, len(prefix) - len(text) + start + statement.line_start


@cached_function(2**16)
def _statement_of(text: str) -> Statement:
    """Return the lexed statement: a request needs it for the scope and for the candidates."""
    return Statement(text)


def text_before_line(prefix: str) -> str:
    """Return the text before the cursor's logical line, completed so that it can be parsed."""
    _, line = statement_at(prefix)
    start = prefix.rfind("\n", 0, line) + 1
    indentation = len(prefix[start:]) - len(prefix[start:].lstrip(" \t"))
    return prefix[: start + indentation] + "pass"
