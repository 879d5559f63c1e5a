"""Renaming the other uses of a column after an edit of its label where the column is assigned. Pure.

A column is renamed only if every string and attribute that may be its label surely is the label.
"""

from __future__ import annotations

import ast
import keyword
import re
from typing import TYPE_CHECKING

from jupyter_turbopilot.bounds import OperationLimitError, count_operations
from jupyter_turbopilot.fixes.renames import Cell, Change, Rename, cells_of, changed_part, title_of
from jupyter_turbopilot.suggestion.candidates import (
    COLUMN_ARGUMENTS,
    COLUMN_KEYWORDS,
    KEEPING,
    KEY_ARGUMENTS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from jupyter_turbopilot.fixes.fix import Edit
    from jupyter_turbopilot.request import RenameRequest
    from jupyter_turbopilot.suggestion.scopes import LexicalScope

_LONGEST = 200  # characters of a label, and of the variable before it
_OUTSIDE = frozenset("'\"\\\n{}")  # characters that no label in a plain string contains
_SUBSCRIPTED = re.compile(r"(\w+)\[['\"]\Z")
_TABLES = frozenset({"data", "data_frame"})  # parameters of functions that take a table and labels
_NEW_COLUMNS = frozenset({"agg", "aggregate", "assign", "dict"})  # functions whose keywords are labels
_QUERIES = frozenset({"eval", "query"})  # methods whose text contains labels
# Functions that show a text.
_TEXTS = frozenset(
    {"print", "set_title", "set_xlabel", "set_ylabel", "suptitle", "title", "xlabel", "ylabel"}
)
# `frame.size` is no column.
_DATA_FRAME = """
    T abs add agg aggregate align all any apply asfreq asof assign astype at attrs axes bfill boxplot
    clip columns combine compare copy corr corrwith count cov cummax cummin cumprod cumsum describe diff
    div divide dot drop droplevel dropna dtypes duplicated empty eq equals eval ewm expanding explode
    ffill fillna filter flags floordiv ge get groupby gt head hist iat idxmax idxmin iloc index info
    insert interpolate isetitem isin isna isnull items iterrows itertuples join keys kurt kurtosis le
    loc lt map mask max mean median melt merge min mod mode mul multiply ndim ne nlargest notna notnull
    nsmallest nunique pipe pivot plot pop pow prod product quantile query radd rank rdiv reindex rename
    replace resample rfloordiv rmod rmul rolling round rpow rsub rtruediv sample select sem shape shift
    size skew squeeze stack std style sub subtract sum swaplevel tail take transform transpose truediv
    truncate unstack update values var where xs
"""
_ATTRIBUTES = frozenset(_DATA_FRAME.split())


class _UnclearError(Exception):
    """Another string or attribute may be the label, or the column may have existed before."""


def find(request: RenameRequest) -> Rename | None:
    """Return the edits of all other uses, if exactly one label was changed where its column is assigned."""
    try:
        change = _change(request)
        edits = _edits(request, change) if change else []
    except (OperationLimitError, _UnclearError):
        return None
    return Rename(title=title_of(edits), edits=edits, run=[request.active]) if edits else None


def _edits(request: RenameRequest, change: Change) -> list[Edit]:
    """Return the edits of the other labels."""
    table = _table(request.before, change.start)
    if not table or any(each.type == "code" and each.source is None for each in request.cells):
        return []
    cells = cells_of(request, change, table)
    if not cells or change.cell not in cells:
        return []
    return [change.edit(cell, start) for cell, start in sorted(_uses(cells, change, table))]


def _change(request: RenameRequest) -> Change | None:
    """Return the text between two quotes that differs, if nothing else does."""
    if not (changed := changed_part(request)):
        return None
    (start, tail), before, after = changed, request.before, request.cells[request.active].source or ""
    while start and before[start - 1] not in _OUTSIDE:
        start -= 1
    while tail and before[-tail] not in _OUTSIDE:
        tail -= 1
    old, new = before[start : len(before) - tail], after[start : len(after) - tail]
    is_quoted = before[:start][-1:] == before[len(before) - tail :][:1] in {"'", '"'}
    if not is_quoted or not all(
        0 < len(label) <= _LONGEST and _OUTSIDE.isdisjoint(label) for label in (old, new)
    ):
        return None
    return Change(request.active, start, old, new)


def _table(source: str, start: int) -> str:
    """Return the variable before a label in a subscript."""
    found = _SUBSCRIPTED.search(source[max(0, start - _LONGEST) : start])
    return found[1] if found else ""


def _uses(cells: dict[int, Cell], change: Change, table: str) -> list[tuple[int, int]]:
    """Return the cells and positions of the other labels; raise an _UnclearError if they are unclear."""
    here = cells[change.cell]
    target, value = _assignment(here, change, table)
    owner = next(each.owner for each in here.variables(table) if each.node is target)
    if owner.kind == "class":
        raise _UnclearError
    begin, end = here.span(value)
    uses: list[tuple[int, int]] = []
    for number, cell in cells.items():
        starts = _Labels(cell, change, owner, table).starts(target)
        for start, is_binding in starts:
            is_after = (number, start) > (change.cell, change.start)
            is_value = number == change.cell and begin <= start < end
            if is_binding == is_after or is_value:
                raise _UnclearError  # the table is another one, or the column existed before
            if not is_binding:
                uses.append((number, start))
    return uses


def _assignment(cell: Cell, change: Change, table: str) -> tuple[ast.expr, ast.expr]:
    """Return the variable and the value of the assignment to the changed label."""
    for node, _ in cell.scopes.nodes:
        match node:
            case ast.Assign(
                targets=[ast.Subscript(value=ast.Name(id=name) as target, slice=ast.Constant() as label)]
            ):
                if name == table and cell.start(label) == change.start - 1 and label.value == change.old:
                    return target, node.value
    raise _UnclearError


class _Labels:
    """The labels of a column in a cell."""

    def __init__(self, cell: Cell, change: Change, owner: LexicalScope, table: str) -> None:
        count_operations(3 * len(cell.nodes))
        self._cell, self._change, self._owner, self._table = cell, change, owner, table
        self._parents = {child: node for node in cell.nodes for child in ast.iter_child_nodes(node)}
        self._found: set[ast.AST] = set()

    def starts(self, target: ast.expr) -> Iterator[tuple[int, bool]]:
        """Yield the positions of the labels, and those at which the table is bound (True).

        `target`: the variable of the assignment.
        """
        for each in self._cell.variables(self._table):
            if not each.owner.is_same_scope(self._owner):
                continue
            if each.role != "use" or not isinstance(getattr(each.node, "ctx", ast.Load()), ast.Load):
                yield each.start, True
            elif isinstance(each.node, ast.Name):
                parent = self._parents[each.node]
                if isinstance(parent, ast.Assign | ast.AnnAssign | ast.NamedExpr):
                    raise _UnclearError  # another name of the table
                if each.node is target and isinstance(parent, ast.Subscript):
                    self._found.add(parent.slice)
                    continue
                for node in self._columns(each.node):
                    if (start := self._start(node)) is not None:
                        self._found.add(node)
                        yield start, False
        self._check_others()

    def _columns(self, variable: ast.Name) -> Iterator[ast.AST]:
        """Yield the strings and attributes that are labels of a table's columns."""
        node: ast.AST | None = variable
        while node:
            labels, node = self._around(node)
            yield from labels

    def _around(self, table: ast.AST) -> tuple[Iterable[ast.AST], ast.AST | None]:
        """Return the labels in the code around a table, and the code if it has the same columns."""
        parent = self._parents[table]
        outer = self._parents.get(parent)
        match parent:
            case ast.Subscript(value=value, slice=key) if value is table:
                is_table = isinstance(key, ast.Compare | ast.BinOp | ast.UnaryOp | ast.List)
                return self._stored(parent, key), parent if is_table else None
            case ast.Attribute():
                return self._of_attribute(parent, outer)
            case ast.keyword(arg=name) if name in _TABLES and isinstance(outer, ast.Call):
                return _keywords(outer, COLUMN_KEYWORDS), None
            case ast.Call(args=[first, *_]) if first is table:
                return _keywords(parent, COLUMN_KEYWORDS), None
        return (), None

    def _of_attribute(
        self, node: ast.Attribute, outer: ast.AST | None
    ) -> tuple[Iterable[ast.AST], ast.AST | None]:
        """Return the labels at an attribute of a table, and the code if it has the same columns."""
        if isinstance(outer, ast.Call) and outer.func is node:
            return _arguments(outer, node.attr), outer if node.attr in KEEPING else None
        if node.attr in {"loc", "at"} and isinstance(outer, ast.Subscript):
            keys = outer.slice.elts if isinstance(outer.slice, ast.Tuple) else []
            return (self._stored(outer, keys[1]) if len(keys) > 1 else ()), None
        return ((), node) if node.attr == "plot" else ((node,), None)

    def _stored(self, subscript: ast.Subscript, key: ast.expr) -> Iterator[ast.expr]:
        """Yield the labels of a subscript; raise an _UnclearError for a second assignment."""
        labels = [*_strings(key)]
        if isinstance(subscript.ctx, ast.Store) and any(each.value == self._change.old for each in labels):
            raise _UnclearError
        yield from labels

    def _start(self, node: ast.AST) -> int | None:
        """Return the position of the old label in a string or an attribute; None for another label."""
        old, new = self._change.old, self._change.new
        if isinstance(node, ast.Attribute):
            if node.attr != old or old in _ATTRIBUTES:
                return None
            is_possible = new.isidentifier() and not keyword.iskeyword(new) and new not in _ATTRIBUTES
            start, is_stored = self._cell.span(node)[1] - len(old), not isinstance(node.ctx, ast.Load)
            if not is_possible or is_stored:
                raise _UnclearError
        elif isinstance(node, ast.Constant) and node.value == old:
            start, end = self._cell.span(node)
            start, quotes = start + 1, self._cell.source[start] + self._cell.source[end - 1]
            if quotes not in {"''", '""'}:
                raise _UnclearError
        else:
            return None
        if not self._cell.source.startswith(old, start):
            raise _UnclearError
        return start

    def _check_others(self) -> None:
        """Raise an _UnclearError if another string or attribute may be the old or the new label."""
        old, labels = self._change.old, {self._change.old, self._change.new}
        lines = zip(self._cell.source.split("\n"), self._cell.python.split("\n"), strict=True)
        if any(line != python and old in line for line, python in lines):
            raise _UnclearError  # a magic
        has_queries = any(
            isinstance(node, ast.Attribute) and node.attr in _QUERIES for node in self._cell.nodes
        )
        for node in self._cell.nodes:
            if node in self._found:
                continue
            parent = self._parents.get(node)
            match node:
                case ast.Constant(value=str(text)):
                    is_unclear = text in labels and not _is_shown(node, parent)
                    if text not in labels and old in text:
                        is_unclear = has_queries or "~" in text or self._table in text
                case ast.Attribute(attr=name, value=base) if name in labels:
                    is_method = isinstance(parent, ast.Call) and parent.func is node
                    is_unclear = (
                        not is_method and name not in _ATTRIBUTES and isinstance(base, ast.Name | ast.Call)
                    )
                case ast.keyword(arg=name) if name in labels and isinstance(parent, ast.Call):
                    is_unclear = _function(parent) in _NEW_COLUMNS
                case _:
                    is_unclear = False
            if is_unclear:
                raise _UnclearError


def _strings(node: ast.expr) -> Iterator[ast.Constant]:
    """Yield one label, or those of a list."""
    nodes = node.elts if isinstance(node, ast.List) else [node]
    yield from (each for each in nodes if isinstance(each, ast.Constant) and isinstance(each.value, str))


def _arguments(call: ast.Call, method: str) -> Iterator[ast.AST]:
    """Yield the labels in the arguments of a table's method."""
    given = [
        *((str(n), each) for n, each in enumerate(call.args)),
        *((each.arg, each.value) for each in call.keywords),
    ]
    named, keys = COLUMN_ARGUMENTS.get(method, "").split(), KEY_ARGUMENTS.get(method, "").split()
    for name, value in given:
        if name in named and (method, name) != ("merge", "on"):
            yield from _strings(value)
        elif name in keys and isinstance(value, ast.Dict):
            yield from (label for key in value.keys if key for label in _strings(key))
        elif method in {"agg", "aggregate"} and isinstance(value, ast.Tuple) and value.elts:
            yield from _strings(value.elts[0])  # `total=("price", "sum")`


def _keywords(call: ast.Call, names: AbstractSet[str]) -> Iterator[ast.AST]:
    """Yield the labels in keyword arguments."""
    for each in call.keywords:
        if each.arg in names:
            yield from _strings(each.value)


def _function(call: ast.Call) -> str:
    """Return the last name of a called function."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _is_shown(node: ast.Constant, parent: ast.AST | None) -> bool:
    """Return whether a string is a text for the user, or a part of a longer one."""
    if isinstance(parent, ast.JoinedStr):
        return len(parent.values) > 1
    return isinstance(parent, ast.Call) and node in parent.args and _function(parent) in _TEXTS
