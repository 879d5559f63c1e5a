"""Candidates for the name that is being typed: the columns or attributes. Pure."""

from __future__ import annotations

import re
from itertools import islice
from os.path import commonprefix
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.analysis.column_changes import changed_columns
from jupyter_turbopilot.analysis.languages import as_python, cell_language, is_command
from jupyter_turbopilot.analysis.lexer import lex, open_field, scan
from jupyter_turbopilot.analysis.library_facts import methods, names_columns, parameters
from jupyter_turbopilot.analysis.members import member_at
from jupyter_turbopilot.analysis.resolve import BINDS, Scope, bindings, is_attribute
from jupyter_turbopilot.analysis.statements import STATEMENT_LENGTH, Statement, statement_at
from jupyter_turbopilot.util.bounds import LINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jupyter_turbopilot.analysis.members import Member
    from jupyter_turbopilot.analysis.statements import Bracket
    from jupyter_turbopilot.protocol.request import Completion

MOST_LABELS = 32  # strings of a text that are checked: each check lexes the statement before it
TYPED = 2  # characters of a label after which an existing column is more likely than a new one
MOST_NAMES = 300  # names after a bare dot: finding the allowed tokens takes a millisecond for each 200
_NONE: frozenset[str] = frozenset()
_BINDS = re.compile(rf"\b(?:{'|'.join(sorted(BINDS))})\b|:=|;")
_TARGET = re.compile(r"^\s*+[^\W\d]\w*+ *+=(?!=)")
_OPERAND = re.compile(r"(?:^|[(&|~]|\b(?:and|or|not)\b)\s*+(?P<typed>[^\W\d]\w*+)$")
# Characters that must be escaped in a string: quotes, control and bidirectional formatting characters.
_ESCAPED = re.compile(r"[\"'\\\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_SIGNS = frozenset("'\".")  # a line without any of these contains no position
QUOTES = frozenset("'\"")
_AFTER_LABEL = frozenset(["", *",:)]}"])  # the ends of an element of a list or of an argument
_MEMBER_NAME = re.compile(r"[\w.]++|`[^`\\]++`")  # a quoted name in R ends at the next backtick
# Signs that may follow a member in R. Without them, the model would continue the word.
_AFTER_MEMBER = "\n $(),:;[]}+-*/^<>=!&|~%"
_QUERY_WORDS = frozenset({"index", "not", "True", "False"})  # words of a query that are no columns
_AGGREGATING, _WITH_LEVELS = methods("aggregates"), methods("levels")
_CONDITIONS, _LOCATORS = methods("condition"), methods("locates")
_COLUMNS, _TABLES = parameters("column"), parameters("table")


class Candidates(NamedTuple):
    """The texts of which one must follow the cursor. Without names, there is no prefix constraint."""

    names: Sequence[str] = ()
    must_exist: bool = False  # whether a new name is unlikely, so that their common beginning is certain
    ends: Sequence[str] = ("",)  # the signs of which one follows the name
    table: str = ""  # the variable whose columns the names are, if it is certain
    closer: str = ""  # the bracket that must follow

    @property
    def texts(self) -> Sequence[str]:
        """The names with their ends."""
        return [name + end for name in self.names for end in self.ends]

    @property
    def certain_prefix(self) -> str:
        """The single candidate or the common beginning of all, if no other text could follow."""
        return commonprefix(self.names) if self.must_exist else ""  # noqa: RUF071 - the names are no paths


NO_CANDIDATES = Candidates()


class _Position(NamedTuple):
    """The names that can be written at the cursor, and the part that is typed."""

    names: frozenset[str]
    typed: str
    end: str = ""  # the text after the name
    must_exist: bool = True
    table: str = ""  # the variable whose columns the names are, if it is certain
    closer: str = ""  # the bracket that must follow


def names_at(request: Completion, scope: Scope) -> Candidates:
    """Return the possible continuations of the name that is being typed, if they are known."""
    if scope == Scope():
        return NO_CANDIDATES
    if member := member_at(request):
        return _members(member, scope.attributes.get(member.code, _NONE))
    found = at_cursor(request, scope, _SIGNS)
    position = _position(*found) if found else None
    if position is None or is_in_long_string(request.prefix):
        return NO_CANDIDATES
    return _candidates(position, request.suffix)


def at_cursor(
    request: Completion, scope: Scope, signs: frozenset[str], rest: str = ""
) -> tuple[Statement, Scope] | None:
    """Return the statement at the cursor in Python, and the scope without the names that the cell binds.

    None if the line contains none of the signs. `rest`: the text after the cursor that may bind names.
    """
    prefix = request.prefix
    current = prefix.rpartition("\n")[2]
    if not is_in_python(request) or is_command(current) or signs.isdisjoint(current):
        return None
    statement, line = statement_at(prefix)
    if statement.is_comment or not statement.at_end:
        return None
    above = bindings(prefix[:line]) - scope.from_files
    return statement, scope.without(above | _bound_in_line(prefix[line:] + rest))


def is_in_python(request: Completion) -> bool:
    """Return whether the cursor is in a line of Python that is not too long."""
    cell = request.cells[request.active]
    is_python = cell.type == "code" and cell_language(cell.source, request.language) == "python"
    return is_python and len(request.prefix.rpartition("\n")[2]) <= LINE


def _bound_in_line(line: str) -> frozenset[str]:
    """Return the names that the cursor's line binds; the target of its assignment still has the old value."""
    if ";" not in line:
        target = _TARGET.match(line)
        line = line[target.end() :] if target else line
    return bindings(line) if _BINDS.search(line) else _NONE


def _members(member: Member, names: frozenset[str]) -> Candidates:
    """Return the possible continuations of a member of an object in R."""
    valid = (name for name in names if name.startswith(member.typed) and _MEMBER_NAME.fullmatch(name))
    rests = [name.removeprefix(member.typed) for name in valid if name.isprintable()]
    if member.typed in names or len(rests) > MOST_NAMES:
        return NO_CANDIDATES
    return Candidates(sorted(rests), member.must_exist, _AFTER_MEMBER)


def strings_in(prefix: str, text: str) -> Iterator[tuple[Statement, str, bool, str]]:
    """Yield the strings without escapes in a text: the statement before, the content, whether it is open.

    The last item is the code after the string.
    """
    before = prefix[-STATEMENT_LENGTH:]
    start = before.rfind("\n") + 1
    line = before[start:]
    strings = (each for each in lex(line + text) if each.kind == "string" and each.end > len(line))
    for lexeme in islice(strings, MOST_LABELS):
        content = lexeme.text.strip(lexeme.text[0])
        statement, _ = statement_at((before + text)[: start + lexeme.start + 1])
        if lexeme.text[0] in QUOTES and "\\" not in content and statement.at_end:
            yield statement, content, bool(lexeme.unclosed), (line + text)[lexeme.end :].lstrip()


def lines_above(prefix: str, text: str) -> str:
    """Return the code of the cursor's line and a text, without the last line of it."""
    above, newline, _ = text.rpartition("\n")
    return prefix[-STATEMENT_LENGTH:].rpartition("\n")[2].lstrip() + above if newline else ""


def lacks_column(prefix: str, text: str, scope: Scope) -> bool:
    """Return whether a text names a column that its table certainly lacks."""
    if above := lines_above(prefix, text):
        scope = scope.without(frozenset(table for table, _ in changed_columns(above)))
    for statement, label, is_open, rest in strings_in(prefix, text):
        position = _position(statement, scope) if rest[:1] in _AFTER_LABEL else None
        if not (position and position.table and position.end):
            continue
        # A list of new columns may be about to be assigned, but not if an attribute of it is read.
        may_assign = statement.open[0].at == statement.line + 1 and statement.open[0].sign == "["
        if (may_assign or not position.must_exist) and not rest.lstrip("]").startswith("."):
            continue
        begins = any(name.startswith(label) for name in position.names)
        if not (begins if is_open else label in position.names):
            return True
    return False


def _candidates(position: _Position, suffix: str) -> Candidates:
    names, typed, end, must_exist, *more = position
    if end:
        names = frozenset(label for label in names if not _ESCAPED.search(label))
        if not (typed or must_exist or suffix.strip(f"{end}]")):
            return NO_CANDIDATES  # a new column may be about to be assigned
        must_exist = must_exist or len(typed) >= TYPED
    else:
        names = frozenset(filter(is_attribute, names))
        if not names or typed in names or (not typed and len(names) > MOST_NAMES):
            return NO_CANDIDATES  # the name may be complete, or there are too many
    texts = sorted(name[len(typed) :] + end for name in names if name.startswith(typed))
    if not (typed or end):
        texts.append("_")  # the kernel context contains no private names
    return Candidates(texts, must_exist, ("",), *more)


def _position(statement: Statement, scope: Scope) -> _Position | None:
    last = len(statement.lexemes) - 1
    lexeme = statement.lexemes[last]
    if lexeme.kind == "string":
        return _in_string(statement, scope)
    if lexeme.kind == "name" and statement.text(last - 1) == ".":
        return _attribute(statement, scope, last - 1, lexeme.text)
    if lexeme.text == ".":
        return _attribute(statement, scope, last, "")
    return None


def _attribute(statement: Statement, scope: Scope, dot: int, typed: str) -> _Position | None:
    base = statement.text(dot - 1)
    if statement.kind(dot - 1) != "name" or statement.text(dot - 2) == "." or base not in scope.attributes:
        return None
    if statement.text(statement.line) in {"from", "import"}:
        return None  # a module may not be an attribute yet
    # The line may assign a new attribute; tables seldom get any.
    new = base not in scope.columns and statement.may_assign(dot - 1)
    return _Position(scope.attributes[base], typed, must_exist=not new)


def _in_string(statement: Statement, scope: Scope) -> _Position | None:
    last = len(statement.lexemes) - 1
    literal = statement.lexemes[last]
    if literal.unclosed and (code := open_field(literal)):
        field = Statement(f"({code}")
        return _position(field, scope) if field.at_end else None
    quote, typed = literal.text[0], literal.text[1:]
    bracket = statement.open[-1] if statement.open else None
    if bracket is None or bracket.before != last - 1 or literal.unclosed != quote or "\\" in typed:
        return None
    if not statement.is_operand(bracket.at - 1):
        position = _in_display(statement, scope, bracket)
    elif (position := _labels(statement, scope, bracket, "")) is None:
        return _in_query(statement, scope, bracket, typed)
    closer = "]" if bracket.sign == "[" and statement.is_operand(bracket.at - 1) else ""
    return position and position._replace(typed=typed, end=quote, closer=closer)


def _in_display(statement: Statement, scope: Scope, display: Bracket) -> _Position | None:
    """Return the columns in a list, a tuple, or the keys of a dictionary, without those already listed."""
    if display.keyword:
        return None
    inside = range(display.at + 1, len(statement.lexemes) - 1)
    listed = {statement.text(at)[1:-1] for at in inside if statement.kind(at) == "string"}
    outer = statement.open[-2] if len(statement.open) > 1 else None
    position = None
    if outer and outer.before == display.at - 1 and not (display.sign == "(" and display.number):
        position = _labels(statement, scope, outer, display.sign)
    if position is None and display.sign == "[" and display.number == len(listed) > 0:
        # A list that begins with columns of a table continues with them.
        position = _of_tables(labels for labels in scope.columns.values() if labels >= listed)
    return position and position._replace(names=position.names - listed)


def _of_tables(columns: Iterable[frozenset[str]]) -> _Position | None:
    """Return a position with the columns of several tables; None without tables."""
    names = _NONE.union(*columns)
    return _Position(names, "") if names else None


def _selected(statement: Statement, scope: Scope, bracket: Bracket, display: str) -> _Position | None:
    """Return the columns that can be written in a subscript."""
    if display in {"{", "("} or bracket.number != (statement.text(bracket.at - 1) in _LOCATORS):
        return None
    base, start = statement.table(bracket.at - 2 if bracket.number else bracket.at)
    is_direct = bracket.at - start == (3 if bracket.number else 1)
    new = is_direct and not display and statement.may_assign(start)
    if base in scope.columns:
        return _Position(scope.columns[base], "", must_exist=not new, table=base)
    table, added = statement.parameter(base)
    return _Position(scope.columns[table] | added, "") if table in scope.columns else None


def _labels(statement: Statement, scope: Scope, bracket: Bracket, display: str) -> _Position | None:
    """Return the columns that can be written in a bracket: alone, or in the display with a sign."""
    if bracket.sign == "[":
        return _selected(statement, scope, bracket, display)
    before = bracket.at - 1
    if bracket.sign != "(" or statement.kind(before) != "name":
        return None
    method, argument = statement.text(before), bracket.keyword or str(bracket.number)
    base = statement.table(before - 1)[0] if statement.text(before - 1) == "." else ""
    if base not in scope.columns:
        # Functions such as `sns.lineplot` receive the table as an argument, maybe as a later one.
        tables = statement.arguments(bracket) & scope.columns.keys()
        is_other = not tables and not _TABLES.isdisjoint(bracket.named)
        if argument not in _COLUMNS or display == "{" or is_other:
            return None
        return _of_tables(_with_levels(scope, table) for table in tables or scope.columns)
    # A named aggregation: `total=("price", "sum")`.
    is_aggregation = display == "(" and method in _AGGREGATING and bracket.keyword
    if not is_aggregation and not names_columns(method, argument, is_dict=display == "{"):
        is_of_other = display != "{" and names_columns(method, argument, of_other=True)
        others = statement.arguments(bracket) & scope.columns.keys() if is_of_other else _NONE
        return _of_tables(_with_levels(scope, other) for other in others)
    names = _with_levels(scope, base) if method in _WITH_LEVELS else scope.columns[base]
    return _Position(names, "", table=base)


def _with_levels(scope: Scope, table: str) -> frozenset[str]:
    """Return the names of the columns and the index levels of a table."""
    return scope.columns[table] | scope.levels.get(table, _NONE)


def _in_query(statement: Statement, scope: Scope, call: Bracket, text: str) -> _Position | None:
    """Return the columns at the beginning of a condition in a query."""
    before = call.at - 1
    if (
        call.sign != "("
        or call.number
        or statement.text(before - 1) != "."
        or statement.text(before) not in _CONDITIONS
    ):
        return None
    base, operand = statement.table(before - 1)[0], _OPERAND.search(text)
    is_quoted = any(text.count(quote) % 2 for quote in "'\"")
    if base not in scope.columns or not operand or is_quoted:
        return None
    return _Position(_with_levels(scope, base) | _QUERY_WORDS, operand["typed"])


def is_in_long_string(prefix: str) -> bool:
    """Return whether a triple-quoted string is open at the end."""
    return ('"""' in prefix or "'''" in prefix) and len(scan(as_python(prefix)).quote) > 1
