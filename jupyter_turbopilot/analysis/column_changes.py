"""Code that changes the columns of tables. Pure."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.languages import as_python, without_cell_magic
from jupyter_turbopilot.analysis.library_facts import methods, parameters
from jupyter_turbopilot.analysis.resolve import EVERYWHERE
from jupyter_turbopilot.util.bounds import cached_function, count_operations
from jupyter_turbopilot.util.syntax_tree import parse, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

CHANGING = methods("changes", library="pandas") | methods("changes", library="polars")
_IN_PLACE = parameters("changes")
NOT_CHANGING = EVERYWHERE - {"delattr", "exec", "setattr"}  # functions that do not change a table
_OF_CONTAINERS = methods("changes", "empties", library="builtins") | {"append", "reverse", "sort"}
_WORD = re.compile(r"[^\W\d]\w*+")


@cached_function(2**23)
def changed_columns(source: str) -> frozenset[tuple[str, str]]:
    """Return the tables that a source changes, with the label that it assigns, or "" for other changes."""
    try:
        tree = parse(as_python(without_cell_magic(source)))
    except SyntaxError:
        return loose_changes(source)
    return frozenset(change for change in changes(tree) if change[0])


def loose_changes(source: str) -> frozenset[tuple[str, str]]:
    """Return the tables that unparsable text may change: any name."""
    count_operations(len(source) // 4)
    return frozenset((word, "") for word in _WORD.findall(source))


@cached_function(2**23)
def changed_parts(source: str) -> frozenset[tuple[str, str]]:
    """Return the objects with the labels to which a source assigns, or "" where a method changes the object.

    Unlike `changed_columns`, also labels whose old values the assignment needs.
    """
    try:
        nodes = walk(parse(as_python(without_cell_magic(source))))
    except SyntaxError:
        return frozenset()  # all its words have changed columns
    found = set[tuple[str, str]]()
    for node in nodes:
        match node:
            case ast.Subscript(ctx=ast.Store() | ast.Del()) if label := _label(node):
                found.add(label)
            case ast.Call(func=ast.Attribute(attr=method) as function) if method in _OF_CONTAINERS:
                found.add((_variable(function), ""))
    return frozenset(found)


def changes(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the tables that a cell changes, with the label that it assigns, or ""; an empty name: unknown.

    A label whose old value the assignment needs is not new: if no table has it, it is misspelled.
    """
    nodes = walk(tree)
    needed = {target for node in nodes for target in _updated(node)}
    for node in nodes:
        if node in needed:
            continue
        if isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
            label = _label(node) if isinstance(node.ctx, ast.Store) else None
            yield label or (_variable(node), "")
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                in_place = any(each.arg in _IN_PLACE for each in node.keywords)
                if in_place or node.func.attr in CHANGING:
                    yield _variable(node.func), ""
            elif isinstance(node.func, ast.Name) and node.func.id not in NOT_CHANGING:
                for each in (*node.args, *(argument.value for argument in node.keywords)):
                    yield _variable(each), ""


def _updated(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the columns to which a statement assigns and whose old values it needs."""
    if isinstance(node, ast.AugAssign) and _label(node.target):
        yield node.target
    elif isinstance(node, ast.Assign) and any(map(_label, node.targets)):
        read = {_label(each) for each in walk(node.value)}
        yield from (target for target in node.targets if _label(target) and _label(target) in read)


def _label(node: ast.AST) -> tuple[str, str] | None:
    """Return the variable and the label of a column: `table["label"]`."""
    match node:
        case ast.Subscript(value=ast.Name(table), slice=ast.Constant(str(label))):
            return table, label
    return None


def _variable(node: ast.expr) -> str:
    """Return the variable with which a chain of attributes and subscripts begins, or an empty string."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
