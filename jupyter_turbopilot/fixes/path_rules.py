"""Rules for edits of a part of different paths, such as a folder or an extension. Pure."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_turbopilot.analysis.parsed_cell import identifiers_in
from jupyter_turbopilot.fixes.roles import Role
from jupyter_turbopilot.fixes.rules import SIMPLE_STRING, Occurrence, Rule
from jupyter_turbopilot.util.bounds import common_prefix_length, count_operations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.fixes.changes import Change
    from jupyter_turbopilot.fixes.roles import Steps
    from jupyter_turbopilot.fixes.structures import StructuredCell

    Parts = tuple[str, ...]  # words and signs of a path

_LONGEST = 200  # characters of a path
_EXTENSION = re.compile(r"[A-Za-z]\w{0,9}")
_PART = re.compile(r"\w+|\W")
_PLAIN = frozenset("._-")  # signs in the name of a file


class _Edit(NamedTuple):
    """A path with its edited parts, and those on both sides."""

    left: Parts
    removed: Parts
    added: Parts
    right: Parts


@dataclass(frozen=True)
class _PathRule(Rule):
    """An edit of a part of paths."""

    edits: tuple[_Edit, _Edit]
    roles: frozenset[Steps]

    def occurrences(self, cell: StructuredCell) -> Iterator[Occurrence]:
        """Yield the occurrences in a cell."""
        count_operations(len(cell.nodes))
        for node in cell.nodes:
            path = _path(node)
            text = cell.text(node) if path else ""
            if not SIMPLE_STRING.fullmatch(text) or (new := self._changed(path)) is None:
                continue
            steps = Role(cell, node).steps
            if steps in self.roles or _of_any_owner(steps) in self.roles:
                structure = cell.structures.id_of((ast.Constant, str, new), ())
                yield Occurrence(node, *cell.bounds(node), (f"{text[0]}{new}{text[0]}",), (structure,))

    def _changed(self, path: str) -> str | None:
        """Return the new path if a part can be edited as in the examples, and only one."""
        parts, (one, other), width = (*_PART.findall(path),), self.edits, len(self.edits[0].removed)
        positions = range(len(parts) - width + 1)
        if one.left == other.left:
            positions = positions[len(one.left) :][:1]
        elif one.right == other.right:
            positions = positions[: max(0, len(positions) - len(one.right))][-1:]
        found = []
        for at in positions:
            count_operations(1 + len(parts) // 4)
            left, right = parts[:at], parts[at + width :]
            if (
                parts[at : at + width] == one.removed
                and _is_alike(left, one.left, other.left)
                and _is_alike(right, one.right, other.right)
            ):
                found.append((left, right))
        if len(found) != 1 or not _signs(*found[0]) <= _signs(one.left, one.right, other.left, other.right):
            return None
        ((left, right),) = found
        return "".join((*left, *one.added, *right))


def path_rule(first: Change, last: Change) -> Rule | None:
    """Return the rule of the same edit in two paths, or None."""
    pairs = [(_path(change.old[0]), _path(change.new[0])) for change in (first, last)]
    if pairs[0][0] == pairs[1][0] or not all(_is_path(path) for pair in pairs for path in pair):
        return None
    roles = first.role, last.role
    steps = frozenset(role.steps for role in roles)
    if len(steps) > 1:
        steps = frozenset(map(_of_any_owner, steps))
    if len(steps) > 1 or any(step[0] == "key" for each in steps for step in each):
        return None
    for is_left_first in (False, True):
        one, other = (_edit(*pair, is_left_first=is_left_first) for pair in pairs)
        is_anchored = one.removed or one.left == other.left or one.right == other.right
        if is_anchored and (one.removed, one.added) == (other.removed, other.added):
            is_exact = roles[0].steps in steps
            names = frozenset(role.root for role in roles if role.root and is_exact)
            used = frozenset.intersection(*(identifiers_in(role.path) for role in roles))
            used |= identifiers_in("".join(one.removed))
            return _PathRule("path", first, last, names, used, "", (one, other), steps)
    return None


def _path(node: ast.AST) -> str:
    """Return the string of a node, or an empty one if there is none, or a longer one than a path."""
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) and len(value) <= _LONGEST else ""


def _edit(old: str, new: str, *, is_left_first: bool) -> _Edit:
    """Return the only edit that turns a path into another one."""
    before, after = ((*_PART.findall(path),) for path in (old, new))
    shortest, left, right = min(len(before), len(after)), 0, 0
    if is_left_first:
        left = common_prefix_length(before, after)
    right = min(common_prefix_length(before[::-1], after[::-1]), shortest - left)
    if not is_left_first:
        left = min(common_prefix_length(before, after), shortest - right)
    ends = len(before) - right, len(after) - right
    return _Edit(before[:left], before[left : ends[0]], after[left : ends[1]], before[ends[0] :])


def _is_alike(parts: Parts, one: Parts, other: Parts) -> bool:
    """Return whether parts are the same as in both examples, or begin and end as both do."""
    if one == other:
        return parts == one
    begin = common_prefix_length(one, other)
    end = common_prefix_length(one[begin:][::-1], other[begin:][::-1])
    return (
        len(parts) > begin + end
        and parts[:begin] == one[:begin]
        and parts[len(parts) - end :] == one[len(one) - end :]
    )


def _signs(*parts: Parts) -> frozenset[str]:
    """Return the signs that tell a folder or an address from the name of a file."""
    return frozenset(sign for each in parts for sign in each if not sign[0].isalnum()) - _PLAIN


def _of_any_owner(steps: Steps) -> Any:
    """Return a role in a method without its object, or as an assigned value without the variable."""
    *inner, last = steps
    if last[0] == "argument":
        name = last[2].rpartition(".")[2]
        return (*inner, (*last[:2], f".{name}" if name != last[2] else name))
    return (*inner, last[:1])


def _is_path(text: str) -> bool:
    """Return whether a text has a folder or an extension."""
    stem, _, extension = text.rpartition(".")
    has_extension = _EXTENSION.fullmatch(extension) and (stem[-1:].isalnum() or stem[-1:] == "_")
    return not any(map(str.isspace, text)) and ("/" in text or bool(has_extension))
