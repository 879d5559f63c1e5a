"""Comparisons of a column with texts that select the rows of a table: `orders[orders.city == "Ulm"]`. Pure.

Only a selection whose rows are shown, computed with or assigned is one. Other code may ask whether there are
rows with a value, replace it, or exclude a value that is absent already.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.analysis.library_facts import MEMBERS, methods
from jupyter_turbopilot.analysis.parsed_cell import expression_of
from jupyter_turbopilot.analysis.texts import Readable, values_of_column
from jupyter_turbopilot.fixes.keys import plain_start
from jupyter_turbopilot.fixes.queries import parse_query
from jupyter_turbopilot.util.bounds import count_operations

if TYPE_CHECKING:
    from jupyter_turbopilot.analysis.parsed_cell import ParsedCell

_COMPARING, _SELECTING = methods("compares"), methods("part", library="polars")
_COLUMNS, _LOCATORS, _QUERIES = methods("expression"), methods("locates"), methods("condition")
_SHOWING = frozenset({"display", "print"})
# Attributes and methods of selected rows that show whether there are some.
_COUNTING = frozenset({
    "all", "any", "count", "empty", "equals", "height", "is_empty", "len", "n_unique", "nunique", "shape",
    "size",
})  # fmt: skip


class Comparison(NamedTuple):
    """Texts with which a column is compared."""

    values: Readable  # of the column
    owner: ast.expr  # the table, or the Series
    label: str | None  # of the column in the table
    texts: list[tuple[int, int, str]]  # with their start and end in the source, between the quotes
    names: frozenset[str]  # variables to which the rows are assigned


def comparisons_at(parsed: ParsedCell, node: ast.AST) -> list[Comparison]:
    """Return the comparisons at a node that select rows."""
    match node:
        case ast.Compare(left=column, ops=[ast.Eq()], comparators=[other]):
            if isinstance(column, ast.Constant):
                column, other = other, column
            return _of_column(parsed, node, column, [other])
        case ast.Call(func=ast.Attribute(value=column, attr=method), args=[other], keywords=[]):
            if method in _COMPARING:
                return _of_column(parsed, node, column, _elements(other))
            if method in _QUERIES and isinstance(other, ast.Constant):
                return _in_query(parsed, node, column, other)
    return []


def _of_column(
    parsed: ParsedCell, node: ast.expr, column: ast.expr, others: list[ast.expr]
) -> list[Comparison]:
    texts = [
        (start, start + len(each.value), each.value)
        for each in others
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
        for start in [plain_start(parsed.source, parsed.span(each), each)]
        if start is not None
    ]
    selection = _selection(parsed, node) if texts else None
    names = _shown_as(parsed, selection) if selection else None
    if selection is None or names is None:
        return []
    match column, selection:
        case (
            ast.Call(func=ast.Attribute(attr=name), args=[ast.Constant(value=label)]),
            ast.Call(func=ast.Attribute(value=owner)),
        ) if name in _COLUMNS:
            return _compared(owner, str(label), texts, names)
        case ast.Subscript(value=owner, slice=ast.Constant(value=str() as label)), _:
            return _compared(owner, str(label), texts, names)
        case ast.Attribute(value=owner, attr=name), _ if name not in MEMBERS["pandas.DataFrame"]:
            return _compared(owner, name, texts, names)
    return _compared(column, None, texts, names) if isinstance(column, ast.Name) else []


def _elements(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.List | ast.Tuple | ast.Set) else [node]


def _in_query(
    parsed: ParsedCell, node: ast.expr, owner: ast.expr, argument: ast.Constant
) -> list[Comparison]:
    query = parse_query(argument.value) if isinstance(argument.value, str) else None
    start = plain_start(parsed.source, parsed.span(argument), argument) if query else None
    names = _shown_as(parsed, node) if query and query.compared else None
    if query is None or start is None or names is None:
        return []
    return [
        found
        for label, part in query.compared
        for found in _compared(owner, label, [(start + part.start, start + part.end, part.text)], names)
    ]


def _compared(
    owner: ast.expr, label: str | None, texts: list[tuple[int, int, str]], names: frozenset[str]
) -> list[Comparison]:
    table = expression_of(owner)
    if table is None:
        return []
    values = Readable("values", table) if label is None else values_of_column(table, label)
    return [Comparison(values, owner, label, texts, names)]


def _selection(parsed: ParsedCell, mask: ast.expr) -> ast.expr | None:
    """Return the expression of the rows that a mask selects, also as a part of a condition."""
    node, parent = mask, parsed.parents[mask]
    while isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.BitAnd | ast.BitOr):
        count_operations(1)
        node, parent = parent, parsed.parents[parent]
    match parent:
        case ast.Subscript(slice=index, ctx=ast.Load()) if index is node:
            return parent
        case ast.Tuple(elts=[first, _]) if first is node:
            match parsed.parents[parent]:
                case ast.Subscript(value=ast.Attribute(attr=name), ctx=ast.Load()) as located:
                    return located if name in _LOCATORS else None
        case ast.Call(func=ast.Attribute(attr=name)) if node in parent.args and name in _SELECTING:
            return parent
    return None


def _shown_as(parsed: ParsedCell, selection: ast.expr) -> frozenset[str] | None:
    """Return the variables of selected rows if they are shown, assigned or computed with; None if counted.

    The same applies to each use of a variable to which the rows, or a result of them, are assigned.
    """
    names = set[str]()
    work: list[ast.AST] = [selection]
    while work:
        count_operations(1)
        node = work.pop()
        parent = parsed.parents[node]
        match parent:
            case ast.Expr():
                pass
            case ast.Assign(targets=[ast.Name(id=name)]):
                new = {name} - names
                names |= new
                count_operations(len(parsed.nodes))
                uses = (each for each in parsed.nodes if isinstance(each, ast.Name) and each.id in new)
                work += (each for each in uses if isinstance(each.ctx, ast.Load))
            case ast.Attribute(attr=name) if name not in _COUNTING:
                work.append(parent)
            case ast.Subscript(value=value, ctx=ast.Load()) if value is node:
                work.append(parent)
            case ast.Call(func=ast.Name(id=name)) if name in _SHOWING and node in parent.args:
                work.append(parent)
            case ast.Call(func=function) if function is node:
                work.append(parent)
            case _:
                return None
    return frozenset(names)
