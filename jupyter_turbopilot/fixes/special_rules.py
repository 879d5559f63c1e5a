"""Rules for edits that add or remove arguments, and of a part of paths, such as a folder. Pure."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_turbopilot.analysis.parsed_cell import identifiers_in
from jupyter_turbopilot.fixes.patterns import LONGEST_TEXT, Hole, Match, Node, opened, pattern_of
from jupyter_turbopilot.fixes.rules import SIMPLE_STRING, Occurrence, Rule, names_in
from jupyter_turbopilot.fixes.structures import PART, Role, is_alike, path_of
from jupyter_turbopilot.util.bounds import changed_region, common_prefix_length, count_operations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.fixes.changes import Change
    from jupyter_turbopilot.fixes.patterns import Pattern
    from jupyter_turbopilot.fixes.structures import Steps, StructuredCell, Structures

    _Arguments = Sequence[ast.expr | ast.keyword]
    _Parts = tuple[str, ...]  # words and signs of a path

_LONGEST_PATH = 200  # characters of a path
_EXTENSION = re.compile(r"[A-Za-z]\w{0,9}")
_PART = re.compile(r"\w+|\W")
_PLAIN = frozenset("._-")  # signs in the name of a file


# Arguments -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _ArgumentRule(Rule):
    """An edit that adds or removes arguments."""

    paths: frozenset[Steps]  # of the functions
    method: Pattern | None  # of the functions if they are the same method of several objects
    stars: frozenset[bool]  # whether the arguments before the edit contain a starred one
    removed: Sequence[int]  # structure ids
    added: Sequence[ast.expr | ast.keyword]
    count: int | None  # of positional arguments before the edit, if it changes it

    def occurrences(self, cell: StructuredCell) -> Iterator[Occurrence]:
        """Yield the occurrences in a cell."""
        count_operations(len(cell.nodes))
        for call in cell.nodes:
            match = Match(cell)
            if (
                isinstance(call, ast.Call)
                and _is_starred(call.args) in self.stars
                and (is_alike((path_of(call.func)[0],), self.paths) or self._is_method(match, call.func))
            ):
                structures = cell.ids_of(call.keywords)
                given = {each.arg for each in call.keywords}
                if self.count is not None:
                    at = self.count - len(self.removed)
                    if len(call.args) == self.count and cell.ids_of(call.args[at:]) == self.removed:
                        yield self._occurrence(cell, call, at, match)
                elif not self.added:
                    for at in range(len(structures) - len(self.removed) + 1):
                        if structures[at : at + len(self.removed)] == self.removed:
                            yield self._occurrence(cell, call, len(call.args) + at, match)
                elif None not in given and given.isdisjoint(map(_keyword, self.added)):
                    yield self._occurrence(cell, call, len(call.args) + len(structures), match)

    def _is_method(self, match: Match, function: ast.expr) -> bool:
        return self.method is not None and match.add(self.method, function)

    def _occurrence(self, cell: StructuredCell, call: ast.Call, at: int, match: Match) -> Occurrence:
        """Return the occurrence in a call; its text has the argument beside the changed ones."""
        added, example = self.added, self.last.after
        items: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
        rest = at + len(self.removed)
        text = example.source[example.bounds(added[0])[0] : example.bounds(added[-1])[1]] if added else ""
        if at:
            start, end = cell.bounds(items[at - 1])[0], cell.bounds(items[rest - 1])[1]
            text = cell.text(items[at - 1]) + (f", {text}" if added else "")
        elif rest < len(items):
            start, end = cell.bounds(items[0])[0], cell.bounds(items[rest])[1]
            text = cell.text(items[rest])
        else:
            start, end, text = cell.bounds(call.func)[1], cell.bounds(call)[1], f"({text})"
        parts = cell.ids_of([call.func, *items])
        parts[at + 1 : rest + 1] = example.ids_of(added)
        positional = len(call.args)
        if self.count is not None:
            positional += len(added) - len(self.removed)
        label = ast.Call, PART, (PART,) * positional, (PART,) * (len(parts) - positional - 1)
        count_operations((end - start) // 16)
        structure = cell.structures.id_of(label, tuple(parts))
        return Occurrence(call, start, end, (text[: LONGEST_TEXT + 1],), (structure,), owners=match.owners)


def argument_rule(first: Change, last: Change) -> Rule | None:
    """Return the rule of two calls with the same added or removed arguments, or None."""
    differences = [_difference(each) for each in (first, last)]
    structures = [
        [change.before.ids_of(removed), change.after.ids_of(added)]
        for change, (removed, added) in zip((first, last), differences, strict=True)
    ]
    removed, added = differences[1]
    if (
        structures[0] != structures[1]
        or bool(removed) == bool(added)
        or any(_keyword(each) is None for each in (*removed, *added) if isinstance(each, ast.keyword))
    ):
        return None
    count = None
    if not isinstance((*removed, *added)[0], ast.keyword):
        arguments = [getattr(change.old[0], "args", []) for change in (first, last)]
        count, other = map(len, arguments)
        # The pattern of equal arguments is more specific.
        if count != other or first.before.ids_of(arguments[0]) == last.before.ids_of(arguments[1]):
            return None
    calls = [(change.before, call) for change in (first, last) if isinstance(call := change.old[0], ast.Call)]
    functions = [path_of(call.func) for _, call in calls]
    names = frozenset(root for _, root in functions) | names_in(added)
    used = frozenset.intersection(*(identifiers_in(path) for path, _ in functions))
    paths: frozenset[Steps] = frozenset((path,) for path, _ in functions)
    stars = frozenset(_is_starred(call.args) for _, call in calls)
    method = _method([cell.structure_of[call.func] for cell, call in calls], last.after.structures)
    return _ArgumentRule(
        "argument", first, last, names, used, "", paths, method, stars, structures[1][0], added, count
    )


def _method(functions: Sequence[int], structures: Structures) -> Pattern | None:
    """Return the pattern of a method of two objects, or None."""
    found = pattern_of(functions[0], functions[-1], structures, {})
    if not isinstance(found, Node) or found.label[0] is not ast.Attribute or isinstance(found.parts[1], Hole):
        return None
    return opened(found, found, found, structures)


def _difference(change: Change) -> tuple[_Arguments, _Arguments]:
    """Return the arguments that were removed from a call, and those that were added.

    None of both: something else was changed, too.
    """
    (old,), (new,) = change.old, change.new
    before, after = change.before, change.after
    if not isinstance(old, ast.Call) or not isinstance(new, ast.Call) or not path_of(old.func)[0]:
        return [], []
    count = min(len(old.args), len(new.args))
    if before.ids_of([old.func, *old.args[:count]]) != after.ids_of([new.func, *new.args[:count]]):
        return [], []
    structures = before.ids_of(old.keywords), after.ids_of(new.keywords)
    if len(old.args) != len(new.args):
        is_alone = structures[0] == structures[1] and not _is_starred([*old.args, *new.args])
        return (old.args[count:], new.args[count:]) if is_alone else ([], [])
    start, end, end_after = changed_region(*structures)
    return old.keywords[start:end], new.keywords[start:end_after]


def _is_starred(arguments: Sequence[ast.expr]) -> bool:
    return any(isinstance(each, ast.Starred) for each in arguments)


def _keyword(argument: ast.expr | ast.keyword) -> str | None:
    return getattr(argument, "arg", None)


# Paths ---------------------------------------------------------------------------------------------------


class _PathEdit(NamedTuple):
    """A path with its edited parts, and those on both sides."""

    left: _Parts
    removed: _Parts
    added: _Parts
    right: _Parts


@dataclass(frozen=True)
class _PathRule(Rule):
    """An edit of a part of paths."""

    edits: tuple[_PathEdit, _PathEdit]
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
    return value if isinstance(value, str) and len(value) <= _LONGEST_PATH else ""


def _edit(old: str, new: str, *, is_left_first: bool) -> _PathEdit:
    """Return the only edit that turns a path into another one."""
    before, after = ((*_PART.findall(path),) for path in (old, new))
    shortest, left, right = min(len(before), len(after)), 0, 0
    if is_left_first:
        left = common_prefix_length(before, after)
    right = min(common_prefix_length(before[::-1], after[::-1]), shortest - left)
    if not is_left_first:
        left = min(common_prefix_length(before, after), shortest - right)
    ends = len(before) - right, len(after) - right
    return _PathEdit(before[:left], before[left : ends[0]], after[left : ends[1]], before[ends[0] :])


def _is_alike(parts: _Parts, one: _Parts, other: _Parts) -> bool:
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


def _signs(*parts: _Parts) -> frozenset[str]:
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
