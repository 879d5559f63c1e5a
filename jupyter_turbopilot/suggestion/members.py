"""Members of objects in R: the position behind `df$`. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.context.languages import cell_language
from jupyter_turbopilot.suggestion.syntax import lex
from jupyter_turbopilot.util.bounds import LINE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_turbopilot.protocol.request import Completion

_MEMBER = re.compile(r"(?<![\w.$@:`])(?P<code>(?P<name>[^\W\d][\w.]*+)[$@])(?P<typed>`[^`]*+|[\w.]*+)$")

# Assignments to an object or a part of it: the object is on the left.
_ASSIGNED = re.compile(r"^(.*)(?:<-|:=|%<>%)", re.MULTILINE)
_INNER = r"[(\[][^()\[\]\n]*+[)\]]"
_OUTER = rf"[(\[](?:[^()\[\]\n]++|{_INNER})*+[)\]]"
# An `=` in brackets belongs to an argument or a comparison.
_EQUATED = re.compile(rf"^((?:[^()\[\]=\n]++|{_OUTER})++)=(?!=)", re.MULTILINE)
# Functions of data.table whose names begin with "set" change a table in place.
_ASSIGNED_TO = re.compile(r"(?:->>?|\bset\w*+\()\s*+([\w.]++)")
_PARAMETERS = re.compile(r"(?:\bfunction[ \t]*+|\\)\(((?:[^()]++|\([^()]*+\))*+)")
_LOOP = re.compile(r"\bfor[ \t]*+\([ \t]*+([\w.]++)")
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
    waiting = [
        each.source
        for number, each in enumerate(request.cells)
        if each.type == "code" and number != request.active and each.executed is not True
    ]
    # The target of the cursor's own statement still has its old members.
    above = prefix[: max(prefix.rfind("\n"), prefix.rfind(";")) + 1]
    changed = _names((_ASSIGNED, _EQUATED, _ASSIGNED_TO), above, *waiting)
    if found["name"] in changed or found["name"] in _names((_PARAMETERS, _LOOP), prefix):
        return None
    return Member(found["code"], found["typed"], must_exist)


def _names(patterns: Iterable[re.Pattern[str]], *sources: str) -> set[str]:
    """Return the names in the groups of all matches."""
    groups = (group for pattern in patterns for source in sources for group in pattern.findall(source))
    return {name for group in groups for name in _NAME.findall(group)}
