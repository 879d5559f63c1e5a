"""Repairs of cells that do not parse: a missing sign, indentation, or Python 2's print. Pure.

A repair is offered if it is the only one at the error that makes the cell parse, or the only one that does so
by one or two spaces at the start of a line.
"""

from __future__ import annotations

import re
from itertools import pairwise
from keyword import kwlist
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.analysis.languages import cell_language
from jupyter_turbopilot.analysis.lexer import CLOSERS, OPENERS, Lexeme, lex
from jupyter_turbopilot.analysis.parsed_cell import parses
from jupyter_turbopilot.protocol.fix import Fix
from jupyter_turbopilot.util.bounds import count_operations
from jupyter_turbopilot.util.syntax_tree import TooLongError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from jupyter_turbopilot.analysis.notebook import Notebook
    from jupyter_turbopilot.fixes.failed_cell import FailedCell

# The last one is the error of Python 3.13 for the end of a cell in brackets.
KINDS = ("SyntaxError", "IndentationError", "TabError", "_IncompleteInputError")
_MOST = 300_000  # characters parsed for one error
_LONGEST_LINE = 500
_NEAR = 2  # spaces by which a line is indented wrongly if several indentations parse
_LINES_ABOVE = 20  # whose indentation a line may have
_COMPOUND = {"if", "elif", "else", "for", "while", "def", "class", "try", "except", "finally", "with",
             "match", "case", "async"}  # fmt: skip
_CONDITIONS = {"if", "elif", "while", "assert", "and", "or", "not"}
_KEYWORDS = {*kwlist} - {"None", "True", "False"}
# The end of a string is before a sign or the end of the line, its start after a sign.
_QUOTABLE = re.compile(r"(?<!['\"])(?=\s{0,8}(?:[,)\]}.:+%*]|$))|(?<![^\s(\[{,=+])(?=[^\s'\"])")
# A subscript that lacks its bracket: it hardly contains an operation on a string or list.
_SUBSCRIPT = re.compile(
    r"""(?<=[\w)\]])\[(?P<key>(?P<string>"[^"]*+"|'[^']*+')|\[[^][]*+\])\s*+(?:[)=<>!*/&|-]|\.(?P<name>\w+)|#|$)"""
)
_INDENT = re.compile(r"[ \t]*")
_START = re.compile(r"\w+|[@]")


class _Repair(NamedTuple):
    """A replacement in the source."""

    start: int
    end: int
    text: str
    title: str
    confidence: float = 0.9
    is_near: bool = False  # whether it changes an indentation by few spaces

    def applied(self, source: str) -> str:
        return source[: self.start] + self.text + source[self.end :]


def find(failure: FailedCell) -> Iterator[Fix]:
    """Yield the repair of the failed cell, if exactly one is possible."""
    cell = failure.cells[failure.failed]
    source = cell.source or ""
    if failure.name not in KINDS or cell.changed or cell_language(source, "python") != "python":
        return
    error = _error(failure.notebook, source)
    if error is None or error.lineno is None:
        return
    repairs = _working(source, _ErrorLines(source, error))
    near = [repair for repair in repairs if repair.is_near]
    count_operations(len(repairs) * len(source) // 256)
    found = {repair.applied(source): repair for repair in near or repairs}
    if len(found) == 1:
        (repair,) = found.values()
        start, end, text, title, confidence, _ = repair
        edits = [failure.notebook.edit(failure.failed, start, end, text)]
        yield Fix(title=title, source="syntax", confidence=confidence, edits=edits, run=[failure.failed])


def _error(notebook: Notebook, source: str) -> SyntaxError | None:
    """Return the error of a cell; None if it parses or is too long."""
    try:
        notebook.tree(source)
    except TooLongError:
        return None
    except SyntaxError as error:
        return error
    return None


class _ErrorLines:
    """The lines around an error."""

    def __init__(self, source: str, error: SyntaxError) -> None:
        self.source = source
        self.lines = source.split("\n")
        self.message = error.msg
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.line = min(max((error.lineno or 1) - 1, 0), len(self.lines) - 1)
        self.above = self.code_above(self.line)
        self.below = next((n for n in range(self.line + 1, len(self.lines)) if self.lines[n].strip()), None)

    def code_above(self, number: int) -> int | None:
        """Return the nearest line of code above a line."""
        return next((n for n in range(number - 1, -1, -1) if self.lines[n].strip()), None)

    def nearby(self) -> Iterator[int]:
        """Yield the line of the error and the nearest lines of code above and below."""
        for number in (self.line, self.above, self.below):
            if number is not None and len(self.lines[number]) <= _LONGEST_LINE:
                yield number

    def lexemes(self, number: int) -> list[Lexeme]:
        """Return the lexemes of a line, with positions in the line, without a comment."""
        return [lexeme for lexeme in lex(self.lines[number]) if lexeme.kind != "comment"]

    def indentation(self, number: int) -> str:
        """Return the white space at the start of a line."""
        found = _INDENT.match(self.lines[number])
        return found[0] if found else ""


def _working(source: str, error: _ErrorLines) -> list[_Repair]:
    """Return the repairs after which the cell parses; none if there are too many to try."""
    top, bottom = _region(error)
    region, working, left = source[top:bottom], [], _MOST
    for repair in _repairs(error):
        moved = repair._replace(start=repair.start - top, end=repair.end - top)
        if not 0 <= moved.start <= moved.end <= len(region):
            continue
        left -= len(region)
        if left < 0:
            return []
        if parses(moved.applied(region)):
            working.append(repair)
    if working and not parses(working[0].applied(source)):
        return []
    return working


def _region(error: _ErrorLines) -> tuple[int, int]:
    """Return the start and end of the top-level statements around the error."""
    near = [*error.nearby()] or [error.line]
    top, bottom = max(0, min(near) - 1), max(near) + 1
    while top and not _begins_statement(error.lines[top]):
        top -= 1
    while bottom < len(error.lines) and not _begins_statement(error.lines[bottom]):
        bottom += 1
    return error.starts[top], min(error.starts[bottom], len(error.source))


def _begins_statement(line: str) -> bool:
    word = _START.match(line)
    return word is not None and word[0] not in {"else", "elif", "except", "finally"}


def _repairs(error: _ErrorLines) -> Iterator[_Repair]:
    """Yield the repairs that may suit, each with a position in the source."""
    if "indent" in error.message or "tabs" in error.message:
        yield from _indentations(error)
        return
    for number in error.nearby():
        start, line = error.starts[number], error.lines[number]
        lexemes = error.lexemes(number)
        if not lexemes:
            continue
        for repair in (
            *_prints(line, lexemes),
            *_colons(lexemes),
            *_conditions(lexemes),
            *_quotes(line, lexemes),
            *_brackets(line, lexemes),
            *_commas(lexemes),
        ):
            yield repair._replace(start=start + repair.start, end=start + repair.end)


def _prints(line: str, lexemes: list[Lexeme]) -> Iterator[_Repair]:
    """Add the parentheses of `print x`."""
    for one, other in pairwise(lexemes):
        if one.text == "print" and other.text != "(":
            end = lexemes[-1].end
            yield _Repair(one.end, end, f"({line[other.start : end]})", "Add parentheses to print?", 0.97)


def _colons(lexemes: list[Lexeme]) -> Iterator[_Repair]:
    """Add the colon of a compound statement."""
    if lexemes[0].text in _COMPOUND and lexemes[-1].text != ":":
        end = lexemes[-1].end
        yield _Repair(end, end, ":", "Add the missing ':'?")


def _conditions(lexemes: list[Lexeme]) -> Iterator[_Repair]:
    """Compare instead of assigning in a condition."""
    for n, lexeme in enumerate(lexemes):
        if lexeme.text == "=" and any(each.text in _CONDITIONS for each in lexemes[:n]):
            yield _Repair(lexeme.start, lexeme.end, "==", "Replace '=' with '=='?")


def _quotes(line: str, lexemes: list[Lexeme]) -> Iterator[_Repair]:
    """Close the string that ends with the line, or open the string that its quote closes."""
    last = lexemes[-1]
    quote = last.unclosed or (last.text if last.text in {'"', "'"} else "")
    if not quote or len(quote) > 1:
        return
    for match in _QUOTABLE.finditer(line):
        if match.start() > lexemes[0].start:
            yield _Repair(match.start(), match.start(), quote, "Add the missing quote?")


def _commas(lexemes: list[Lexeme]) -> Iterator[_Repair]:
    """Separate two adjacent values in brackets."""
    braces = 0
    for one, other in zip(lexemes, [*lexemes[1:], None], strict=True):
        braces += (one.text == "{") - (one.text == "}")
        if one.text not in OPENERS and not _is_value(one):
            continue
        if other is None:
            yield _Repair(one.end, one.end, ",", "Add the missing comma?")
        elif _is_value(other) or other.text in CLOSERS:
            if other.depth:
                yield _Repair(one.end, one.end, ",", "Add the missing comma?")
            if braces > 0:
                yield _Repair(one.end, one.end, ":", "Add the missing ':'?")


def _brackets(line: str, lexemes: list[Lexeme]) -> Iterator[_Repair]:
    """Add a bracket, or replace one of the wrong kind."""
    opened: list[Lexeme] = []
    for n, lexeme in enumerate(lexemes):
        if lexeme.text in CLOSERS:
            opened.append(lexeme)
        elif lexeme.text in OPENERS and opened and CLOSERS[opened[-1].text] == lexeme.text:
            opened.pop()
        elif lexeme.text in OPENERS:
            yield from _openers(lexemes[:n], OPENERS[lexeme.text])
            break
    subscript = _SUBSCRIPT.search(line)
    if subscript and not hasattr(str if subscript["string"] else list, subscript["name"] or ""):
        yield _Repair(subscript.end("key"), subscript.end("key"), "]", "Add the missing ']'?")
    elif opened:
        yield from _closers(lexemes, opened[-1], CLOSERS[opened[-1].text])


def _openers(lexemes: list[Lexeme], opener: str) -> Iterator[_Repair]:
    """Open a bracket between a name and the value after it."""
    for one, other in pairwise(lexemes):
        if one.kind == "name" and _is_value(one) and _is_value(other):
            yield _Repair(one.end, one.end, opener, f"Add the missing '{opener}'?")


def _is_value(lexeme: Lexeme) -> bool:
    return lexeme.kind in {"name", "number", "string"} and lexeme.text not in _KEYWORDS


def _closers(lexemes: list[Lexeme], opened: Lexeme, closer: str) -> Iterator[_Repair]:
    """Close a bracket wherever a value ends, except where its user would hardly have meant that."""
    at = next(n for n, lexeme in enumerate(lexemes) if lexeme is opened)
    before = [lexeme.text for lexeme in lexemes[:at]]
    is_print = before[-1:] == ["print"]
    is_statement = "=" not in before and before[:1] != ["return"] and not _COMPOUND.intersection(before[:1])
    is_single = "=" in before and "," not in before
    is_argument = closer == "]" and "(" in before  # another argument may follow
    for one, other in zip(lexemes[at:], [*lexemes[at + 1 :], None], strict=True):
        if other is not None and other.text == closer == "]":
            continue  # the same text as with a bracket after this one
        if other is not None and not (other.text == ":" and other is lexemes[-1]):
            if other.text in CLOSERS or one is opened or is_print:
                continue  # results are seldom called, and calls seldom lack arguments
            is_tuple = other.text == "," and (is_single or is_statement) and not is_argument
            is_operation = is_statement and other.text not in {".", ",", *OPENERS}
            if other.depth == opened.depth + 1 and (is_tuple or is_operation):
                continue
        yield _Repair(one.end, one.end, closer, f"Add the missing '{closer}'?")


def _indentations(error: _ErrorLines) -> Iterator[_Repair]:
    """Indent a line like its neighbours."""
    number, lines, above = error.line, error.lines, error.above
    own = error.indentation(number)
    if above is None:
        wanted = {""}
    elif error.message == "unexpected indent" and above and error.indentation(above - 1) == own:
        number, wanted = above, {own}
    elif "expected an indented block" in error.message:
        wanted = _block(error, above)
    elif "tabs" in error.message:
        wanted = {own.replace("\t", "    "), error.indentation(above)}
    else:
        first = max(0, number - _LINES_ABOVE)
        wanted = {
            error.indentation(n) for n in range(first, number + 2) if n < len(lines) and lines[n].strip()
        }
        yield from _first_lines(error, above)
    yield from _indented(error, number, wanted)


def _first_lines(error: _ErrorLines, above: int) -> Iterator[_Repair]:
    """Indent the first line of a block, above the line of the error, like the lines after it."""
    head, own, below = error.code_above(above), error.indentation(error.line), error.below
    if head is None or below is None or error.indentation(below) != own:
        return
    if len(error.indentation(head)) < len(error.indentation(above)):
        yield from (repair for repair in _indented(error, above, {own}) if repair.is_near)


def _indented(error: _ErrorLines, number: int, wanted: AbstractSet[str]) -> Iterator[_Repair]:
    """Yield the repairs that give a line other indentations."""
    own, start = error.indentation(number), error.starts[number]
    for indentation in sorted(wanted - {own}):
        is_near = abs(len(indentation) - len(own)) <= _NEAR and "\t" not in own + indentation
        title = "Replace tabs with spaces?" if "\t" in own else f"Indent line {number + 1}?"
        if len(indentation) < len(own) and "\t" not in own:
            title = f"Unindent line {number + 1}?"
        yield _Repair(start, start + len(own), indentation, title, is_near=is_near)


def _block(error: _ErrorLines, above: int) -> set[str]:
    """Return the indentation of the only line of a block, or of its first line if others follow."""
    own, head, below = error.indentation(error.line), error.indentation(above), error.below
    unit = "\t" if "\t" in "".join(map(error.indentation, range(len(error.lines)))) else "    "
    if below is None or (below > error.line + 1 and len(error.indentation(below)) <= len(own)):
        return {head + unit}
    following = error.indentation(below)
    if len(following) > len(own):
        is_head = error.lines[error.line].rstrip().endswith(":")
        return {head + unit} if is_head else {following}
    is_like_next = _begins_statement(error.lines[below].lstrip()) and len(following) == len(own)
    return set() if is_like_next else {head + unit}
