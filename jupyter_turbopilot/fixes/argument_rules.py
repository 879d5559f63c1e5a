"""Rules for edits that add keyword arguments to calls, or remove them. Pure."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.fixes.parsed_cell import identifiers_in
from jupyter_turbopilot.fixes.roles import is_alike, path_of
from jupyter_turbopilot.fixes.rules import Place, Rule, names_in
from jupyter_turbopilot.fixes.shapes import PART
from jupyter_turbopilot.util.bounds import changed_region, count_operations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.fixes.changes import Change
    from jupyter_turbopilot.fixes.roles import Steps
    from jupyter_turbopilot.fixes.shapes import ShapedCell


@dataclass(frozen=True)
class _ArgumentRule(Rule):
    """An edit that adds or removes keyword arguments."""

    paths: frozenset[Steps]  # of the functions
    removed: Sequence[int]  # shapes
    added: Sequence[ast.keyword]

    def places(self, cell: ShapedCell) -> Iterator[Place]:
        """Yield the places in a cell."""
        count_operations(len(cell.nodes))
        for call in cell.nodes:
            if isinstance(call, ast.Call) and is_alike((path_of(call.func)[0],), self.paths):
                shapes = [cell.shape[each] for each in call.keywords]
                given = {each.arg for each in call.keywords}
                if not self.added:
                    for at in range(len(shapes) - len(self.removed) + 1):
                        if shapes[at : at + len(self.removed)] == self.removed:
                            yield self._place(cell, call, len(call.args) + at)
                elif None not in given and given.isdisjoint(each.arg for each in self.added):
                    yield self._place(cell, call, len(call.args) + len(shapes))

    def _place(self, cell: ShapedCell, call: ast.Call, at: int) -> Place:
        """Return the place of a call; its text begins or ends with the argument beside the changed ones."""
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
        shapes = [cell.shape[each] for each in items]
        shapes[at:rest] = [example.shape[each] for each in added]
        label = ast.Call, (PART,) * len(call.args), (PART,) * (len(shapes) - len(call.args))
        return Place(
            call, start, end, (text,), (cell.shapes.number(label, (cell.shape[call.func], *shapes)),)
        )


def argument_rule(first: Change, last: Change) -> Rule | None:
    """Return the rule of two calls with the same added or removed arguments, or None."""
    differences = [_difference(each) for each in (first, last)]
    shapes = [
        [
            [cell.shape[each] for each in nodes]
            for cell, nodes in zip((change.before, change.after), found, strict=True)
        ]
        for change, found in zip((first, last), differences, strict=True)
    ]
    removed, added = differences[1]
    if (
        shapes[0] != shapes[1]
        or bool(removed) == bool(added)
        or any(each.arg is None for each in (*removed, *added))
    ):
        return None
    functions = [path_of(getattr(change.old[0], "func", change.old[0])) for change in (first, last)]
    names = frozenset(root for _, root in functions) | names_in(added)
    used = frozenset.intersection(*(identifiers_in(path) for path, _ in functions))
    paths: frozenset[Steps] = frozenset((path,) for path, _ in functions)
    return _ArgumentRule("argument", first, last, names, used, "", paths, shapes[1][0], added)


def _difference(change: Change) -> tuple[list[ast.keyword], list[ast.keyword]]:
    """Return the keyword arguments that were removed from a call, and those that were added.

    None of both: something else was changed, too.
    """
    (old,), (new,) = change.old, change.new
    before, after = change.before, change.after
    if not isinstance(old, ast.Call) or not isinstance(new, ast.Call) or not path_of(old.func)[0]:
        return [], []
    rest = [
        [cell.shape[each] for each in (node.func, *node.args)] for cell, node in ((before, old), (after, new))
    ]
    shapes = [before.shape[each] for each in old.keywords], [after.shape[each] for each in new.keywords]
    if rest[0] != rest[1]:
        return [], []
    start, end, end_after = changed_region(*shapes)
    return old.keywords[start:end], new.keywords[start:end_after]
