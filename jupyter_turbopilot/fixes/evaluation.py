"""The evaluation of the statements of cells, for as long as it runs no code but that of libraries. Pure.

The body of a function is not evaluated where it is defined.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, TypeAlias

from jupyter_turbopilot.analysis.languages import cell_magic
from jupyter_turbopilot.fixes import quiet
from jupyter_turbopilot.fixes.expressions import Expressions, all_of
from jupyter_turbopilot.fixes.objects import INERT, UNKNOWN, OpaqueError
from jupyter_turbopilot.util.bounds import count_operations
from jupyter_turbopilot.util.syntax_tree import all_arguments, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jupyter_turbopilot.analysis.parsed_cell import ParsedCell
    from jupyter_turbopilot.fixes.expressions import Visit

_Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_COMMAND = re.compile(r"\A\s*+(?:%(?P<magic>\w++)|(?:[\w, ]++=)?\s*+!)")
# Statements without effects of their own.
_PLAIN = (ast.Expr, ast.Pass, ast.Break, ast.Continue, ast.Global, ast.Nonlocal, ast.Module)


class Evaluation(Expressions):
    """The evaluation of cells, one after the other."""

    def run(self, parsed: ParsedCell, judge: Callable[[ast.AST], None] | None = None) -> bool:
        """Evaluate a cell; return whether all of it is quiet. See `Expressions.run`."""
        lines = zip(parsed.source.split("\n"), parsed.python.split("\n"), strict=False)
        self._commands = {number: line for number, (line, python) in enumerate(lines, 1) if line != python}
        if cell_magic(parsed.source):
            self._commands.pop(1, None)
        starts = {node.lineno for node in parsed.nodes if isinstance(node, ast.stmt)}
        is_continued = any(line.endswith("\\") for line in self._commands.values())
        if is_continued or not self._commands.keys() <= starts:
            return False  # the next line belongs to a command, or a string contains a line that was replaced
        return super().run(parsed, judge)

    def _visit(self, node: ast.AST, *, is_certain: bool) -> Visit:
        if isinstance(node, ast.stmt) and (command := self._commands.get(node.lineno)):
            self._require_quiet_command(command)
        return super()._visit(node, is_certain=is_certain)

    def _visit_other(self, node: ast.AST, *, is_certain: bool) -> Visit:
        if isinstance(node, ast.stmt) and not isinstance(node, _PLAIN):
            raise OpaqueError
        return super()._visit_other(node, is_certain=is_certain)

    # Assignments --------------------------------------------------------------------------------------------

    def _visit_assign(self, node: ast.Assign, *, is_certain: bool) -> Visit:
        yield node.value, is_certain
        value = INERT if node.lineno in self._commands else self.objects.value(node.value)
        table = self._table(node.value)
        for target in node.targets:
            yield from self._assign(target, value, is_certain=is_certain, table=table)

    def _visit_annassign(self, node: ast.AnnAssign, *, is_certain: bool) -> Visit:
        if node.value:
            yield node.value, is_certain
            value, table = self.objects.value(node.value), self._table(node.value)
            yield from self._assign(node.target, value, is_certain=is_certain, table=table)
        yield from self._annotations([node.annotation])
        if isinstance(node.target, ast.Name):
            self.objects.change(INERT, node.target.id)  # a key of `__annotations__`

    def _visit_augassign(self, node: ast.AugAssign, *, is_certain: bool) -> Visit:
        old = self.objects.name(node.target) if isinstance(node.target, ast.Name) else INERT
        yield node.value, is_certain
        if not (old.is_inert and self.objects.are_inert([node.value])):
            raise OpaqueError
        self.objects.has_any_value = True  # an array may be the values of a table
        if isinstance(node.op, ast.BitOr):  # it may add keys to a dictionary
            self.objects.change(old)
        is_container = old.size >= 0 or not isinstance(node.target, ast.Name)
        self.objects.may_be_empty = self.objects.may_be_empty or is_container  # as after `*= 0`
        yield from self._assign(node.target, INERT, is_certain=is_certain)

    def _visit_delete(self, node: ast.Delete, *, is_certain: bool) -> Visit:
        for target in node.targets:
            yield from self._assign(target, INERT, is_certain=is_certain and not isinstance(target, ast.Name))
        self.objects.may_be_empty = True

    def _visit_import(self, node: ast.Import, *, is_certain: bool) -> Visit:
        """Bind modules that have been imported before: others run their code."""
        yield from ()
        for alias in node.names:
            top = alias.name.partition(".")[0]
            loaded = self.objects.recorded(f"import {alias.name}")
            value = loaded if alias.asname else self.objects.recorded(f"import {top}")
            if loaded is None or value is None or loaded.kind != "module":
                raise OpaqueError
            self.objects.bind(alias, alias.asname or top, value, is_certain=is_certain)

    def _visit_importfrom(self, node: ast.ImportFrom, *, is_certain: bool) -> Visit:
        yield from ()
        for alias in node.names if node.module != "__future__" else ():
            value = self.objects.recorded(f"import {node.module}.{alias.name}")
            if node.level or value is None:
                raise OpaqueError
            self.objects.bind(alias, alias.asname or alias.name, value, is_certain=is_certain)

    # Definitions --------------------------------------------------------------------------------------------

    def _visit_functiondef(self, node: ast.FunctionDef | ast.AsyncFunctionDef, *, is_certain: bool) -> Visit:
        yield from self._decorators(node, is_certain=is_certain)
        yield from all_of([*node.args.defaults, *node.args.kw_defaults], is_certain=is_certain)
        given = (each.annotation for each in all_arguments(node.args))
        yield from self._annotations([*given, node.returns])
        self.objects.bind(node, node.name, UNKNOWN, is_certain=is_certain)

    _visit_asyncfunctiondef = _visit_functiondef

    def _visit_classdef(self, node: ast.ClassDef, *, is_certain: bool) -> Visit:
        yield from self._decorators(node, is_certain=is_certain)
        yield from all_of([*node.bases, *node.keywords], is_certain=is_certain)
        # Another class may run code for its subclasses, such as the methods of an enumeration.
        names = [self.objects.value(each).function for each in (*node.bases, *node.keywords)]
        if not all(name == "abc.ABC" or name.startswith("builtins.") for name in names):
            raise OpaqueError
        for part in node.body:
            yield part, is_certain
            if isinstance(part, ast.Assign | ast.AnnAssign):
                self.objects.require(part.value)  # it may have a `__set_name__`
            elif not isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.Expr | ast.Pass):
                raise OpaqueError
        self.objects.bind(node, node.name, UNKNOWN, is_certain=is_certain)

    def _decorators(self, node: _Definition, *, is_certain: bool) -> Visit:
        for each in node.decorator_list:
            if self._is_of_property(each):
                continue
            yield each, is_certain
            function = each.func if isinstance(each, ast.Call) else each
            if self.objects.value(function).function not in quiet.KEEPING:
                raise OpaqueError

    def _is_of_property(self, node: ast.expr) -> bool:
        """Return whether a decorator is `name.setter` of a property of the same class."""
        match node:
            case ast.Attribute(value=ast.Name() as name, attr="deleter" | "getter" | "setter"):
                return self.objects.is_of_class(name)
        return False

    def _annotations(self, nodes: Iterable[ast.expr | None]) -> Visit:
        """Yield what an annotation evaluates, if it does: from Python 3.14 on, it does not."""
        work = [*nodes]
        while work:
            node = work.pop()
            if isinstance(node, ast.Subscript):  # a type with parameters, which may be any classes
                if getattr(node.value, "attr", getattr(node.value, "id", "")) == "Annotated":
                    raise OpaqueError  # the parameters are hashed
                yield node.value, False
                self.objects.require(node.value)
                work.append(node.slice)
            elif isinstance(node, ast.Tuple | ast.List):
                work += node.elts
            else:
                yield from all_of([node], is_certain=False)

    # Blocks -------------------------------------------------------------------------------------------------

    def _visit_if(self, node: ast.If, *, is_certain: bool) -> Visit:
        yield node.test, is_certain
        self.objects.require(node.test)
        yield from all_of([*node.body, *node.orelse], is_certain=False)

    def _visit_while(self, node: ast.While, *, is_certain: bool) -> Visit:
        yield node.test, is_certain
        self.objects.require(node.test)
        yield from all_of(node.body, is_certain=False)
        yield from self._again([node.test, *node.body])
        self.objects.require(node.test)
        yield from all_of(node.orelse, is_certain=False)

    def _visit_for(self, node: ast.For, *, is_certain: bool) -> Visit:
        yield node.iter, is_certain
        self.objects.require(node.iter)
        yield from self._iterate(node.target, node.iter)
        is_run = is_certain and self.objects.has_items(node.iter) and not _is_left_early(node)
        yield from all_of(node.body, is_certain=is_run)
        yield from self._again(node.body)
        yield from all_of(node.orelse, is_certain=False)

    def _again(self, body: Sequence[ast.AST]) -> Visit:
        """Yield the nodes of a loop once more: an iteration has the names of those before it."""
        judge, self._judge = self._judge, None
        nodes = [part for each in body for part in walk(each)]
        count_operations(len(nodes))
        self.objects.forget(nodes)
        yield from all_of(body, is_certain=False)
        self._judge = judge

    def _visit_try(self, node: ast.Try | ast.TryStar, *, is_certain: bool) -> Visit:
        yield from all_of(node.body, is_certain=is_certain and not node.handlers)
        for handler in node.handlers:
            yield from all_of([handler.type], is_certain=False)
            self.objects.require(handler.type)  # a class may decide which errors are its own
            if handler.name:
                self.objects.bind(handler, handler.name, UNKNOWN, is_certain=False)
            yield from all_of(handler.body, is_certain=False)
        yield from all_of([*node.orelse, *node.finalbody], is_certain=False)

    _visit_trystar = _visit_try

    def _visit_with(self, node: ast.With, *, is_certain: bool) -> Visit:
        for item in node.items:
            yield item.context_expr, is_certain
            self.objects.require(item.context_expr)
            if item.optional_vars:
                yield from self._assign(item.optional_vars, INERT, is_certain=is_certain)
            is_certain = is_certain and self._passes_errors(item.context_expr)
            if not isinstance(item.context_expr, ast.Call):  # it may change the folder
                self.objects.has_any_file = self.objects.has_any_value = True
        yield from all_of(node.body, is_certain=is_certain)

    def _passes_errors(self, manager: ast.expr) -> bool:
        """Return whether the errors of a block end the cell."""
        function = manager.func if isinstance(manager, ast.Call) else manager
        return self.objects.value(function).function.rpartition(".")[2] in quiet.PASSING

    def _visit_match(self, node: ast.Match, *, is_certain: bool) -> Visit:
        yield node.subject, is_certain
        self.objects.require(node.subject)
        for case in node.cases:
            for each in walk(case.pattern):
                if isinstance(each, ast.MatchClass | ast.MatchValue):
                    value = each.cls if isinstance(each, ast.MatchClass) else each.value
                    yield value, False
                    self.objects.require(value)
                name = each.rest if isinstance(each, ast.MatchMapping) else getattr(each, "name", None)
                if name:
                    self.objects.bind(each, name, INERT, is_certain=False)
            yield from all_of([case.guard], is_certain=False)
            self.objects.require(case.guard)
            yield from all_of(case.body, is_certain=False)

    def _visit_assert(self, node: ast.Assert, *, is_certain: bool) -> Visit:
        yield node.test, is_certain
        self.objects.require(node.test)
        yield from all_of([node.msg], is_certain=False)

    def _require_quiet_command(self, line: str) -> None:
        """End the evaluation at a magic or a shell command that may run Python code."""
        command = _COMMAND.match(line)
        magic = command["magic"] or "ls" if command else ""
        is_own = self.objects.commands.get(magic, False)
        if magic not in quiet.MAGICS or is_own or not {"{", "$"}.isdisjoint(line):
            raise OpaqueError
        if not command or not command["magic"] or magic not in quiet.SHOWING:
            self.objects.has_any_file = True

    def _visit_raise(self, node: ast.Raise, *, is_certain: bool) -> Visit:
        yield from all_of([node.exc, node.cause], is_certain=is_certain)
        raise OpaqueError


def _is_left_early(node: ast.For) -> bool:
    """Return whether an iteration may not evaluate all of the body."""
    nodes = walk(node)
    count_operations(len(nodes))
    return any(isinstance(each, ast.Break | ast.Continue) for each in nodes)
