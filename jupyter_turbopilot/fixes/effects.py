"""The objects that the code of a cell, or a cell to be executed before it, may have changed. Pure."""

from __future__ import annotations

import ast
import re
from collections import Counter
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.languages import as_python
from jupyter_turbopilot.fixes.labels import LabelLookup
from jupyter_turbopilot.fixes.parsed_cell import expression_of, identifiers_in
from jupyter_turbopilot.suggestion.column_methods import CHANGING, NOT_CHANGING, changed_columns
from jupyter_turbopilot.suggestion.resolve import bindings, binds_anything
from jupyter_turbopilot.util.bounds import count_operations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.fixes.parsed_cell import ParsedCell
    from jupyter_turbopilot.fixes.report import KernelReport, ObjectDescription
    from jupyter_turbopilot.protocol.request import CheckRequest

_DEFINITION = re.compile(r"^[ \t]*+(?:async )?def (\w++)", re.MULTILINE)
# The parts of these may not be executed, or their errors may be caught.
_DOUBTFUL = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.GeneratorExp, ast.If, ast.IfExp,
    ast.While, ast.Match, ast.Try, ast.TryStar, ast.With, ast.AsyncWith, ast.BoolOp, ast.Assert,
)  # fmt: skip
_TARGETS_FIRST = (ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.ListComp, ast.SetComp, ast.DictComp)
# Parents of an object that is only read; in others, it gets another name or becomes part of another object.
_READING = (
    ast.Attribute, ast.Compare, ast.BinOp, ast.UnaryOp, ast.Expr, ast.FormattedValue, ast.If, ast.While,
    ast.Assert, ast.For, ast.comprehension, ast.Slice, ast.AugAssign, ast.Subscript, ast.Call, ast.keyword,
)  # fmt: skip


def in_order(tree: ast.Module) -> Iterator[tuple[ast.AST, bool]]:
    """Yield all nodes in the order of their evaluation, with whether they are certainly evaluated."""
    work: list[tuple[ast.AST, bool, bool]] = [(tree, True, False)]
    while work:
        count_operations(2)
        node, is_certain, is_visited = work.pop()
        if is_visited:
            yield node, is_certain
            continue
        work.append((node, is_certain, True))
        parts = [*ast.iter_child_nodes(node)]
        inside = is_certain and not (isinstance(node, _DOUBTFUL) or _is_left_early(node))
        ordered = parts if isinstance(node, _TARGETS_FIRST) else reversed(parts)
        work += [(part, inside, False) for part in ordered]


def _is_left_early(node: ast.AST) -> bool:
    """Return whether a loop or comprehension may not execute all of its parts for a value."""
    if isinstance(node, ast.For | ast.AsyncFor):
        nodes = [*ast.walk(node)]
        count_operations(len(nodes))
        return any(isinstance(each, ast.Break | ast.Continue) for each in nodes)
    return any(each.ifs for each in getattr(node, "generators", ()))


class Effects:
    """The objects of a cell as the kernel described them, until the code that is executed may change them."""

    def __init__(self, request: CheckRequest, parsed: ParsedCell, report: KernelReport) -> None:
        self.labels = LabelLookup(parsed, self.described)
        self.imported: set[str] = set()  # packages from which the cell has imported; "": any may have changed
        self.has_all_names = not (parsed.scopes.open or binds_anything(parsed.source))
        self._parsed, self._report = parsed, report
        self._scopes = dict(parsed.scopes.nodes)
        self._changed = {*words_in_magics(parsed.source)}  # names and expressions
        self._is_any_changed = False
        self._iterated: set[str] = set()  # variables of loops, which are other names of objects
        self._functions: set[str] = set()  # of the notebook: they may change any object
        self._read_other_cells(request)

    def _read_other_cells(self, request: CheckRequest) -> None:
        words = identifiers_in(self._parsed.source)
        executed = Counter(cell.execution_count for cell in request.cells)
        for at, cell in enumerate(request.cells):
            source, count = cell.source or "", cell.execution_count
            count_operations(2 + len(source) // 32)
            if cell.type != "code":
                continue
            self._functions |= words.intersection(_DEFINITION.findall(source))
            if "autoreload" in source:
                self.imported.add("")
            # Counts of an earlier process of the kernel may be higher, or appear twice.
            is_current = cell.changed is False and count is not None and executed[count] == 1
            if at == request.active or (is_current and (count or 0) <= (self._report.executions or 0)):
                continue
            if cell.source is None or binds_anything(source):
                self.has_all_names = False
                self._is_any_changed = self._is_any_changed or at < request.active
            elif at < request.active and not words.isdisjoint(identifiers_in(source)):
                self._changed |= bindings(as_python(source)) | words_in_magics(source)
                self._changed.update(table for table, _ in changed_columns(source))

    def described(self, node: ast.expr) -> ObjectDescription | None:
        """Return the kernel's description of an expression, unless its object may have changed."""
        found = self._report.objects.get(expression_of(node) or "")
        return None if found is None or self.is_changed(node) else found

    def is_pandas(self, node: ast.expr) -> bool:
        """Return whether an expression has the columns of a known table of pandas."""
        table = self.labels.table(node)
        return table is not None and (table.module or "").startswith("pandas")

    def is_changed(self, node: ast.expr) -> bool:
        """Return whether the object of an expression may have changed, or is that of an inner scope."""
        for each in chain(node):
            count_operations(1)
            is_inner = isinstance(each, ast.Name) and self._scopes[each].owner(each.id).outer
            if is_inner or expression_of(each) in self._changed:
                return True
        return self._is_any_changed

    def execute(self, node: ast.AST) -> None:
        """Record what the evaluation of a node, whose parts have been evaluated, may change."""
        match node:
            case ast.Name() | ast.Attribute() | ast.Subscript() if isinstance(node.ctx, ast.Load):
                self._read(node)
            case ast.Name() | ast.Attribute() | ast.Subscript():
                self._assign(node)
            case ast.Call():
                self._call(node)
            case ast.alias(name=name, asname=alias):
                self._changed.add(alias or name.partition(".")[0])
            case ast.Import():
                self.imported.update(each.name.partition(".")[0] for each in node.names)
            case ast.ImportFrom():
                self.imported.add((node.module or "").partition(".")[0])
            case _ if isinstance(bound := getattr(node, "name", None), str):
                self._changed.add(bound)  # of a function, a class, `except … as`, or a pattern

    def _read(self, node: ast.Name | ast.Attribute | ast.Subscript) -> None:
        """Record an object that gets another name, and a function that is passed to another one."""
        parent = self._parsed.parents[node]
        is_called = isinstance(parent, ast.Call) and node is parent.func
        if isinstance(node, ast.Name) and node.id in self._functions and not is_called:
            self._is_any_changed = True
        if not isinstance(parent, _READING):
            self._changed.add(expression_of(node) or "")

    def _assign(self, node: ast.Name | ast.Attribute | ast.Subscript) -> None:
        """Record a name that is bound or deleted, or an object of which a part is."""
        first = chain(node)[-1]
        name = first.id if isinstance(first, ast.Name) else ""
        self._changed.add(name)
        if first is not node and (not name or name in self._iterated):
            self._is_any_changed = True
        parent = self._parsed.parents[node]
        parent = self._parsed.parents[parent] if isinstance(parent, ast.Tuple) else parent
        if isinstance(parent, ast.For | ast.comprehension):
            self._iterated.add(name)

    def _call(self, node: ast.Call) -> None:
        """Record the objects that a call may change: that of the method, and the arguments."""
        match node.func:
            case ast.Name(id=name):
                self._is_any_changed = self._is_any_changed or name in self._functions
                if name in NOT_CHANGING:
                    return
            case ast.Attribute(value=value, attr=name):
                is_in_place = name in CHANGING or any(each.arg == "inplace" for each in node.keywords)
                if is_in_place or not self.is_pandas(value):  # the other methods of tables add no columns
                    self._change(value)
        for each in (*node.args, *(keyword.value for keyword in node.keywords)):
            argument = each.value if isinstance(each, ast.Starred) else each
            if isinstance(argument, ast.Name):
                self._change(argument)
            else:
                self._changed.add(expression_of(argument) or "")

    def _change(self, node: ast.expr) -> None:
        """Record the object of an expression, and all that contain it but modules."""
        for each in reversed(chain(node)):
            described, expression = self.described(each), expression_of(each)
            if expression and (described is None or described.name is None):
                self._changed.add(expression)
                return


def chain(node: ast.expr) -> list[ast.expr]:
    """Return an expression and those that it begins with: a call, its function, the object of the method."""
    found = [node]
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
        found.append(node)
    return found


def words_in_magics(source: str) -> frozenset[str]:
    """Return the identifiers in the lines of a cell that are not Python."""
    if not any(mark in source for mark in "%!?"):
        return frozenset()
    lines = zip(source.split("\n"), as_python(source).split("\n"), strict=False)
    return frozenset().union(*(identifiers_in(line) for line, python in lines if line != python))
