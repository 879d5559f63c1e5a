"""Misspelled columns, index levels and dictionary keys. Pure."""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from typing import TYPE_CHECKING, TypeGuard

from jupyter_turbopilot.fixes.fix import Fix
from jupyter_turbopilot.fixes.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.fixes.failure import Failure
    from jupyter_turbopilot.fixes.fix import Edit
    from jupyter_turbopilot.fixes.report import ObjectDescription

MOST_TITLE = 60  # characters of a label in a title
# The missing label in messages that do not quote it as Python does, or that quote other labels, too.
_MISSING = re.compile(
    r"Columns? not found: (.+)|Level (.+) not found|Requested level \((.+)\) does"
    r"|Could not interpret (?:value|input) [`'](.+?)[`']|but received: (.+?)(?: To use the index.*)?\Z"
    r"|unable to find column \"(.+?)\"; valid|\A\"(.+?)\" not found",
    re.DOTALL,
)
_KNOWN = re.compile(r"(?:valid columns: |Expected one of )(\[.*?\])(?= but received|\n|$)", re.DOTALL)
_PLAIN = re.compile(r"""(["'])[^"'\\\n]*\1""")
# Methods and accessors of tables whose result has the same columns.
_SAME_COLUMNS = """
    bfill clip collect copy drop_duplicates dropna ffill fillna filter group_by groupby head lazy nlargest
    nsmallest plot query resample reset_index rolling round sample sort sort_index sort_values tail
"""
_SAME = frozenset(_SAME_COLUMNS.split())
_ON_LEVELS = frozenset({"reset_index", "droplevel", "swaplevel", "unstack"})  # their positional arguments
_NOT_ON_COLUMNS = frozenset({"asof", "eval", "get_group", "query", "reindex", "sort_index", "truncate", "xs"})
_BY_AXIS = {"drop": "labels", "rename": "mapper"}  # names of the parameter whose meaning `axis` decides
_TABLES = frozenset({"data", "data_frame", "left", "right"})  # names of parameters
_JOINS = frozenset({"join", "merge", "merge_asof", "merge_ordered"})


def find(failure: Failure) -> Iterator[Fix]:
    """Find the nearest existing label for a missing one that the failed expression contains as a literal."""
    text = _text(failure)
    if failure.tree is None or not text:
        return
    parents = {child: node for node in ast.walk(failure.tree) for child in ast.iter_child_nodes(node)}
    strings = [node for node in failure.nodes(ast.Constant) if isinstance(node.value, str)]
    edits: list[Edit] = []
    labels: list[str] = []
    least = 1.0
    for node in strings:
        if not _is_missing(str(node.value), text):
            continue
        known = _from_message(failure.message) or _Labels(failure, parents).of(node)
        if not known or node.value in known:
            continue
        near = nearest(str(node.value), known, kind="key")
        edit = near and replacement(failure, node, near[0])
        if not (near and edit) or sum(other.value == node.value for other in strings) > 1:
            return
        edits.append(edit)
        labels.append(quoted(near[0]))
        least = min(least, near[1])
    if edits and failure.parses_with(edits):
        title = f"Did you mean {' and '.join(labels)}?"
        yield Fix(title=title, source="kernel", confidence=least, edits=edits, run=failure.reruns)


def quoted(label: str) -> str:
    """Return a label as shown in a title."""
    return repr(label if len(label) <= MOST_TITLE else f"{label[: MOST_TITLE - 1]}…")


def replacement(failure: Failure, node: ast.Constant, label: str) -> Edit | None:
    """Return the edit that replaces the label in a string literal, with the same quotes if possible."""
    start, end = failure.span(node)
    old = failure.source[start:end]
    try:
        if ast.literal_eval(old) != node.value:
            return None
    except (SyntaxError, ValueError):
        return None  # a part of an f-string
    if _PLAIN.fullmatch(old) and label.isprintable() and not {old[0], "\\"} & {*label}:
        return failure.edit(start + 1, end - 1, label)
    return failure.edit(start, end, repr(label))


def _text(failure: Failure) -> str:
    """Return the message; that of a KeyError is the `repr` of its argument."""
    text = failure.message
    if failure.name == "KeyError":
        if failure.report.error and failure.report.error.key is not None:
            return failure.report.error.key
        with suppress(SyntaxError, ValueError, MemoryError, RecursionError):
            value = ast.literal_eval(text)
            return value if isinstance(value, str) else text
    return text


def _is_missing(label: str, text: str) -> bool:
    """Return whether a message names a label as missing."""
    if found := _MISSING.search(text):
        named = next(filter(None, found.groups()))
        return label == named or repr(label) in named
    is_column_error = text.startswith(
        ("[", "None of ", "Label(s) ", "Column(s) ", "Index(", "Only a column name", "The following")
    )
    return label == text or (is_column_error and repr(label) in text)


def _from_message(message: str) -> Sequence[str]:
    """Return the existing labels that a message lists."""
    if found := _KNOWN.search(message):
        with suppress(SyntaxError, ValueError, MemoryError, RecursionError):
            return [label for label in ast.literal_eval(found[1]) if isinstance(label, str)]
    return ()


def _is_locator(node: ast.AST | None) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and node.attr in {"loc", "at", "iloc", "iat"}


def _is_polars(table: ObjectDescription) -> bool:
    return (table.module or "").startswith("polars")


def _has_columns_axis(call: ast.Call) -> bool:
    values = [each.value for each in call.keywords if each.arg == "axis"]
    return any(isinstance(value, ast.Constant) and value.value in {1, "columns"} for value in values)


def _of_join(tables: Sequence[ObjectDescription], word: str | None, *, is_left: bool) -> Sequence[str]:
    """Return the labels that a parameter of a join refers to."""
    left, *right = (table.labels or [] for table in tables)
    if word == "left_on" or (word == "on" and is_left):
        return left
    if not right or word not in {"on", "right_on", "by"}:
        return ()
    return [label for label in right[0] if word == "right_on" or label in left]


def _is_of_rows(call: ast.Call, method: str, word: str | None, table: ObjectDescription) -> bool:
    """Return whether an argument of a table's method refers to labels of rows, or to none."""
    if method in _NOT_ON_COLUMNS or (method in _BY_AXIS and word == "index"):
        return True
    if method in _BY_AXIS:
        is_of_rows = word in {None, _BY_AXIS[method]} and not _is_polars(table)
    else:
        grouped = call.func.value if isinstance(call.func, ast.Attribute) else call
        is_of_rows = method == "apply" and ".group" not in ast.unparse(grouped)
    return is_of_rows and not _has_columns_axis(call)


class _Labels:
    """The labels that a string in the failed expression may refer to."""

    def __init__(self, failure: Failure, parents: dict[ast.AST, ast.AST]) -> None:
        self._failure = failure
        self._parents = parents

    def of(self, node: ast.AST) -> Sequence[str]:
        """Return the labels among which a string is looked up; empty if the object is unknown."""
        direct = self._parents.get(node)
        if isinstance(direct, ast.Attribute | ast.Subscript) and direct.value is node:
            return ()  # a part of the string is looked up, or the result of its method
        is_level = False
        while parent := self._parents.get(node):
            match parent:
                case ast.Subscript(slice=index) if index is node:
                    if not isinstance(parent.value, ast.Name) or not self._is_bound_by_lambda(parent):
                        return self._of_subscript(parent, node)
                case ast.Call() if node is not parent.func:
                    known = self._of_call(parent, node, is_level=is_level)
                    if known is not None:
                        return known
                case ast.keyword(arg="level"):
                    is_level = True
                case ast.stmt():
                    break
                case ast.Tuple() if _is_locator(owner := getattr(self._parents[parent], "value", None)):
                    return self._columns(owner.value) if node in parent.elts[1:] else ()
            node = parent
        return ()

    def _of_subscript(self, node: ast.Subscript, index: ast.AST) -> Sequence[str]:
        if _is_locator(node.value):
            return ()  # labels of rows
        found = self._described(node.value)
        if found and found.keys is not None and not isinstance(index, ast.List):
            # `counts["new"] += 1` misses the start value rather than another key.
            return () if isinstance(self._parents.get(node), ast.AugAssign) else found.keys
        return self._columns(node.value)

    def _of_call(self, call: ast.Call, node: ast.AST, *, is_level: bool) -> Sequence[str] | None:
        """Return the labels that an argument of a call refers to; None if another call around it decides."""
        owner, method = (
            (call.func.value, call.func.attr)
            if isinstance(call.func, ast.Attribute)
            else (None, ast.unparse(call.func))
        )
        if method == "col":
            return None  # the table that the expression is passed to
        found = self._described(owner) if owner else None
        if found and found.keys is not None:
            return found.keys if method == "pop" and node in call.args[:1] else ()
        tables = [*([owner] if owner else ()), *(each.value for each in call.keywords if each.arg in _TABLES)]
        known = [*filter(None, map(self._table, (*tables, *call.args)))]
        word = node.arg if isinstance(node, ast.keyword) else None
        if not known:
            return ()
        table = known[0]
        if is_level or method in _ON_LEVELS:
            return table.levels
        if method in _JOINS:
            return _of_join(known, word, is_left=method == "join" and not _is_polars(table))
        return () if _is_of_rows(call, method, word, table) else [*(table.labels or ()), *table.levels]

    def _columns(self, node: ast.expr) -> Sequence[str]:
        table = self._table(node)
        return (table.labels or ()) if table else ()

    def _table(self, node: ast.expr) -> ObjectDescription | None:
        """Return the table whose columns an expression has."""
        found = self._described(node)
        if found and found.labels is not None:
            return found
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in _SAME:
                return self._table(value)
            case ast.Attribute(value=value, attr=name) if name in _SAME:
                return self._table(value)
            case ast.Subscript(value=value, slice=ast.Compare() | ast.BinOp() | ast.UnaryOp()):
                return self._table(value.value if _is_locator(value) else value)
            case ast.Name():
                return self._iterated(node)
        return None

    def _iterated(self, node: ast.expr) -> ObjectDescription | None:
        """Return the table whose rows a loop assigns to a name."""
        if not isinstance(node, ast.Name) or self._failure.tree is None:
            return None
        for loop in ast.walk(self._failure.tree):
            match loop:
                case ast.For() | ast.comprehension():
                    names = {each.id for each in ast.walk(loop.target) if isinstance(each, ast.Name)}
                    match loop.iter:
                        case ast.Call(func=ast.Attribute(value=value, attr="iterrows")) if node.id in names:
                            return self._table(value)
        return None

    def _is_bound_by_lambda(self, node: ast.Subscript) -> bool:
        """Return whether a subscripted name is a parameter of a lambda, such as a row in `apply`."""
        name = node.value.id if isinstance(node.value, ast.Name) else ""
        if (found := self._described(node.value)) and (found.labels is not None or found.keys is not None):
            return False
        parent = self._parents.get(node)
        while parent and not isinstance(parent, ast.Lambda | ast.stmt):
            parent = self._parents.get(parent)
        return isinstance(parent, ast.Lambda) and any(each.arg == name for each in parent.args.args)

    def _described(self, node: ast.expr) -> ObjectDescription | None:
        return self._failure.report.objects.get(ast.unparse(node))
