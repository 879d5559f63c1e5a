"""The evaluation of expressions, node by node, for as long as it runs no code but that of libraries. Pure.

A node is *quiet* if a rule here says so: the call of a function of a known library with inert arguments, an
operator, a subscript or an iteration whose operands are inert, an attribute that no code computes. The
evaluation ends at the first other node: after it, any name may be bound and any object changed.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, TypeAlias

from jupyter_turbopilot.analysis.library_facts import methods
from jupyter_turbopilot.analysis.parsed_cell import chain
from jupyter_turbopilot.fixes import quiet
from jupyter_turbopilot.fixes.labels import LabelLookup
from jupyter_turbopilot.fixes.objects import INERT, UNKNOWN, Objects, OpaqueError, Value
from jupyter_turbopilot.util.bounds import count_operations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from jupyter_turbopilot.analysis.parsed_cell import ParsedCell
    from jupyter_turbopilot.analysis.report import KernelReport

Visit: TypeAlias = "Iterator[tuple[ast.AST, bool]]"  # nodes, with whether they are certainly evaluated
_Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_VIEWS, _ADDING, _BY_ROW = methods("group", "window"), methods("more"), methods("rows")


class Expressions:
    """The evaluation of the expressions of cells.

    The methods `_visit_…` yield the parts of a node in the order of their evaluation, with whether they
    certainly run, and then evaluate the node itself.
    """

    def __init__(self, report: KernelReport) -> None:
        self.objects = Objects(report)

    def run(self, parsed: ParsedCell, judge: Callable[[ast.AST], None] | None = None) -> bool:
        """Evaluate a cell; return whether all of it is quiet. `judge` gets the nodes that certainly run.

        When it gets a node, the parts of the node have been evaluated, and nothing else has.
        """
        self.objects.open(parsed, may_be_skipped=judge is None)
        self.labels = LabelLookup(parsed, self.objects.described, has_rows=False)
        self._parsed, self._judge = parsed, judge
        work = [self._visit(parsed.scopes.tree, is_certain=True)]
        try:
            while work:
                count_operations(3)
                if part := next(work[-1], None):
                    work.append(self._visit(part[0], is_certain=part[1]))
                else:
                    work.pop()
        except OpaqueError:
            return False
        return True

    def _visit(self, node: ast.AST, *, is_certain: bool) -> Visit:
        visit = getattr(self, f"_visit_{type(node).__name__.lower()}", self._visit_other)
        found: Visit = visit(node, is_certain=is_certain)
        return found

    def _visit_other(self, node: ast.AST, *, is_certain: bool) -> Visit:
        yield from all_of(parts_of(node), is_certain=is_certain)
        if is_certain and self._judge:
            self._judge(node)
        if isinstance(node, ast.expr | ast.keyword):
            self.objects.values[node] = quiet.evaluate(node, self.objects)

    def _visit_opaque(self, node: ast.AST, *, is_certain: bool) -> Visit:
        yield from all_of(parts_of(node), is_certain=is_certain)
        raise OpaqueError

    _visit_await = _visit_yield = _visit_yieldfrom = _visit_opaque

    def _visit_lambda(self, node: ast.Lambda, *, is_certain: bool) -> Visit:
        yield from all_of([*node.args.defaults, *node.args.kw_defaults], is_certain=is_certain)
        self.objects.values[node] = UNKNOWN

    def _visit_ifexp(self, node: ast.IfExp, *, is_certain: bool) -> Visit:
        yield node.test, is_certain
        self.objects.require(node.test)
        yield from all_of([node.body, node.orelse], is_certain=False)
        self.objects.values[node] = Value(is_inert=self.objects.are_inert([node.body, node.orelse]))

    def _visit_boolop(self, node: ast.BoolOp, *, is_certain: bool) -> Visit:
        yield node.values[0], is_certain
        yield from all_of(node.values[1:], is_certain=False)
        self.objects.require(*node.values[:-1])
        self.objects.values[node] = Value(is_inert=self.objects.are_inert(node.values))

    def _visit_compare(self, node: ast.Compare, *, is_certain: bool) -> Visit:
        operands = [node.left, *node.comparators]
        yield from all_of(operands[:2], is_certain=is_certain)
        yield from all_of(operands[2:], is_certain=False)
        if not all(isinstance(each, ast.Is | ast.IsNot) for each in node.ops):
            self.objects.require(*operands)
        if is_certain and self._judge:
            self._judge(node)
        self.objects.values[node] = self.objects.new()

    def _visit_namedexpr(self, node: ast.NamedExpr, *, is_certain: bool) -> Visit:
        yield node.value, is_certain
        value = self.objects.values[node] = self.objects.value(node.value)
        self.objects.bind(node, node.target.id, value, is_certain=is_certain)

    def _visit_comprehension_of(self, node: _Comprehension, *, is_certain: bool) -> Visit:
        if any(isinstance(each, ast.NamedExpr) for each in ast.walk(node)):
            raise OpaqueError
        is_generator, is_run = isinstance(node, ast.GeneratorExp), is_certain
        for generator in node.generators:
            if generator.is_async:
                raise OpaqueError
            yield generator.iter, is_run
            self.objects.require(generator.iter)
            is_run = is_run and not is_generator and self.objects.has_items(generator.iter)
            yield from self._iterate(generator.target, generator.iter)
            yield from all_of(generator.ifs[:1], is_certain=is_run)
            yield from all_of(generator.ifs[1:], is_certain=False)
            self.objects.require(*generator.ifs)
            is_run = is_run and not generator.ifs
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        yield from all_of(parts, is_certain=is_run)
        if isinstance(node, ast.SetComp | ast.DictComp):
            self.objects.require(parts[0])
        is_inert = self.objects.are_inert(parts) and (not is_generator or self._is_consumed(node))
        self.objects.values[node] = self.objects.new(is_inert=is_inert)

    _visit_listcomp = _visit_setcomp = _visit_dictcomp = _visit_generatorexp = _visit_comprehension_of

    def _is_consumed(self, node: ast.AST) -> bool:
        """Return whether a call consumes a generator at once: later, its names may have other objects."""
        parent = self._parsed.parents[node]
        function = parent.func if isinstance(parent, ast.Call) else None
        is_join = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Constant)
        return is_join or (function is not None and self.objects.value(function).function in quiet.CONSUMING)

    # Targets ------------------------------------------------------------------------------------------------

    def _assign(
        self, target: ast.expr, value: Value, *, is_certain: bool, table: Value | None = None
    ) -> Visit:
        """Yield the parts of a target, and assign an object to it. `table`: the same as a known table."""
        match target:
            case ast.Name(id=name):
                self.objects.bind(target, name, table or value, is_certain=is_certain)
                return
            case ast.Starred(value=inner):
                yield from self._assign(inner, INERT, is_certain=is_certain)
                return
        if not value.is_inert:
            raise OpaqueError
        match target:
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                for each in targets:
                    yield from self._assign(each, INERT, is_certain=is_certain)
            case ast.Attribute(value=owner, attr=attribute):
                yield owner, is_certain
                self.objects.require(owner)
                self.objects.set_attribute(owner, attribute)
            case ast.Subscript(value=owner, slice=index):
                yield from all_of([owner, index], is_certain=is_certain)
                self.objects.require(owner, index)
                self.objects.set_item(owner, index)
            case _:
                raise OpaqueError

    def _iterate(self, target: ast.expr, iterable: ast.expr) -> Visit:
        """Yield the parts of a target, and assign an object to it that an iteration yields."""
        yield from self._assign(target, INERT, is_certain=False)
        if self.objects.value(iterable).kind == "other":  # an iterator may call functions
            self.objects.has_any_file = self.objects.has_any_value = True
        match target, iterable:
            case (
                ast.Tuple(elts=[_, ast.Name() as row]),
                ast.Call(func=ast.Attribute(value=table, attr=method)),
            ) if method in _BY_ROW:
                has_rows = self.objects.value(iterable).size > 0
                if has_rows and (found := self.labels.table(table)) and not self.adds_columns(table):
                    self.objects.bind(row, row.id, self.objects.new_rows(found), is_certain=True)

    def _table(self, node: ast.expr) -> Value | None:
        """Return a new table if an expression makes one with the columns of a known one."""
        if self.objects.value(node).expression or len(chain(node)) == 1 or self.adds_columns(node):
            return None
        found = self.labels.table(node)
        if found is None:
            return None
        new = self.objects.new_rows(found, module=found.module)
        is_view = any(getattr(each, "attr", "") in _VIEWS for each in chain(node))
        return new._replace(number=self.objects.value(chain(node)[-1]).number) if is_view else new

    def adds_columns(self, node: ast.expr) -> bool:
        """Return whether an expression may have other columns than the table at its beginning."""
        functions = (each.func for each in chain(node) if isinstance(each, ast.Call))
        return any(getattr(each, "attr", "") in _ADDING for each in functions) or any(
            isinstance(each, ast.Attribute) and each.attr in self.objects.added for each in chain(node)
        )


def all_of(nodes: Iterable[ast.AST | None], *, is_certain: bool) -> Visit:
    """Yield the nodes that there are."""
    for node in nodes:
        if node:
            yield node, is_certain


def parts_of(node: ast.AST) -> list[ast.AST]:
    """Return the parts of a node that are evaluated: no operators and contexts."""
    kinds = ast.expr | ast.stmt | ast.keyword
    if isinstance(node, ast.Dict):
        return [part for pair in zip(node.keys, node.values, strict=True) for part in pair if part]
    return [part for part in ast.iter_child_nodes(node) if isinstance(part, kinds)]
