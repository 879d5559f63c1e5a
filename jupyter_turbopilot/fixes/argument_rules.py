"""Rules for edits that add arguments to calls, or remove arguments. Pure."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.parsed_cell import identifiers_in
from jupyter_turbopilot.fixes.patterns import (
    LONGEST_TEXT,
    Hole,
    Match,
    Node,
    opened,
    pattern_of,
)
from jupyter_turbopilot.fixes.roles import is_alike, path_of
from jupyter_turbopilot.fixes.rules import Occurrence, Rule, names_in
from jupyter_turbopilot.fixes.structures import PART
from jupyter_turbopilot.util.bounds import changed_region, count_operations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.fixes.changes import Change
    from jupyter_turbopilot.fixes.patterns import Pattern
    from jupyter_turbopilot.fixes.roles import Steps
    from jupyter_turbopilot.fixes.structures import StructuredCell, Structures

    _Arguments = Sequence[ast.expr | ast.keyword]


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
        text = example.source[example.start(added[0]) : example.span(added[-1])[1]] if added else ""
        if at:
            start, end = cell.start(items[at - 1]), cell.span(items[rest - 1])[1]
            text = cell.text(items[at - 1]) + (f", {text}" if added else "")
        elif rest < len(items):
            start, end = cell.start(items[0]), cell.span(items[rest])[1]
            text = cell.text(items[rest])
        else:
            start, end, text = cell.span(call.func)[1], cell.span(call)[1], f"({text})"
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
