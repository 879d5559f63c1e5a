"""The smallest parts of a cell that an edit has changed. Pure."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.fixes.structures import AttributeName, Role
from jupyter_turbopilot.util.bounds import changed_region, count_operations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.fixes.structures import StructuredCell, Structures

BLOCKS = ("body", "orelse", "finalbody")
_MOST_CHANGES = 8
_MOST_OUTER = 4  # nodes around a change
_MOST_NODES = 400  # of a changed expression
_LITERALS = (ast.Tuple, ast.List, ast.Set, ast.Dict, ast.UnaryOp, ast.JoinedStr)


class Change(NamedTuple):
    """Expressions or statements before and after an edit."""

    before: StructuredCell
    after: StructuredCell
    old: tuple[ast.AST, ...]
    new: tuple[ast.AST, ...]
    is_block: bool = False  # whether they are statements of a block
    above: int | None = None  # structure id of the statement above them

    @property
    def structures(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The structure ids before and after the edit."""
        return tuple(self.before.ids_of(self.old)), tuple(self.after.ids_of(self.new))

    @property
    def role(self) -> Role:
        """The role of a changed expression."""
        return Role(self.before, self.old[0])

    @property
    def around(self) -> Change | None:
        """The change of the expression around a changed one, which also contains unchanged parts."""
        old, new = self.before.parents.get(self.old[0]), self.after.parents.get(self.new[0])
        is_expression = isinstance(old, ast.expr | ast.keyword) and type(old) is type(new)
        return self._replace(old=(old,), new=(new,)) if is_expression and old and new else None


def changes(before: str, after: str, structures: Structures) -> tuple[list[Change], Change | None]:
    """Return the changed expressions, and the smallest changed block; raise SyntaxError if nothing parses.

    Of a cell that does not parse, the changed lines are compared.
    """
    try:
        return _Comparison(structures.cell(before), structures.cell(after)).result()
    except SyntaxError:
        lines = _changed_lines(before, after)
        return _Comparison(*map(structures.cell, lines)).result()


def _changed_lines(before: str, after: str) -> tuple[str, str]:
    """Return the lines that differ, which parse if they are not indented."""
    old, new = before.split("\n"), after.split("\n")
    start, end, end_after = changed_region(old, new)
    first, second = "\n".join(old[start:end]), "\n".join(new[start:end_after])
    if not first.strip() or not second.strip():
        raise SyntaxError("Whole lines have been added or removed in a cell that does not parse.")
    return first, second


class _Comparison:
    """The comparison of two versions of a cell."""

    def __init__(self, before: StructuredCell, after: StructuredCell) -> None:
        self._before, self._after = before, after
        self._found: list[Change] = []
        self._blocks: list[Change] = []

    def result(self) -> tuple[list[Change], Change | None]:
        """Compare the trees."""
        work: list[list[tuple[ast.AST, ast.AST]]] = [[(self._before.tree, self._after.tree)]]
        while work:
            path = work.pop()
            old, new = path[-1]
            count_operations(len(self._before.parts[old]) + len(self._after.parts[new]))
            pairs = self._statements(old, new)
            if pairs is None:
                pairs = self._expressions(old, new)
            if pairs is None:
                self._found += self._change(path)
            else:
                work += [[*path[-_MOST_OUTER:], pair] for pair in reversed(pairs)]
            if len(self._found) + len(self._blocks) > _MOST_CHANGES:
                return [], None
        block = self._blocks[0] if self._blocks else None
        has_others = block is not None and len(block.old) != len(block.new) and bool(self._found)
        return ([], None) if has_others or len(self._blocks) > 1 else (self._found, block)

    def _differs(self, old: ast.AST, new: ast.AST) -> bool:
        return self._before.structure_of[old] != self._after.structure_of[new]

    def _statements(self, old: ast.AST, new: ast.AST) -> list[tuple[ast.AST, ast.AST]] | None:
        """Return the pairs of statements that differ; None if other parts differ, too."""
        if type(old) is not type(new):
            return None
        blocks = [
            (one, getattr(new, name)) for name in BLOCKS if isinstance(one := getattr(old, name, None), list)
        ]
        inside = {id(each) for both in blocks for block in both for each in block}
        heads = [
            cell.ids_of(each for each in cell.parts[node] if id(each) not in inside)
            for cell, node in ((self._before, old), (self._after, new))
        ]
        if not inside or heads[0] != heads[1] or getattr(old, "name", "") != getattr(new, "name", ""):
            return None
        pairs: list[tuple[ast.AST, ast.AST]] = []
        for one, other in blocks:
            structures = self._before.ids_of(one), self._after.ids_of(other)
            start, end, end_after = changed_region(*structures)
            olds, news = one[start:end], other[start:end_after]
            if len(olds) == len(news):
                pairs += [pair for pair in zip(olds, news, strict=True) if self._differs(*pair)]
            if len(olds) > 1 or len(olds) != len(news):
                if not olds:  # a statement around the inserted ones decides on the position
                    below = int(end < len(one))
                    start -= min(start, 1 - below)
                    olds, news = one[start : end + below], other[start : end_after + below]
                above = structures[0][start - 1] if start else None
                self._blocks.append(
                    Change(self._before, self._after, (*olds,), (*news,), is_block=True, above=above)
                )
        return pairs

    def _expressions(self, old: ast.AST, new: ast.AST) -> list[tuple[ast.AST, ast.AST]] | None:
        """Return the only pair of parts that differ; None for several, or other nodes."""
        labels = map(
            self._before.structures.label, (self._before.structure_of[old], self._after.structure_of[new])
        )
        if len({*labels}) > 1:
            return None
        parts = zip(self._before.parts[old], self._after.parts[new], strict=True)
        pairs = [pair for pair in parts if self._differs(*pair)]
        return pairs if len(pairs) == 1 else None

    def _change(self, path: Sequence[tuple[ast.AST, ast.AST]]) -> Iterator[Change]:
        """Yield the change that a differing pair of nodes is part of."""
        at = len(path) - 1
        while (at and not isinstance(path[at][0], ast.expr | ast.stmt | ast.keyword)) or (
            isinstance(path[at][0], AttributeName)
        ):
            at -= 1
        at = self._of_literal(path, at)
        outer = [n for n in range(max(0, at - 3), at + 1) if self._is_around(*path[n])]
        old, new = path[outer[0] if outer else at]
        nodes = (ast.expr, ast.keyword, ast.stmt)
        if not isinstance(old, nodes) or not isinstance(new, nodes):
            return
        is_bound = isinstance(getattr(old, "ctx", None), ast.Store | ast.Del) and isinstance(old, ast.Name)
        if not is_bound:  # the binding of a name is renamed
            yield Change(self._before, self._after, (old,), (new,), is_block=isinstance(old, ast.stmt))

    def _of_literal(self, path: Sequence[tuple[ast.AST, ast.AST]], at: int) -> int:
        """Return the level of the whole literal, or of its slice; an element of a list of strings is one."""
        first = path[at][0]
        while at and isinstance(outer := path[at - 1][0], _LITERALS) and is_literal(outer, self._before):
            elements = [getattr(each, "value", None) for each in (first, *self._before.parts[outer])]
            if not isinstance(outer, ast.JoinedStr) and all(isinstance(each, str) for each in elements):
                break
            at -= 1
        # A number in a slice has no meaning without the rest of it.
        is_in_slice = at and isinstance(path[at - 1][0], ast.Slice) and is_literal(path[at][0], self._before)
        return at - 1 if is_in_slice else at

    def _is_around(self, old: ast.AST, new: ast.AST) -> bool:
        """Return whether one of two expressions contains the other one."""
        if not isinstance(old, ast.expr) or not isinstance(new, ast.expr) or not self._differs(old, new):
            return False
        return _contains(new, self._after, self._before.structure_of[old]) or (
            _contains(old, self._before, self._after.structure_of[new])
        )


def _contains(node: ast.AST, cell: StructuredCell, structure: int) -> bool:
    return structure in cell.ids_of(_parts(node, cell))


def is_literal(node: ast.AST, cell: StructuredCell) -> bool:
    """Return whether an expression contains no names."""
    parts = _parts(node, cell)
    return len(parts) < _MOST_NODES and all(isinstance(each, (ast.Constant, *_LITERALS)) for each in parts)


def _parts(node: ast.AST, cell: StructuredCell) -> list[ast.AST]:
    """Return a node and its parts; of a large one only the outer parts."""
    nodes = [node]
    for each in nodes:
        if len(nodes) >= _MOST_NODES:
            break
        nodes += cell.parts[each]
    count_operations(len(nodes))
    return nodes
