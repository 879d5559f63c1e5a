"""The objects that the code of a cell, or a cell to be executed before it, may have changed. Pure."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.languages import as_python
from jupyter_turbopilot.fixes.labels import LabelLookup
from jupyter_turbopilot.fixes.parsed_cell import expression_of, identifiers_in
from jupyter_turbopilot.suggestion.column_methods import CHANGING, NOT_CHANGING, changed_columns
from jupyter_turbopilot.suggestion.resolve import bindings, binds_anything
from jupyter_turbopilot.util.bounds import count_operations
from jupyter_turbopilot.util.syntax_tree import walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.fixes.parsed_cell import ParsedCell
    from jupyter_turbopilot.fixes.report import KernelReport, ObjectDescription
    from jupyter_turbopilot.protocol.request import CheckRequest

# Packages whose functions and methods change no objects but their own, their owner and their arguments.
_LIBRARIES = frozenset({"matplotlib", "numpy", "pandas", "plotly", "polars", "scipy", "seaborn"})
_PACKAGES = (_LIBRARIES | sys.stdlib_module_names) - {"importlib"}
_HARMLESS = NOT_CHANGING - {"filter", "map", "next"}
_LITERAL = (ast.Constant, ast.List, ast.Slice, ast.Compare)
_CALLING = frozenset({"agg", "aggregate", "apply", "applymap", "filter", "map", "pipe", "transform"})
# The parts of these may not be executed, or their errors may be caught.
_DOUBTFUL = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.GeneratorExp, ast.If, ast.IfExp,
    ast.While, ast.Match, ast.Try, ast.TryStar, ast.With, ast.AsyncWith, ast.BoolOp, ast.Assert,
    ast.AnnAssign,
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
    """Return whether a loop, a comprehension or a comparison may not evaluate all of its parts."""
    if isinstance(node, ast.For | ast.AsyncFor):
        nodes = walk(node)
        count_operations(len(nodes))
        return any(isinstance(each, ast.Break | ast.Continue) for each in nodes)
    is_chained = isinstance(node, ast.Compare) and len(node.ops) > 1
    return is_chained or any(each.ifs for each in getattr(node, "generators", ()))


class Effects:
    """The objects of a cell as the kernel described them, until the code that is executed may change them."""

    def __init__(self, request: CheckRequest, parsed: ParsedCell, report: KernelReport) -> None:
        self.labels = LabelLookup(parsed, self.described)
        self.has_imported = False  # whether modules, or classes of libraries, may have more attributes
        self.has_all_names = not (parsed.scopes.open or binds_anything(parsed.source))
        self.added: set[object] = set()  # labels and attributes that any object may have now
        self._parsed, self._report = parsed, report
        self.free = frozenset(parsed.scopes.free)
        self._scopes = dict(parsed.scopes.nodes)
        self._changed = {*words_in_magics(parsed.source)}  # names and expressions
        self._is_any_changed = binds_anything(parsed.source)
        self._read_other_cells(request)

    def _read_other_cells(self, request: CheckRequest) -> None:
        own = (each.type or "" for each in self._report.objects.values() if each.module == "__main__")
        words = identifiers_in(self._parsed.source).union(own)
        executed = Counter(cell.execution_count for cell in request.cells)
        for at, cell in enumerate(request.cells):
            source, count = cell.source or "", cell.execution_count
            count_operations(2 + len(source) // 32)
            if cell.type != "code":
                continue
            if "autoreload" in source:
                self.has_imported = self._is_any_changed = True
            # Counts of an earlier process of the kernel may be higher, or appear twice.
            is_current = cell.changed is False and count is not None and executed[count] == 1
            if at == request.active or (is_current and (count or 0) <= (self._report.executions or 0)):
                continue
            if cell.source is None or binds_anything(source):
                self.has_all_names = False
                self._is_any_changed = self._is_any_changed or at < request.active
            elif at < request.active and not words.isdisjoint(identifiers_in(source)):
                self._changed |= bindings(as_python(source)) | words_in_magics(source)
                for table, label in changed_columns(source):
                    self._changed.add(table)
                    self.added.add(label)

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
        found = self._report.objects.get(expression_of(node) or "")
        is_of_library = found is not None and found.name is not None and _package(found) in _PACKAGES
        for each in chain(node):
            is_inner = isinstance(each, ast.Name) and self._scopes[each].owner(each.id).outer
            expression = expression_of(each)
            instance = self._report.objects.get(expression or "")
            is_of_changed = instance is not None and instance.type in self._changed  # its class is
            if is_inner or is_of_changed or expression in self._changed:
                return True
        return self._is_any_changed and not is_of_library

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
                self.has_imported = True
                self._changed.add(alias or name.partition(".")[0])
            case _ if isinstance(bound := getattr(node, "name", None), str):
                # A function, a class, `except … as` or a pattern; a decorator may register it anywhere.
                self._changed.add(bound)
                self._is_any_changed = self._is_any_changed or bool(getattr(node, "decorator_list", ()))

    def _is_harmless(self, node: ast.expr) -> bool:
        """Return whether the use of an object changes no other object, nor its own attributes."""
        for each in chain(node):
            if found := self._report.objects.get(expression_of(each) or ""):
                # What a container contains is unknown.
                packages = _PACKAGES if each is node or found.name else _LIBRARIES
                return found.labels is not None or _package(found) in packages
        return isinstance(each, ast.Constant | ast.JoinedStr | ast.BinOp | ast.UnaryOp | ast.Compare)

    def _read(self, node: ast.Name | ast.Attribute | ast.Subscript) -> None:
        """Record an object that gets another name, and one that any use may change."""
        parent = self._parsed.parents[node]
        if not isinstance(parent, _READING):
            self._changed.add(expression_of(node) or "")
        used = node.value if isinstance(node, ast.Attribute) else node
        is_complete = used is not node or not isinstance(parent, ast.Attribute)
        owner = self.described(used) if is_complete else None
        if owner and not self._is_harmless(used):
            # A method that the kernel has found in a closed object is not computed. `_call` records its call.
            # A function of a module is not computed either, but the module may have been loaded again.
            is_closed = owner.closed and owner.attributes is not None and owner.name is None
            is_found = is_closed and self.described(node) is not None
            if used is node or not is_found or not self._parsed.call_of(node):
                self._changed.add(expression_of(used) or "")

    def _assign(self, node: ast.Name | ast.Attribute | ast.Subscript) -> None:
        """Record a name that is bound or deleted, or an object of which a part is."""
        self._changed.add(expression_of(chain(node)[-1]) or "")
        key = getattr(node, "slice", None)
        # The object may have several names, and an attribute may be that of a class.
        self.added.update(each.value for each in walk(key or node) if isinstance(each, ast.Constant))
        key = key.elts[-1] if isinstance(key, ast.Tuple) and key.elts else key
        if not isinstance(node, ast.Name) and not isinstance(key, _LITERAL):
            self._is_any_changed = True

    def _call(self, node: ast.Call) -> None:
        """Record the objects that a call may change: that of the method, the arguments, or any."""
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        match node.func:
            case ast.Name(id=name) if name in _HARMLESS:
                return
            case ast.Name(id=name):
                is_bounded = name[0].isupper()  # a class
            case ast.Attribute(value=value, attr=name):
                is_in_place = name in CHANGING or any(each.arg == "inplace" for each in node.keywords)
                found = self._report.objects.get(expression_of(value) or "")
                is_class = found is not None and (found.type or "").endswith(("type", "Type", "Meta"))
                first = chain(value)[-1]
                is_bound = isinstance(first, ast.Name) and first not in self.free  # in this cell
                is_bounded = not (is_in_place or is_class or is_bound) and self._is_harmless(value)
                if name in _CALLING:
                    functions = [each for each in arguments if isinstance(each, ast.Name | ast.Attribute)]
                    is_bounded = is_bounded and _HARMLESS.issuperset(map(expression_of, functions))
                # The methods of tables add no columns.
                if not self.is_pandas(value) and not (found and found.name):
                    self._changed.add(expression_of(value) or "")
            case _:
                is_bounded = False
        self._is_any_changed = self._is_any_changed or not is_bounded
        self._changed.update(expression_of(each) or "" for each in arguments)


def chain(node: ast.expr) -> list[ast.expr]:
    """Return an expression and those that it begins with: a call, its function, the object of the method."""
    found = [node]
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        count_operations(1)
        node = node.func if isinstance(node, ast.Call) else node.value
        found.append(node)
    return found


def _package(described: ObjectDescription) -> str:
    return (described.name or described.module or "").partition(".")[0]


def words_in_magics(source: str) -> frozenset[str]:
    """Return the identifiers in the lines of a cell that are not Python."""
    if not any(mark in source for mark in "%!?"):
        return frozenset()
    lines = zip(source.split("\n"), as_python(source).split("\n"), strict=False)
    return frozenset().union(*(identifiers_in(line) for line, python in lines if line != python))
