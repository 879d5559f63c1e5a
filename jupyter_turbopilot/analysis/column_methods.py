"""Code that names or changes columns of tables, with pandas and libraries that take its tables. Pure."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.languages import as_python, without_cell_magic
from jupyter_turbopilot.analysis.resolve import EVERYWHERE
from jupyter_turbopilot.util.bounds import cached_function, count_operations
from jupyter_turbopilot.util.syntax_tree import parse, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

# The arguments of a table's methods that name its columns: by position or name, as one label or as a list.
_COLUMNS = {
    "boxplot": "0 column by",
    "drop": "columns",
    "drop_duplicates": "0 subset",
    "dropna": "subset",
    "duplicated": "0 subset",
    "explode": "0 column",
    "groupby": "0 by",
    "hist": "0 column by",
    "melt": "0 1 id_vars value_vars",
    "merge": "on left_on right_on",  # the last names columns of the other table
    "nlargest": "1 columns",
    "nsmallest": "1 columns",
    "pivot": "index columns values",
    "pivot_table": "0 1 2 index columns values",
    "plot": "x y",
    "scatter": "0 1 x y",
    "set_index": "0 keys",
    "sort_values": "0 by",
    "value_counts": "0 subset",
}
# The arguments that are dictionaries whose keys are columns.
_KEYS = {
    "agg": "0 func",
    "aggregate": "0 func",
    "astype": "0 dtype",
    "fillna": "0 value",
    "rename": "columns",
}
# The keyword arguments that name columns in nearly all functions and methods.
COLUMN_KEYWORDS = frozenset(
    {"by", "col", "column", "columns", "hue", "id_vars", "index_col", "keys", "left_on", "on", "right_on",
     "row", "size", "style", "subset", "value_vars", "values", "x", "y"}
)  # fmt: skip
# Methods whose result has the same columns, or lets a column be selected.
KEEPING_COLUMNS = frozenset(
    {"copy", "drop_duplicates", "dropna", "fillna", "groupby", "head", "nlargest", "nsmallest", "query",
     "sample", "sort_index", "sort_values", "tail"}
)  # fmt: skip
CHANGING = frozenset({"__setitem__", "insert", "pop", "update"})  # methods that change the columns
NOT_CHANGING = EVERYWHERE - {"delattr", "exec", "setattr"}  # functions that do not change a table
_WORD = re.compile(r"[^\W\d]\w*+")


def names_columns(method: str, argument: str, *, is_dict: bool = False) -> bool:
    """Return whether an argument, by number or name, names columns; with `is_dict`, by its keys."""
    table = _KEYS if is_dict else _COLUMNS
    return argument in table.get(method, "").split()


@cached_function(2**23)
def changed_columns(source: str) -> frozenset[tuple[str, str]]:
    """Return the tables that a source changes, with the label that it assigns, or "" for other changes."""
    try:
        tree = parse(as_python(without_cell_magic(source)))
    except SyntaxError:
        count_operations(len(source) // 4)
        return frozenset((word, "") for word in _WORD.findall(source))
    return frozenset(change for change in changes(tree) if change[0])


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
                in_place = any(each.arg == "inplace" for each in node.keywords)
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
