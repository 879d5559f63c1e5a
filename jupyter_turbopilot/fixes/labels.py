"""The labels of tables and dictionaries that a string in an expression may refer to. Pure."""

from __future__ import annotations

import ast
from functools import cached_property
from typing import TYPE_CHECKING, TypeGuard

from jupyter_turbopilot.analysis.library_facts import methods, names_columns, parameters, values_of
from jupyter_turbopilot.fixes.nearest import NameIndex
from jupyter_turbopilot.util.bounds import count_operations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.analysis.parsed_cell import ParsedCell
    from jupyter_turbopilot.analysis.report import ObjectDescription

_SAME, _ON_LEVELS = methods("group", "more", "part", "same", "window"), methods("of_levels")
_JOINS, _NOT_ON_COLUMNS = methods("joins"), methods("of_rows")
_EXPRESSIONS, _GROUPING, _BY_ROW = methods("expression"), methods("group"), methods("rows")
_BY_AXIS = values_of("axis")
_LOCATORS = methods("locates", "positions")
_LEVELS, _TABLES = parameters("level"), parameters("table")


class LabelLookup:
    """The labels that a string in a cell may refer to. `described`: the description of an expression."""

    def __init__(
        self,
        parsed: ParsedCell,
        described: Callable[[ast.expr], ObjectDescription | None],
        *,
        has_rows: bool = True,
    ) -> None:
        """`has_rows`: variables of loops over the rows of a table have its columns."""
        self._described = described
        self._has_rows = has_rows
        self._parsed = parsed
        self._parents = parsed.parents
        # The results for nodes, with whether they are in an argument `level`.
        self._known: dict[tuple[ast.AST, bool], Sequence[str]] = {}
        self._indexes: dict[int, tuple[Sequence[str], NameIndex]] = {}  # by the identity of the labels
        self._all: dict[int, tuple[ObjectDescription, Sequence[str]]] = {}
        self._calls: dict[ast.Call, Sequence[ObjectDescription]] = {}
        self._of_arguments: dict[tuple[ast.Call, str | None, bool], Sequence[str]] = {}

    def index(self, labels: Sequence[str]) -> NameIndex | None:
        """Return the index of labels, which all strings that refer to them share; None without labels."""
        if not labels:
            return None
        if id(labels) not in self._indexes:
            self._indexes[id(labels)] = labels, NameIndex(labels)
        return self._indexes[id(labels)][1]

    def of(self, node: ast.AST) -> Sequence[str]:
        """Return the labels among which a string is looked up; empty if the object is unknown."""
        direct = self._parents.get(node)
        if isinstance(direct, ast.Attribute | ast.Subscript) and direct.value is node:
            return ()  # a part of the string is looked up, or the result of its method
        is_level = False
        passed: list[tuple[ast.AST, bool]] = []
        found: Sequence[str] | None = None
        while found is None:
            found = self._known.get((node, is_level))
            if found is None:
                passed.append((node, is_level))
                found = self._of_parent(node, is_level=is_level)
            is_level = is_level or (isinstance(node, ast.keyword) and node.arg in _LEVELS)
            node = self._parents.get(node, node)
        count_operations(2 * len(passed))
        self._known.update(dict.fromkeys(passed, found))
        return found

    def _of_parent(self, node: ast.AST, *, is_level: bool) -> Sequence[str] | None:
        """Return the labels that the expression around a node decides on; None if one around it decides."""
        match parent := self._parents.get(node):
            case None | ast.stmt():
                return ()
            case ast.Subscript(slice=index) if index is node:
                if not isinstance(parent.value, ast.Name) or not self._is_bound_by_lambda(parent):
                    return self._of_subscript(parent, node)
            case ast.Call() if node is not parent.func:
                is_level = is_level or (isinstance(node, ast.keyword) and node.arg in _LEVELS)
                return self._of_call(parent, node, is_level=is_level)
            case ast.Tuple() if _is_locator(owner := getattr(self._parents[parent], "value", None)):
                return () if node is parent.elts[0] else self.columns(owner.value)
        return None

    def _of_subscript(self, node: ast.Subscript, index: ast.AST) -> Sequence[str]:
        if _is_locator(node.value):
            return ()  # labels of rows
        found = self._described(node.value)
        if found and found.keys is not None and not isinstance(index, ast.List):
            # `counts["new"] += 1` misses the start value rather than another key.
            return () if isinstance(self._parents.get(node), ast.AugAssign) else found.keys
        return self.columns(node.value)

    def _of_call(self, call: ast.Call, node: ast.AST, *, is_level: bool) -> Sequence[str] | None:
        """Return the labels that an argument of a call refers to; None if another call around it decides."""
        owner, method = None, ""
        if isinstance(call.func, ast.Attribute):
            owner, method = call.func.value, call.func.attr
        elif isinstance(call.func, ast.Name):
            method = call.func.id
        if method in _EXPRESSIONS:
            return None  # the table that the expression is passed to
        found = self._described(owner) if owner else None
        if found and found.keys is not None:
            return found.keys if method == "pop" and node in call.args[:1] else ()
        key = call, node.arg if isinstance(node, ast.keyword) else None, is_level
        if key not in self._of_arguments:
            self._of_arguments[key] = self._of_argument(call, method, key[1], is_level=is_level)
        return self._of_arguments[key]

    def _of_argument(self, call: ast.Call, method: str, word: str | None, *, is_level: bool) -> Sequence[str]:
        tables = self._tables(call)
        if not tables:
            return ()
        table = tables[0]
        if is_level or method in _ON_LEVELS:
            return table.levels
        if method in _JOINS:
            return _of_join(tables, method, word or "")
        return () if _is_of_rows(call, method, word, table) else self._labels_and_levels(table)

    def _labels_and_levels(self, table: ObjectDescription) -> Sequence[str]:
        """Return one sequence for each table: an index is built for each sequence."""
        if id(table) not in self._all:
            self._all[id(table)] = table, [*(table.labels or ()), *table.levels]
        return self._all[id(table)][1]

    def _tables(self, call: ast.Call) -> Sequence[ObjectDescription]:
        """Return the tables that a call refers to: its object, then those in its arguments."""
        if call not in self._calls:
            count_operations(len(call.args) + len(call.keywords))
            owner = [call.func.value] if isinstance(call.func, ast.Attribute) else []
            named = (each.value for each in call.keywords if each.arg in _TABLES)
            self._calls[call] = [*filter(None, map(self.table, (*owner, *named, *call.args)))]
        return self._calls[call]

    def columns(self, node: ast.expr) -> Sequence[str]:
        """Return the columns of the table in an expression; empty if it is unknown."""
        table = self.table(node)
        return (table.labels or ()) if table else ()

    def table(self, node: ast.expr) -> ObjectDescription | None:
        """Return the table whose columns an expression has."""
        looked_up: set[str] = set()
        attributes: set[str] = set()
        inner: ast.expr | None = node
        while inner:
            count_operations(2)
            found = self._described(inner)
            if found and found.labels is not None:
                # An attribute may be a column, such as one with the name `sort`.
                return found if not attributes or attributes.isdisjoint(found.labels) else None
            match inner:
                case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in _SAME:
                    inner = value
                case ast.Attribute(value=value, attr=name) if name in _SAME:
                    attributes.add(name)
                    inner = value
                case ast.Subscript(value=value, slice=index) if is_mask(index):
                    inner = value.value if _is_locator(value) else value
                case ast.Name(id=name) if self._has_rows and name not in looked_up:
                    looked_up.add(name)  # a loop may have the name of what it iterates over
                    inner = self._iterated.get(name)
                case _:
                    inner = None
        return None

    @cached_property
    def _iterated(self) -> dict[str, ast.expr]:
        """The tables whose rows a loop assigns to names."""
        tables: dict[str, ast.expr] = {}
        for loop in self._parsed.nodes:
            match loop:
                case ast.For() | ast.comprehension():
                    match loop.iter:
                        case ast.Call(func=ast.Attribute(value=value, attr=method)) if method in _BY_ROW:
                            for each in ast.walk(loop.target):
                                if isinstance(each, ast.Name):
                                    tables.setdefault(each.id, value)
        return tables

    def _is_bound_by_lambda(self, node: ast.Subscript) -> bool:
        """Return whether a subscripted name is a parameter of a lambda, such as a row in `apply`."""
        name = node.value.id if isinstance(node.value, ast.Name) else ""
        if (found := self._described(node.value)) and (found.labels is not None or found.keys is not None):
            return False
        parent = self._parents.get(node)
        while parent and not isinstance(parent, ast.Lambda | ast.stmt):
            count_operations(1)
            parent = self._parents.get(parent)
        return isinstance(parent, ast.Lambda) and any(each.arg == name for each in parent.args.args)


def is_mask(node: ast.AST) -> bool:
    """Return whether an index selects rows by a condition, rather than by a label."""
    match node:
        case ast.BinOp(left=left, op=ast.BitAnd() | ast.BitOr() | ast.BitXor(), right=right):
            return is_mask(left) or is_mask(right)
        case ast.UnaryOp(op=ast.Invert()):
            return True
        case ast.Compare(ops=[operator]):
            return not isinstance(operator, ast.Is | ast.IsNot | ast.In | ast.NotIn)
    return False


def _is_locator(node: ast.AST | None) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and node.attr in _LOCATORS


def _library(table: ObjectDescription) -> str:
    return (table.module or "").partition(".")[0]


def _has_columns_axis(call: ast.Call) -> bool:
    count_operations(len(call.keywords) // 8)
    values = [each.value for each in call.keywords if each.arg == "axis"]
    return any(isinstance(value, ast.Constant) and value.value in {1, "columns"} for value in values)


def _of_join(tables: Sequence[ObjectDescription], method: str, word: str) -> Sequence[str]:
    """Return the labels that a parameter of a join refers to."""
    left, *right = (table.labels or [] for table in tables)
    count_operations(sum(map(len, right)) // 8)
    is_of_left = names_columns(method, word, library=_library(tables[0]))
    if not names_columns(method, word, of_other=True, library=_library(tables[0])):
        return left if is_of_left else ()
    in_left = frozenset(left)
    return [label for label in right[0] if not is_of_left or label in in_left] if right else ()


def _is_of_rows(call: ast.Call, method: str, word: str | None, table: ObjectDescription) -> bool:
    """Return whether an argument of a table's method refers to labels of rows, or to none."""
    by_axis = _BY_AXIS.get(method) if _library(table) != "polars" else None
    if method in _NOT_ON_COLUMNS or (by_axis and word == "index"):
        return True
    is_of_rows = by_axis and word in {None, *by_axis} and not _is_grouped(call)
    return bool(is_of_rows) and not _has_columns_axis(call)


def _is_grouped(call: ast.Call) -> bool:
    """Return whether a method is called on the groups of a table."""
    node = call.func
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        if isinstance(node, ast.Attribute) and node.attr in _GROUPING:
            return True
        node = node.func if isinstance(node, ast.Call) else node.value
    return False
