"""Rules for edits that add arguments to calls, or remove keyword arguments. Pure."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.fixes.parsed_cell import identifiers_in
from jupyter_turbopilot.fixes.patterns import LONGEST_TEXT
from jupyter_turbopilot.fixes.roles import is_alike, path_of
from jupyter_turbopilot.fixes.rules import Occurrence, Rule, names_in
from jupyter_turbopilot.fixes.structures import PART
from jupyter_turbopilot.util.bounds import changed_region, count_operations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.fixes.changes import Change
    from jupyter_turbopilot.fixes.roles import Steps
    from jupyter_turbopilot.fixes.structures import StructuredCell


@dataclass(frozen=True)
class _ArgumentRule(Rule):
    """An edit that adds arguments or removes keyword arguments."""

    paths: frozenset[Steps]  # of the functions
    removed: Sequence[int]  # structure ids
    added: Sequence[ast.expr | ast.keyword]
    count: int | None  # of positional arguments before the edit, if it adds others

    def occurrences(self, cell: StructuredCell) -> Iterator[Occurrence]:
        """Yield the occurrences in a cell."""
        count_operations(len(cell.nodes))
        for call in cell.nodes:
            if isinstance(call, ast.Call) and is_alike((path_of(call.func)[0],), self.paths):
                structures = cell.ids_of(call.keywords)
                given = {each.arg for each in call.keywords}
                if self.count is not None:
                    if len(call.args) == self.count and not _starred(call.args):
                        yield self._occurrence(cell, call, self.count)
                elif not self.added:
                    for at in range(len(structures) - len(self.removed) + 1):
                        if structures[at : at + len(self.removed)] == self.removed:
                            yield self._occurrence(cell, call, len(call.args) + at)
                elif None not in given and given.isdisjoint(map(_keyword, self.added)):
                    yield self._occurrence(cell, call, len(call.args) + len(structures))

    def _occurrence(self, cell: StructuredCell, call: ast.Call, at: int) -> Occurrence:
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
        positional = len(call.args) + (0 if self.count is None else len(added))
        label = ast.Call, PART, (PART,) * positional, (PART,) * (len(parts) - positional - 1)
        count_operations((end - start) // 16)
        return Occurrence(
            call, start, end, (text[: LONGEST_TEXT + 1],), (cell.structures.id_of(label, tuple(parts)),)
        )


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
    if added and not isinstance(added[0], ast.keyword):
        arguments = [getattr(change.old[0], "args", []) for change in (first, last)]
        count, other = map(len, arguments)
        # The pattern of equal arguments is more specific.
        if count != other or first.before.ids_of(arguments[0]) == last.before.ids_of(arguments[1]):
            return None
    functions = [path_of(getattr(change.old[0], "func", change.old[0])) for change in (first, last)]
    names = frozenset(root for _, root in functions) | names_in(added)
    used = frozenset.intersection(*(identifiers_in(path) for path, _ in functions))
    paths: frozenset[Steps] = frozenset((path,) for path, _ in functions)
    return _ArgumentRule("argument", first, last, names, used, "", paths, structures[1][0], added, count)


def _difference(change: Change) -> tuple[Sequence[ast.keyword], Sequence[ast.expr | ast.keyword]]:
    """Return the keyword arguments that were removed from a call, and the arguments that were added.

    None of both: something else was changed, too.
    """
    (old,), (new,) = change.old, change.new
    before, after = change.before, change.after
    if not isinstance(old, ast.Call) or not isinstance(new, ast.Call) or not path_of(old.func)[0]:
        return [], []
    count = len(old.args)
    if before.ids_of([old.func, *old.args]) != after.ids_of([new.func, *new.args[:count]]):
        return [], []
    structures = before.ids_of(old.keywords), after.ids_of(new.keywords)
    if more := new.args[count:]:
        is_alone = structures[0] == structures[1] and not _starred(new.args)
        return [], more if is_alone else []
    start, end, end_after = changed_region(*structures)
    return old.keywords[start:end], new.keywords[start:end_after]


def _starred(arguments: Sequence[ast.expr]) -> bool:
    return any(isinstance(each, ast.Starred) for each in arguments)


def _keyword(argument: ast.expr | ast.keyword) -> str | None:
    return getattr(argument, "arg", None)
