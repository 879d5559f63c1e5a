"""The evaluation of cells, node by node, for as long as it certainly runs no code but that of libraries. Pure.

A node is *quiet* if a rule here says so: the call of a function of a known library with inert arguments, an operator,
a subscript or an iteration whose operands are inert, an attribute that no code computes. The evaluation ends at
the first other node: after it, any name may be bound and any object changed. The body of a function is not
evaluated where it is defined.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, TypeAlias

from jupyter_turbopilot.context.languages import cell_magic
from jupyter_turbopilot.fixes import quiet
from jupyter_turbopilot.fixes.calls import evaluate
from jupyter_turbopilot.fixes.labels import LabelLookup
from jupyter_turbopilot.fixes.objects import INERT, UNKNOWN, Objects, OpaqueError, Value
from jupyter_turbopilot.fixes.parsed_cell import chain
from jupyter_turbopilot.util.bounds import count_operations
from jupyter_turbopilot.util.syntax_tree import all_arguments, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from jupyter_turbopilot.fixes.parsed_cell import ParsedCell
    from jupyter_turbopilot.fixes.report import KernelReport

_Visit: TypeAlias = "Iterator[tuple[ast.AST, bool]]"  # nodes, with whether they are certainly evaluated
_Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_OPAQUE = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Raise, ast.Yield, ast.YieldFrom)
_COMMAND = re.compile(r"\s*+(?:%(?P<magic>\w++)|(?:[\w, ]++=)?\s*+![^{$]*+$)")


class Evaluation:
    """The evaluation of cells, one after the other."""

    def __init__(self, report: KernelReport) -> None:
        self.objects = Objects(report)

    def run(self, parsed: ParsedCell, judge: Callable[[ast.AST], None] | None = None) -> bool:
        """Evaluate a cell; return whether all of it is quiet. `judge` gets the nodes that are certainly evaluated.

        When it gets a node, the parts of the node have been evaluated, and nothing else has.
        """
        self.objects.open(parsed)
        self.labels = LabelLookup(parsed, self.objects.described, has_rows=False)
        self._parsed, self._judge = parsed, judge
        lines = zip(parsed.source.split("\n"), parsed.python.split("\n"), strict=False)
        self._commands = {number: line for number, (line, python) in enumerate(lines, 1) if line != python}
        if cell_magic(parsed.source):
            self._commands.pop(1, None)
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

    def _visit(self, node: ast.AST, *, is_certain: bool) -> _Visit:
        """Yield the parts of a node in the order of their evaluation, then evaluate the node itself."""
        objects = self.objects
        match node:
            case _ if isinstance(node, _OPAQUE):
                is_block = isinstance(node, ast.AsyncFor | ast.AsyncWith)
                yield from _all([] if is_block else _parts(node), is_certain=is_certain)
                raise OpaqueError
            case ast.stmt():
                yield from self._visit_statement(node, is_certain=is_certain)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                yield from self._visit_comprehension(node, is_certain=is_certain)
            case ast.Lambda(args=arguments):
                yield from _all([*arguments.defaults, *arguments.kw_defaults], is_certain=is_certain)
                objects.values[node] = UNKNOWN
            case ast.IfExp(test=test, body=body, orelse=orelse):
                yield test, is_certain
                objects.require(test)
                yield from _all([body, orelse], is_certain=False)
                objects.values[node] = Value(is_inert=objects.are_inert([body, orelse]))
            case ast.BoolOp(values=[first, *others]):
                yield first, is_certain
                yield from _all(others, is_certain=False)
                objects.require(first, *others[:-1])
                objects.values[node] = Value(is_inert=objects.are_inert(others))
            case ast.Compare(left=left, comparators=[right, *others]):
                yield from _all([left, right], is_certain=is_certain)
                yield from _all(others, is_certain=False)
                if not all(isinstance(each, ast.Is | ast.IsNot) for each in node.ops):
                    objects.require(left, right, *others)
                objects.values[node] = objects.new()
            case ast.NamedExpr(target=target, value=value):
                yield value, is_certain
                objects.bind(node, target.id, objects.value(value), is_certain=is_certain)
                objects.values[node] = objects.value(value)
            case _:
                yield from _all(_parts(node), is_certain=is_certain)
                if is_certain and self._judge:
                    self._judge(node)
                if isinstance(node, ast.expr | ast.keyword):
                    objects.values[node] = evaluate(node, objects)

    def _visit_statement(self, node: ast.stmt, *, is_certain: bool) -> _Visit:
        if command := self._commands.get(node.lineno):
            _require_quiet_command(command)
        match node:
            case ast.Expr() | ast.Pass() | ast.Break() | ast.Continue() | ast.Global() | ast.Nonlocal():
                yield from _all(_parts(node), is_certain=is_certain)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield from self._visit_definition(node, is_certain=is_certain)
            case ast.If() | ast.While() | ast.For() | ast.Try() | ast.TryStar() | ast.With() | ast.Match():
                yield from self._visit_block(node, is_certain=is_certain)
            case ast.Import() | ast.ImportFrom():
                self._import(node, is_certain=is_certain)
            case ast.Assert(test=test, msg=message):
                yield test, is_certain
                self.objects.require(test)
                yield from _all([message], is_certain=False)
            case ast.Assign(targets=targets, value=value):
                yield value, is_certain
                result = INERT if command else self.objects.value(value)
                for target in targets:
                    yield from self._targets(target, is_certain=is_certain)
                    self._store(target, result, is_certain=is_certain, source=value)
            case ast.AnnAssign(target=target, annotation=annotation, value=value):
                yield from self._annotations([annotation])
                if value:
                    yield value, is_certain
                    yield from self._targets(target, is_certain=is_certain)
                    self._store(target, self.objects.value(value), is_certain=is_certain, source=value)
            case ast.AugAssign(target=target, op=operator, value=value):
                yield from self._targets(target, is_certain=is_certain)
                old = self.objects.name(target) if isinstance(target, ast.Name) else INERT
                yield value, is_certain
                if not (old.is_inert and self.objects.are_inert([value])):
                    raise OpaqueError
                if isinstance(operator, ast.BitOr):  # it may add keys to a dictionary
                    self.objects.change(old)
                self._store(target, INERT, is_certain=is_certain)
            case ast.Delete(targets=targets):
                for target in targets:
                    yield from self._targets(target, is_certain=is_certain)
                    self._store(target, INERT, is_certain=False)
            case _:
                raise OpaqueError

    def _visit_definition(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, *, is_certain: bool
    ) -> _Visit:
        yield from _all(node.decorator_list, is_certain=is_certain)
        for each in node.decorator_list:
            function = each.func if isinstance(each, ast.Call) else each
            is_keeping = self.objects.value(function).function in quiet.KEEPING
            if not (is_keeping or self._is_of_property(function)):
                raise OpaqueError
        if isinstance(node, ast.ClassDef):
            yield from _all([*node.bases, *node.keywords], is_certain=is_certain)
            self.objects.require(*node.bases, *node.keywords)  # a class may run code for its subclasses
            for part in node.body:
                yield part, is_certain
                if isinstance(part, ast.Assign | ast.AnnAssign):
                    self.objects.require(part.value)  # it may have a `__set_name__`
        else:
            yield from _all([*node.args.defaults, *node.args.kw_defaults], is_certain=is_certain)
            given = (each.annotation for each in all_arguments(node.args))
            yield from self._annotations([*given, node.returns])
        self.objects.bind(node, node.name, UNKNOWN, is_certain=is_certain)

    def _is_of_property(self, node: ast.expr) -> bool:
        """Return whether a decorator is `name.setter` of a property of the same class."""
        match node:
            case ast.Attribute(value=ast.Name() as name, attr="deleter" | "getter" | "setter"):
                return self.objects.is_of_class(name)
        return False

    def _annotations(self, nodes: Iterable[ast.expr | None]) -> _Visit:
        """Yield what an annotation evaluates, if it does: from Python 3.14 on, it does not."""
        for node in nodes:
            while isinstance(node, ast.Subscript):  # a type with parameters, which may be any classes
                yield node.value, False
                self.objects.require(node.value)
                node = node.slice
            parts = node.elts if isinstance(node, ast.Tuple | ast.List) else [node]
            if parts == [node]:
                yield from _all(parts, is_certain=False)
            else:
                yield from self._annotations(parts)

    def _visit_block(self, node: ast.stmt, *, is_certain: bool) -> _Visit:
        objects = self.objects
        match node:
            case ast.If(test=test):
                yield test, is_certain
                objects.require(test)
                yield from _all([*node.body, *node.orelse], is_certain=False)
            case ast.While(test=test):
                yield test, is_certain
                objects.require(test)
                yield from _all(node.body, is_certain=False)
                yield from self._again([test, *node.body])
                objects.require(test)
                yield from _all(node.orelse, is_certain=False)
            case ast.For(target=target, iter=iterable):
                yield iterable, is_certain
                objects.require(iterable)
                yield from self._targets(target, is_certain=is_certain)
                self._iterate(target, iterable)
                is_run = is_certain and objects.value(iterable).size > 0 and not _is_left_early(node)
                yield from _all(node.body, is_certain=is_run)
                yield from self._again(node.body)
                yield from _all(node.orelse, is_certain=False)
            case ast.Try() | ast.TryStar():
                yield from _all(node.body, is_certain=is_certain and not node.handlers)
                for handler in node.handlers:
                    yield from _all([handler.type], is_certain=False)
                    objects.require(handler.type)  # a class may decide which errors are its own
                    if handler.name:
                        objects.bind(handler, handler.name, UNKNOWN, is_certain=False)
                    yield from _all(handler.body, is_certain=False)
                yield from _all([*node.orelse, *node.finalbody], is_certain=False)
            case ast.With(items=items):
                for item in items:
                    yield item.context_expr, is_certain
                    objects.require(item.context_expr)
                    if item.optional_vars:
                        yield from self._targets(item.optional_vars, is_certain=False)
                        self._store(item.optional_vars, INERT, is_certain=is_certain)
                    is_certain = is_certain and self._passes_errors(item.context_expr)
                yield from _all(node.body, is_certain=is_certain)
            case ast.Match(subject=subject, cases=cases):
                yield subject, is_certain
                objects.require(subject)
                for case in cases:
                    yield from self._visit_case(case)

    def _again(self, body: Sequence[ast.AST]) -> _Visit:
        """Yield the nodes of a loop once more: an iteration has the names and the changes of those before it."""
        judge, self._judge = self._judge, None
        nodes = [part for each in body for part in walk(each)]
        count_operations(len(nodes))
        self.objects.forget(nodes)
        yield from _all(body, is_certain=False)
        self._judge = judge

    def _visit_case(self, case: ast.match_case) -> _Visit:
        for each in walk(case.pattern):
            if isinstance(each, ast.MatchClass | ast.MatchValue):
                value = each.cls if isinstance(each, ast.MatchClass) else each.value
                yield value, False
                self.objects.require(value)
            name = each.rest if isinstance(each, ast.MatchMapping) else getattr(each, "name", None)
            if name:
                self.objects.bind(each, name, INERT, is_certain=False)
        yield from _all([case.guard], is_certain=False)
        self.objects.require(case.guard)
        yield from _all(case.body, is_certain=False)

    def _visit_comprehension(self, node: _Comprehension, *, is_certain: bool) -> _Visit:
        if any(isinstance(each, ast.NamedExpr) for each in ast.walk(node)):
            raise OpaqueError
        is_generator, is_run = isinstance(node, ast.GeneratorExp), is_certain
        for generator in node.generators:
            if generator.is_async:
                raise OpaqueError
            yield generator.iter, is_run
            self.objects.require(generator.iter)
            is_run = is_run and not is_generator and self.objects.value(generator.iter).size > 0
            yield from self._targets(generator.target, is_certain=is_run)
            self._iterate(generator.target, generator.iter)
            yield from _all(generator.ifs[:1], is_certain=is_run)
            yield from _all(generator.ifs[1:], is_certain=False)
            self.objects.require(*generator.ifs)
            is_run = is_run and not generator.ifs
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        yield from _all(parts, is_certain=is_run)
        if isinstance(node, ast.SetComp | ast.DictComp):
            self.objects.require(parts[0])
        is_inert = self.objects.are_inert(parts) and (not is_generator or self._is_consumed(node))
        self.objects.values[node] = self.objects.new(is_inert=is_inert)

    def _is_consumed(self, node: ast.AST) -> bool:
        """Return whether a call consumes a generator at once: later, its names may have other objects."""
        parent = self._parsed.parents[node]
        function = parent.func if isinstance(parent, ast.Call) else None
        is_join = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Constant)
        return is_join or (function is not None and self.objects.value(function).function in quiet.CONSUMING)

    def _import(self, node: ast.Import | ast.ImportFrom, *, is_certain: bool) -> None:
        """Bind the names of an import of modules that have been imported before."""
        if isinstance(node, ast.ImportFrom) and (node.level or node.module == "__future__"):
            if node.level:
                raise OpaqueError
            return
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                name, full = alias.asname or alias.name, f"{node.module}.{alias.name}"
                is_loaded = True
            else:
                top = alias.name.partition(".")[0]
                name, full = alias.asname or top, alias.name if alias.asname else top
                loaded = self.objects.recorded(f"import {alias.name}")
                is_loaded = loaded is not None and loaded.kind == "module"
            value = self.objects.recorded(f"import {full}")
            if value is None or not is_loaded:
                raise OpaqueError
            self.objects.bind(alias, name, value, is_certain=is_certain)

    def _targets(self, target: ast.expr, *, is_certain: bool) -> _Visit:
        """Yield the parts of a target that are evaluated before it is assigned to."""
        match target:
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                for each in targets:
                    yield from self._targets(each, is_certain=is_certain)
            case ast.Starred(value=value):
                yield from self._targets(value, is_certain=is_certain)
            case ast.Attribute(value=value):
                yield value, is_certain
            case ast.Subscript(value=value, slice=index):
                yield from _all([value, index], is_certain=is_certain)

    def _store(
        self, target: ast.expr, value: Value, *, is_certain: bool, source: ast.expr | None = None
    ) -> None:
        """Assign an object to a target, whose parts have been evaluated."""
        match target:
            case ast.Name(id=name):
                if source and not value.expression and (table := self._table(source)):
                    value = table
                self.objects.bind(target, name, value, is_certain=is_certain)
                return
            case ast.Starred(value=inner):
                self._store(inner, INERT, is_certain=is_certain)
                return
        if not value.is_inert:
            raise OpaqueError
        match target:
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                for each in targets:
                    self._store(each, INERT, is_certain=is_certain)
            case ast.Attribute(value=owner, attr=attribute):
                self.objects.require(owner)
                self.objects.set_attribute(owner, attribute)
            case ast.Subscript(value=owner, slice=index):
                self.objects.require(owner, index)
                self.objects.set_item(owner, index)
            case _:
                raise OpaqueError

    def _iterate(self, target: ast.expr, iterable: ast.expr) -> None:
        """Assign an object that an iteration yields."""
        self._store(target, INERT, is_certain=False)
        match target, iterable:
            case ast.Tuple(elts=[_, ast.Name() as row]), ast.Call(
                func=ast.Attribute(value=owner, attr="iterrows")
            ):
                if table := self.labels.table(owner):
                    value = self.objects.new_rows(table)
                    self.objects.bind(row, row.id, value, is_certain=True)

    def _table(self, node: ast.expr) -> Value | None:
        """Return a new table if an expression makes one with the columns of a known one."""
        others = chain(node)[1:]
        if not others or any(getattr(each, "attr", "") in {"plot", "reset_index"} for each in others):
            return None
        found = self.labels.table(node)
        return self.objects.new_rows(found) if found else None

    def _passes_errors(self, manager: ast.expr) -> bool:
        """Return whether the errors of a block end the cell."""
        function = manager.func if isinstance(manager, ast.Call) else manager
        return quiet.PASSING.fullmatch(self.objects.value(function).function) is not None


def _all(nodes: Iterable[ast.AST | None], *, is_certain: bool) -> _Visit:
    for node in nodes:
        if node:
            yield node, is_certain


def _parts(node: ast.AST) -> list[ast.AST]:
    """Return the parts of a node that are evaluated: no operators and contexts."""
    kinds = ast.expr | ast.stmt | ast.keyword
    return [part for part in ast.iter_child_nodes(node) if isinstance(part, kinds)]


def _is_left_early(node: ast.For) -> bool:
    """Return whether an iteration may not evaluate all of the body."""
    nodes = walk(node)
    count_operations(len(nodes))
    return any(isinstance(each, ast.Break | ast.Continue) for each in nodes)


def _require_quiet_command(line: str) -> None:
    """End the evaluation at a magic or a shell command that may run Python code."""
    command = _COMMAND.match(line)
    if not command or (command["magic"] or "ls") not in quiet.MAGICS:
        raise OpaqueError
