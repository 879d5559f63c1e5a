"""Renaming the other uses of a column after an edit of its label where the column is assigned. Pure.

A column is renamed only if every string and attribute that may be its label surely is the label.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.calls import name_of
from jupyter_turbopilot.analysis.library_facts import MEMBERS, methods, names_columns, parameters
from jupyter_turbopilot.analysis.resolve import is_attribute
from jupyter_turbopilot.fixes.renames import (
    LONGEST_NAME,
    NameChange,
    Rename,
    cells_of,
    changed_part,
    hidden_strings,
    title_of,
)
from jupyter_turbopilot.util.bounds import count_operations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jupyter_turbopilot.analysis.parsed_cell import ParsedCell
    from jupyter_turbopilot.analysis.scopes import LexicalScope
    from jupyter_turbopilot.protocol.fix import Edit
    from jupyter_turbopilot.protocol.request import RenameRequest

_OUTSIDE = frozenset("'\"\\\n{}")  # characters that no label in a plain string contains
_SUBSCRIPTED = re.compile(r"(?<!\w)(\w++)\[['\"]\Z")
_COLUMNS, _TABLES = parameters("column"), parameters("table")
_AGGREGATING, _JOINS, _NEW_COLUMNS = methods("aggregates"), methods("joins"), methods("named")
_KEEPING = methods("group", "same", "window")
_ACCESSORS, _LOCATORS, _OF_VALUES = methods("accessor"), methods("locates"), methods("of_values")
_OF_TABLES = MEMBERS["pandas.DataFrame"]


class _AmbiguousError(Exception):
    """Another string or attribute may be the label, or the column may have existed before."""


def find(request: RenameRequest, change: NameChange) -> Rename | None:
    """Return the edits of the other labels, if the changed one is where its column is assigned."""
    try:
        edits = _edits(request, change)
    except _AmbiguousError:
        return None
    return Rename(title=title_of(change, edits), edits=edits, run=[request.active]) if edits else None


def _edits(request: RenameRequest, change: NameChange) -> list[Edit]:
    """Return the edits of the other labels."""
    if any(each.type == "code" and each.source is None for each in request.cells):
        return []
    table = _table(request.before, change.start)
    cells = cells_of(request, change, table)
    if not cells or change.cell not in cells:
        return []
    return [change.edit(cell, start) for cell, start in sorted(_uses(cells, change, table))]


def changed_label(request: RenameRequest) -> NameChange | None:
    """Return the changed string in the subscript of a variable, if nothing else differs."""
    change = changed_part(request, lambda character: character not in _OUTSIDE)
    if not change or not all(
        0 < len(label) <= LONGEST_NAME and _OUTSIDE.isdisjoint(label) for label in (change.old, change.new)
    ):
        return None
    before, end = request.before, change.start + len(change.old)
    is_quoted = before[end : end + 1] == before[change.start - 1 : change.start]
    return change if is_quoted and _table(before, change.start) else None


def _table(source: str, start: int) -> str:
    """Return the variable before a label in a subscript."""
    found = _SUBSCRIPTED.search(source[max(0, start - LONGEST_NAME) : start])
    return found[1] if found else ""


def _uses(cells: dict[int, ParsedCell], change: NameChange, table: str) -> list[tuple[int, int]]:
    """Return the cells and positions of the other labels; raise an _AmbiguousError if they are unclear."""
    here = cells[change.cell]
    target, value = _assignment(here, change, table)
    owner = next(each.owner for each in here.variables(table) if each.node is target)
    if owner.kind == "class":
        raise _AmbiguousError
    begin, end = here.span(value)
    uses: list[tuple[int, int]] = []
    for number, cell in cells.items():
        starts = _ColumnLabels(cell, change, owner, table).starts(target if number == change.cell else None)
        for start, is_binding in starts:
            is_after = (number, start) > (change.cell, change.start)
            is_value = number == change.cell and begin <= start < end
            if is_binding == is_after or is_value:
                raise _AmbiguousError  # the table is another one, or the column existed before
            if not is_binding:
                uses.append((number, start))
    return uses


def _assignment(cell: ParsedCell, change: NameChange, table: str) -> tuple[ast.expr, ast.expr]:
    """Return the variable and the value of the assignment to the changed label."""
    for node, _ in cell.scopes.nodes:
        match node:
            case ast.Assign(
                targets=[ast.Subscript(value=ast.Name(id=name) as target, slice=ast.Constant() as label)]
            ):
                if name == table and cell.start(label) == change.start - 1 and label.value == change.old:
                    return target, node.value
    raise _AmbiguousError


class _ColumnLabels:
    """The labels of a column in a cell."""

    def __init__(self, cell: ParsedCell, change: NameChange, owner: LexicalScope, table: str) -> None:
        count_operations(2 * len(cell.nodes))
        self._cell, self._change, self._owner, self._table = cell, change, owner, table
        self._parents = cell.parents
        self._found: set[ast.AST] = set()

    def starts(self, target: ast.expr | None) -> Iterator[tuple[int, bool]]:
        """Yield the positions of the labels, and those at which the table is bound (True).

        `target`: the variable of the assignment, if this cell has it.
        """
        for each in self._cell.variables(self._table):
            if not each.owner.is_same_scope(self._owner):
                continue
            if each.role != "use" or not isinstance(getattr(each.node, "ctx", ast.Load()), ast.Load):
                yield each.start, True
            elif isinstance(each.node, ast.Name):
                parent = self._parents[each.node]
                if isinstance(parent, ast.Assign | ast.AnnAssign | ast.NamedExpr):
                    raise _AmbiguousError  # another name of the table
                if each.node is target and isinstance(parent, ast.Subscript):
                    self._found.add(parent.slice)
                    continue
                for node in self._columns(each.node):
                    if (start := self._label_start(node)) is not None:
                        self._found.add(node)
                        yield start, False
        self._check_others()

    def _columns(self, variable: ast.Name) -> Iterator[ast.AST]:
        """Yield the strings and attributes that are labels of a table's columns."""
        node: ast.AST | None = variable
        while node:
            labels, node = self._labels_around(node)
            yield from labels

    def _labels_around(self, table: ast.AST) -> tuple[Iterable[ast.AST], ast.AST | None]:
        """Return the labels in the code around a table, and the code if it has the same columns."""
        parent = self._parents[table]
        outer = self._parents.get(parent)
        match parent:
            case ast.Subscript(value=value, slice=key) if value is table:
                is_table = isinstance(key, ast.Compare | ast.BinOp | ast.UnaryOp | ast.List)
                return self._subscript_labels(parent, key), parent if is_table else None
            case ast.Attribute():
                return self._of_attribute(parent, outer)
            case ast.keyword(arg=name) if name in _TABLES and isinstance(outer, ast.Call):
                return _keyword_labels(outer, is_left=name != "right"), None
            case ast.Call(args=[first, *others]) if first is table:
                return _keyword_labels(parent, is_left=bool(others)), None
        return (), None

    def _of_attribute(
        self, node: ast.Attribute, outer: ast.AST | None
    ) -> tuple[Iterable[ast.AST], ast.AST | None]:
        """Return the labels at an attribute of a table, and the code if it has the same columns."""
        if isinstance(outer, ast.Call) and outer.func is node:
            return _argument_labels(outer, node.attr), outer if node.attr in _KEEPING else None
        if node.attr in _LOCATORS and isinstance(outer, ast.Subscript):
            keys = outer.slice.elts if isinstance(outer.slice, ast.Tuple) else []
            return (self._subscript_labels(outer, keys[1]) if len(keys) > 1 else ()), None
        return ((), node) if node.attr in _ACCESSORS else ((node,), None)

    def _subscript_labels(self, subscript: ast.Subscript, key: ast.expr) -> Iterator[ast.expr]:
        """Yield the labels of a subscript; raise an _AmbiguousError for a second assignment."""
        labels = [*_strings(key)]
        if isinstance(subscript.ctx, ast.Store) and any(each.value == self._change.old for each in labels):
            raise _AmbiguousError
        yield from labels

    def _label_start(self, node: ast.AST) -> int | None:
        """Return the position of the old label in a string or an attribute; None for another label."""
        old, new = self._change.old, self._change.new
        if isinstance(node, ast.Attribute):
            if node.attr != old or old in _OF_TABLES:
                return None
            is_possible = is_attribute(new) and new not in _OF_TABLES
            start, is_stored = self._cell.span(node)[1] - len(old), not isinstance(node.ctx, ast.Load)
            if not is_possible or is_stored:
                raise _AmbiguousError
        elif isinstance(node, ast.Constant) and node.value == old:
            start, end = self._cell.span(node)
            start, quotes = start + 1, self._cell.source[start] + self._cell.source[end - 1]
            if quotes not in {"''", '""'}:
                raise _AmbiguousError
        else:
            return None
        if not self._cell.source.startswith(old, start):
            raise _AmbiguousError
        return start

    def _check_others(self) -> None:
        """Raise an _AmbiguousError if another string, attribute or magic may be the old or the new label."""
        cell, labels = self._cell, {self._change.old, self._change.new}
        hidden = any(node not in self._found for node, _ in hidden_strings(cell, self._change.old))
        is_used = any(text == self._change.new for _, text in hidden_strings(cell, self._change.new))
        if hidden or is_used or cell.has_in_magic(self._change.old):
            raise _AmbiguousError
        for node in cell.nodes:
            match node:
                case ast.Attribute(attr=name, value=base) if name in labels and node not in self._found:
                    is_other = name in _OF_TABLES or name_of(base) in _OF_VALUES
                    is_ambiguous = not (is_other or cell.call_of(node))
                case ast.keyword(arg=str(name)) if name in labels:
                    outer = self._parents[node]
                    is_ambiguous = isinstance(outer, ast.Call) and self._may_be_label(outer, name)
                case _:
                    is_ambiguous = False
            if is_ambiguous:
                raise _AmbiguousError

    def _may_be_label(self, call: ast.Call, name: str) -> bool:
        """Return whether the name of a keyword argument may be a label, as in `df.assign(total=1)`."""
        if name_of(call.func) in _NEW_COLUMNS:
            return True
        count_operations(len(call.args) + len(call.keywords))
        given = [*call.args, *(each.value for each in call.keywords)]
        if isinstance(call.func, ast.Attribute):
            given.append(call.func.value)
        return name not in _COLUMNS and self._table in map(name_of, given)


def _strings(node: ast.expr) -> Iterator[ast.Constant]:
    """Yield one label, or those of a list."""
    nodes = node.elts if isinstance(node, ast.List) else [node]
    yield from (each for each in nodes if isinstance(each, ast.Constant) and isinstance(each.value, str))


def _argument_labels(call: ast.Call, method: str) -> Iterator[ast.AST]:
    """Yield the labels in the arguments of a table's method."""
    given = [
        *((str(n), each) for n, each in enumerate(call.args)),
        *((each.arg, each.value) for each in call.keywords),
    ]
    for name, value in given:
        if isinstance(value, ast.Dict):
            if names_columns(method, name or "", is_dict=True):
                yield from (label for key in value.keys if key for label in _strings(key))
        elif names_columns(method, name or "") and not names_columns(method, name or "", of_other=True):
            yield from _strings(value)
        elif method in _AGGREGATING and isinstance(value, ast.Tuple) and value.elts:
            yield from _strings(value.elts[0])  # `total=("price", "sum")`


def _keyword_labels(call: ast.Call, *, is_left: bool) -> Iterator[ast.AST]:
    """Yield the labels in keyword arguments of a function. `is_left`: the table is the first of a join."""
    method = name_of(call.func)
    for each in call.keywords:
        name = each.arg or ""
        of_tables = names_columns(method, name), names_columns(method, name, of_other=True)
        if name in _COLUMNS and (method not in _JOINS or of_tables == (is_left, not is_left)):
            yield from _strings(each.value)
