"""Members of objects in R: the position behind `df$`. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.analysis.languages import cell_language
from jupyter_turbopilot.analysis.lexer import lex
from jupyter_turbopilot.util.bounds import LINE, LONGEST_CELL, MOST_CODE, cached_function, count_operations

if TYPE_CHECKING:
    from jupyter_turbopilot.protocol.request import Completion

_MEMBER = re.compile(r"(?<![\w.$@:`])(?P<code>(?P<name>[^\W\d][\w.]*+)[$@])(?P<typed>`[^`]*+|[\w.]*+)$")

# Assignments to an object or a part of it: the object is on the left.
_ASSIGNED = re.compile(r"^(.*)(?:<-|:=|%<>%)", re.MULTILINE)
_INNER = r"[(\[][^()\[\]\n]*+[)\]]"
_OUTER = rf"[(\[](?:[^()\[\]\n]++|{_INNER})*+[)\]]"
# An `=` in brackets belongs to an argument or a comparison.
_EQUATED = re.compile(rf"^((?:[^()\[\]=\n]++|{_OUTER})++)=(?!=)", re.MULTILINE)
# A name before a sign may be an argument, whose name is then seldom that of the object.
_TARGET = re.compile(r"(?<![\w.])([\w.]++)\s*+(?:<<?-|=(?!=))")
# Functions of data.table whose names begin with "set" change a table in place.
_ASSIGNED_TO = re.compile(r"(?:->>?|\b(?:set\w*+|assign|rm|data)\()\s*+[\"']?([\w.]++)")
_PARAMETERS = re.compile(r"(?:\bfunction[ \t]*+|\\)\(((?:[^()]++|\([^()]*+\))*+)")
_LOOP = re.compile(r"\bfor[ \t]*+\([ \t]*+([\w.]++)")
_ASSIGNMENTS, _BINDINGS = (_ASSIGNED, _EQUATED, _TARGET, _ASSIGNED_TO), (_PARAMETERS, _LOOP)
_NAME = re.compile(r"[\w.]++")
# The text before the target of an assignment.
_BEFORE_TARGET = re.compile(r"(?:^|[;{})]|->>?|\b(?:else|repeat))\s*+$")


class Member(NamedTuple):
    """The member that is being typed."""

    code: str  # the object and the operator, such as `df$`
    typed: str
    must_exist: bool  # whether the line cannot be about to assign a new one


def member_at(request: Completion) -> Member | None:
    """Return the member at the cursor, unless the object may have other members than in the kernel."""
    cell, prefix = request.cells[request.active], request.prefix
    line = prefix.rpartition("\n")[2]
    if cell.type != "code" or cell_language(cell.source, request.language) != "r" or len(line) > LINE:
        return None
    found = _MEMBER.search(line)
    if found is None or [*lex(line)][-1].kind in {"comment", "string"}:
        return None
    must_exist = not _BEFORE_TARGET.search(line[: found.start()])
    if not (found["typed"] or must_exist):
        return None
    # Any cell that has not run may assign to the object before the active one runs.
    waiting = [
        each.source
        for number, each in enumerate(request.cells)
        if each.type == "code" and number != request.active and each.executed is not True
    ]
    before = prefix[: len(prefix) - len(found[0])]  # without the member: typing it keeps the cached names
    # The target of the cursor's own statement still has its old members.
    above = before[: max(before.rfind("\n"), before.rfind(";")) + 1]
    code = [*map(len, (before, *waiting))]
    if max(code) > LONGEST_CELL or sum(code) > MOST_CODE:
        return None
    changed = any(found["name"] in _names(_ASSIGNMENTS, source) for source in (above, *waiting))
    if changed or found["name"] in _names(_BINDINGS, before):
        return None
    return Member(found["code"], found["typed"], must_exist)


# More than the names of `MOST_CODE` characters: keystrokes do not change most cells.
@cached_function(2**23)
def _names(patterns: tuple[re.Pattern[str], ...], source: str) -> frozenset[str]:
    """Return the names in the groups of all matches."""
    count_operations(len(source) // 8)
    groups = (group for pattern in patterns for group in pattern.findall(source))
    return frozenset(name for group in groups for name in _NAME.findall(group))
