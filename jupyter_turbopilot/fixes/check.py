"""Names, attributes, columns, keys and parameters in a cell that its kernel shows not to exist. Pure.

A finding must be certain: an object that the kernel did not describe, or whose description is not closed,
gives none, nor does one that the cell, or a cell to be executed before it, may change.
"""

from __future__ import annotations

import ast
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from jupyter_turbopilot.context.languages import as_python, cell_language, cell_magic
from jupyter_turbopilot.fixes.effects import Effects, chain, in_order, words_in_magics
from jupyter_turbopilot.fixes.keys import replacement
from jupyter_turbopilot.fixes.nearest import SHORTEST, nearest, nearest_of_interface, nearest_short
from jupyter_turbopilot.fixes.parsed_cell import ParsedCell, expression_of, identifiers_in
from jupyter_turbopilot.protocol.contract import Finding
from jupyter_turbopilot.protocol.fix import Edit, Fix, as_code, quoted
from jupyter_turbopilot.suggestion.column_methods import names_columns
from jupyter_turbopilot.suggestion.resolve import EVERYWHERE, bindings
from jupyter_turbopilot.util.bounds import OperationLimitError, count_operations

if TYPE_CHECKING:
    from jupyter_turbopilot.fixes.report import KernelReport
    from jupyter_turbopilot.protocol.request import CheckRequest, FixCell

_Near: TypeAlias = "tuple[str, float] | None"  # a name and a confidence
MAX_FINDINGS = 10
MAX_EXPRESSIONS = 100
_MAGICS = frozenset({"", "time", "timeit", "capture"})  # they run the cell in the namespace of the notebook
# Functions that may bind any name, or change any object.
_UNBOUNDED = frozenset({"delattr", "eval", "exec", "get_ipython", "globals", "locals", "setattr", "vars"})
_COMPUTED_BY_NUMPY = """
    MachAr array_api bool bool8 bytes0 char chararray compat complex core ctypeslib distutils dtypes emath
    exceptions f2py fft float int int0 lib linalg long ma math matlib object object0 polynomial random rec
    row_stack str str0 strings testing typeDict typing uint0 unicode void0
"""
_COMPUTED = {"numpy": frozenset(_COMPUTED_BY_NUMPY.split())}  # attributes that it adds at their first use
_COMMANDS_WITHOUT_PERCENT = """
    alias alias_magic autoawait autocall automagic bookmark cat cd clear colors conda config cp debug dhist
    dirs edit env gui hist history less ll load load_ext logstart ls lsmagic macro magic man matplotlib mkdir
    more mv page pdb pinfo pip popd prun psearch pushd pwd pylab quickref recall rehashx rep rerun reset rm
    rmdir run save store system tb time timeit unalias who who_ls whos xmode
"""
_COMMANDS = frozenset(_COMMANDS_WITHOUT_PERCENT.split())
_ROWS = (ast.Slice, ast.Compare, ast.BinOp, ast.UnaryOp)  # others may be the first of several row labels
_ON_OTHER_LABELS = frozenset({"axis", "errors", "level"})  # arguments beside which labels need not be columns
_GROUPING = frozenset({"boxplot", "groupby", "hist", "pivot_table", "value_counts"})
_ON_KEYS = frozenset({"agg", "aggregate", "astype"})  # methods that refuse a dictionary with another key


def prepare(request: CheckRequest) -> tuple[ParsedCell, list[str]] | None:
    """Return the parsed cell, and the expressions to describe; None if the cell cannot be checked."""
    cell = request.cells[request.active]
    source = cell.source or ""
    if cell.type != "code" or cell_magic(source) not in _MAGICS:
        return None
    if not _UNBOUNDED.isdisjoint(identifiers_in(source)):
        return None
    try:
        parsed = ParsedCell(source)
    except SyntaxError:
        return None
    count_operations(2 * len(parsed.scopes.nodes))
    used: list[ast.expr] = []
    for node, _ in parsed.scopes.nodes:
        match node:
            case ast.Attribute(value=value) | ast.Subscript(value=value):
                used.append(value)
            case ast.Call(func=function) if node.keywords:
                used.append(function)
    found = dict.fromkeys(filter(None, map(expression_of, used)))
    return parsed, [name for name in found if name not in EVERYWHERE][:MAX_EXPRESSIONS]


def find(request: CheckRequest, parsed: ParsedCell, report: KernelReport) -> list[Finding]:
    """Return the findings in a cell, in the order of the text."""
    if report.executions is None or not report.all:
        return []
    check = _Check(request, parsed, report)
    with suppress(OperationLimitError):  # the findings so far remain
        for node, is_certain in in_order(parsed.scopes.tree):
            if is_certain:
                check.judge(node)
            if len(check.findings) == MAX_FINDINGS:
                break
            check.effects.execute(node)
    return sorted(check.findings, key=lambda finding: finding.start)


class _Check:
    """The judgement of the nodes of a cell in the order of their evaluation."""

    def __init__(self, request: CheckRequest, parsed: ParsedCell, report: KernelReport) -> None:
        self.findings: list[Finding] = []
        self.effects = Effects(request, parsed, report)
        self._request, self._parsed = request, parsed
        self._names = EVERYWHERE.union(report.names)
        self._near_names = [*(self._names | parsed.scopes.bound)]

    def judge(self, node: ast.AST) -> None:
        """Add the findings at a node, whose parts have been evaluated."""
        match node:
            case ast.Name() if node in self.effects.free and self.effects.has_all_names:
                self._judge_name(node)
            case ast.Attribute(ctx=ast.Load()) if not node.attr.startswith("_"):
                self._judge_attribute(node)
            case ast.Constant(value=str()):
                self._judge_label(node)
            case ast.Call() if node.keywords:
                self._judge_keywords(node)

    def _judge_name(self, node: ast.Name) -> None:
        name, span = node.id, self._parsed.span(node)
        if name in self._names or name.startswith("_"):
            return
        if any(_may_bind(cell, name) for cell in self._request.cells):
            return
        index = self.effects.labels.index(self._near_names)
        near = index.nearest(name) if index else None
        if near and near[0] in EVERYWHERE and name.startswith(near[0]):
            near = None  # the plural of a built-in function, such as `inputs`, is more likely a variable
        # A line may be the command of a plugin.
        source = self._parsed.source
        line = source[source.rfind("\n", 0, span[0]) + 1 : span[1]]
        is_command = line.split(maxsplit=1)[0] in _COMMANDS - self._names
        if not is_command and (near or not isinstance(self._parsed.parents[node], ast.Expr)):
            self._add(node, span, f"{as_code(name)} is not defined.", near)

    def _judge_attribute(self, node: ast.Attribute) -> None:
        described, name = self.effects.described(node.value), node.attr
        if described is None or described.attributes is None or described.type == "NoneType":
            return
        is_table = described.type == "DataFrame"
        known = {*described.attributes, *(described.labels or ())}
        if name in known or (is_table and described.labels is None):
            return
        may_be_computed = not described.closed and name in _COMPUTED.get(described.name or "", (name,))
        if may_be_computed or self.effects.has_imported or name in self.effects.added:
            return
        if (described.module or "").startswith("polars"):
            known = {*described.attributes}
        near = nearest(name, filter(str.isidentifier, known))
        near = near or (nearest_short(name, described.attributes) if len(name) == SHORTEST else None)
        _, end = self._parsed.span(node)
        kind = "column or attribute" if is_table else "attribute"
        message = f"{_shown(node.value)} has no {kind} {as_code(name)}."
        self._add(node, (end - len(name), end), message, near)

    def _judge_label(self, node: ast.Constant) -> None:
        owner, label = self._owner(node), str(node.value)
        # `reset_index` adds columns.
        if owner is None or any(getattr(each, "attr", "") == "reset_index" for each in chain(owner)):
            return
        labels = () if self.effects.is_changed(owner) else self.effects.labels.of(node)
        index = self.effects.labels.index(labels)
        if index is None or label in labels or label in self.effects.added:
            return
        described, span = self.effects.described(owner), self._parsed.span(node)
        kind = "key" if described and described.keys is not None else "column"
        near = index.nearest(label, "key")
        part = near and replacement(self._parsed.source, span, node, near[0])
        start, end, text = part or (*span, "")
        message = f"{_shown(owner)} has no {kind} {as_code(label)}."
        self._add(node, (start, end), message, near if part else None, text)

    def _owner(self, node: ast.AST) -> ast.expr | None:
        """Return the object in which a string is certainly looked up as a label, or None."""
        parents = self._parsed.parents
        parent = parents[node]
        is_dict = isinstance(parent, ast.Dict) and node in parent.keys
        if is_dict or isinstance(parent, ast.List):
            node, parent = parent, parents[parent]
        match parent:
            case ast.Subscript(value=value, ctx=ast.Load()) if node is parent.slice and not is_dict:
                return value
            case ast.Tuple(elts=[rows, last]) if node is last and isinstance(rows, _ROWS) and not is_dict:
                match parents[parent]:
                    case ast.Subscript(value=ast.Attribute(value=value, attr="loc" | "at"), ctx=ast.Load()):
                        return value
        argument = parent.arg if isinstance(parent, ast.keyword) else None
        call = parents[parent] if isinstance(parent, ast.keyword) else parent
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
            return None
        owner, method = call.func.value, call.func.attr
        argument = argument or next((str(at) for at, each in enumerate(call.args) if each is node), "")
        is_column = names_columns(method, argument, is_dict=is_dict) and (method in _ON_KEYS or not is_dict)
        if not is_column or method == "merge" or not self.effects.is_pandas(owner):
            return None
        if method in _GROUPING and isinstance(node, ast.List) and self._may_group_rows(owner, node):
            return None
        return owner if _ON_OTHER_LABELS.isdisjoint({each.arg for each in call.keywords}) else None

    def _may_group_rows(self, owner: ast.expr, labels: ast.List) -> bool:
        """Return whether a list of strings may be the groups of the rows, of which it has as many."""
        table = self.effects.labels.table(owner)
        return table is None or table.rows in {None, len(labels.elts)}

    def _judge_keywords(self, node: ast.Call) -> None:
        described = self.effects.described(node.func)
        if not described or not described.closed or described.open or described.parameters is None:
            return
        given = {each.arg for each in node.keywords}
        unused = [name for name in described.parameters if name not in given]
        for each in node.keywords:
            name, start = each.arg or "_", self._parsed.start(each)
            # The probe omits parameters with these names, wherever they are.
            is_unknown = name not in (*described.parameters, "self", "cls")
            if is_unknown and not name.startswith("_"):
                message = f"{_shown(node.func)} has no parameter {as_code(name)}."
                self._add(each, (start, start + len(name)), message, nearest_of_interface(name, unused))

    def _add(self, node: ast.AST, span: tuple[int, int], message: str, near: _Near, text: str = "") -> None:
        """Add a finding. `text`: the new text, by default the nearest name."""
        if not near and self._is_in_loop(node):
            return
        (start, end), source, line = span, self._parsed.source, self._request.line
        if line is not None and source.count("\n", 0, start) <= line <= source.count("\n", 0, end):
            return
        fixes: list[Fix] = []
        if near:
            old, new = source[start:end], text or near[0]
            edit = Edit(cell=self._request.active, start=start, end=end, old=old, text=new)
            title = f"Did you mean {quoted(near[0])}?"
            fixes = [Fix(title=title, source="kernel", confidence=near[1], edits=[edit])]
        self.findings.append(Finding(start=start, end=end, message=message, fixes=fixes))

    def _is_in_loop(self, node: ast.AST) -> bool:
        """Return whether a node is in a loop, which may iterate over nothing; its iterable is evaluated."""
        while parent := self._parsed.parents.get(node):
            count_operations(1)
            first = getattr(parent, "iter", None) or getattr(parent, "generators", [node])[0]
            if first is not node:
                return True
            node = parent
        return False


def _shown(node: ast.expr) -> str:
    """Return an expression, or the variable that it begins with, for a message."""
    first = chain(node)[-1]
    return as_code(expression_of(node) or (first.id if isinstance(first, ast.Name) else "object"))


def _may_bind(cell: FixCell, name: str) -> bool:
    """Return whether a cell may bind a name."""
    source = cell.source or ""
    is_without = source.isascii() and name not in source  # quicker than the identifiers
    if cell.type != "code" or is_without or name not in identifiers_in(source):
        return cell.source is None
    is_python = cell_language(source, "python") == "python"
    return not is_python or name in bindings(as_python(source)) or name in words_in_magics(source)
