"""The names and comparisons in a query of pandas: `price > @limit and city == "Ulm"`. Pure."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from jupyter_turbopilot.util.syntax_tree import parse, walk

# Strings stay. A quoted column becomes a name of the same length, and so does a variable.
_QUOTED = re.compile(r"'[^'\\]*+'|\"[^\"\\]*+\"|`(?P<label>[^`]++)`|@(?=[^\W\d])")
# Other nodes, such as a lambda, bind names or are no part of a query.
_KNOWN = (
    ast.Module, ast.Expr, ast.Assign, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Name, ast.Constant,
    ast.Attribute, ast.Call, ast.keyword, ast.Subscript, ast.List, ast.Tuple, ast.boolop, ast.operator,
    ast.unaryop, ast.cmpop, ast.expr_context,
)  # fmt: skip


class Part(NamedTuple):
    """A column, a variable or a text in a query."""

    start: int
    end: int
    text: str


class Query(NamedTuple):
    """The parts of a query."""

    columns: list[Part]  # columns and index levels, with the backticks in their range
    variables: list[Part]  # those after `@`, without this sign
    compared: list[tuple[str, Part]]  # columns and texts of which the rows have one


def parse_query(text: str) -> Query | None:
    """Return the parts of a query of one line; None if it has other syntax than a known one."""

    def name(found: re.Match[str]) -> str:
        return "_" * len(found[0]) if found[0][0] in "`@" else found[0]

    python = _QUOTED.sub(name, text)
    if not text.isascii() or "\n" in text:
        return None
    try:
        tree = parse(python)
    except SyntaxError:
        return None
    nodes = walk(tree)
    is_known = all(isinstance(node, _KNOWN) and not isinstance(node, ast.MatMult) for node in nodes)
    if len(tree.body) != 1 or not is_known:
        return None
    query = Query([], [], [])
    functions = {node.func for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            start, end = node.col_offset, node.end_col_offset or 0
            if text[start] == "@":
                query.variables.append(Part(start + 1, end, text[start + 1 : end]))
            elif node not in functions:
                query.columns.append(_column(text, node))
    _add_compared(query, tree.body[0], text)
    return query


def _column(text: str, node: ast.Name) -> Part:
    start, end = node.col_offset, node.end_col_offset or 0
    return Part(start, end, text[start + 1 : end - 1] if text[start] == "`" else text[start:end])


def _add_compared(query: Query, node: ast.AST, text: str) -> None:
    """Add the texts with which a condition, or a part of it, compares a column."""
    work = [node]
    while work:
        match work.pop():
            case ast.Expr(value=value):
                work.append(value)
            case ast.BoolOp(values=values):
                work += values
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr(), left=left, right=right):
                work += [left, right]
            case ast.Compare() as comparison:
                _add_compared_in(query, comparison, text)


def _add_compared_in(query: Query, node: ast.Compare, text: str) -> None:
    column, other = node.left, node.comparators[0]
    if isinstance(column, ast.Constant):
        column, other = other, column
    if len(node.ops) > 1 or not isinstance(column, ast.Name) or text[column.col_offset] == "@":
        return
    texts: list[ast.expr] = []
    match node.ops[0], other:
        case ast.Eq(), _:
            texts = [other]
        case ast.In(), (ast.List() | ast.Tuple()):
            texts = other.elts
    for each in texts:
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            start, end = each.col_offset + 1, (each.end_col_offset or 0) - 1
            if text[start:end] == each.value:
                query.compared.append((_column(text, column).text, Part(start, end, each.value)))
