"""Names, attributes, columns, keys and parameters in a cell that its kernel shows not to exist. Pure.

A finding must be certain: an object that the kernel did not describe, or whose description is not closed,
gives none, nor does one that the cell, or a cell to be executed before it, may change.
"""

from __future__ import annotations

import ast
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from jupyter_turbopilot.analysis.languages import cell_magic
from jupyter_turbopilot.analysis.library_facts import MEMBERS, methods, names_columns, parameters
from jupyter_turbopilot.analysis.notebook import Notebook
from jupyter_turbopilot.analysis.parsed_cell import chain, expression_of
from jupyter_turbopilot.analysis.resolve import EVERYWHERE
from jupyter_turbopilot.fixes import quiet
from jupyter_turbopilot.fixes.evaluation import Evaluation
from jupyter_turbopilot.fixes.judged_texts import TextJudge, described_for, readings_for, shown
from jupyter_turbopilot.fixes.keys import replacement
from jupyter_turbopilot.fixes.labels import is_mask
from jupyter_turbopilot.fixes.names import missing_import
from jupyter_turbopilot.fixes.nearest import SHORTEST, NameIndex, nearest, nearest_of_interface, nearest_short
from jupyter_turbopilot.fixes.objects import is_reported
from jupyter_turbopilot.protocol.contract import Finding
from jupyter_turbopilot.protocol.fix import Fix, as_code, quoted
from jupyter_turbopilot.util.bounds import OperationLimitError, count_operations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from jupyter_turbopilot.analysis.imports import Sources
    from jupyter_turbopilot.analysis.parsed_cell import ParsedCell
    from jupyter_turbopilot.analysis.report import KernelReport
    from jupyter_turbopilot.analysis.texts import Readable, Texts
    from jupyter_turbopilot.protocol.fix import Source
    from jupyter_turbopilot.protocol.request import CheckRequest, FixCell

_Near: TypeAlias = "tuple[str, float] | None"  # a name and a confidence
MAX_FINDINGS = 10
MAX_EXPRESSIONS, MAX_TRACED = 100, 300
_MAGICS = frozenset({"", "time", "capture"})  # they run the cell in the namespace of the notebook
_COMMANDS_WITHOUT_PERCENT = """
    alias alias_magic autoawait autocall automagic bookmark cat cd clear colors conda config cp debug dhist
    dirs edit env gui hist history less ll load load_ext logstart ls lsmagic macro magic man matplotlib mkdir
    more mv page pdb pinfo pip popd precision prun psearch pushd pwd pylab quickref recall rehashx rep rerun
    reset rm rmdir run save store system tb time timeit unalias uv who who_ls whos xmode
"""
_COMMANDS = frozenset(_COMMANDS_WITHOUT_PERCENT.split())
# Arguments beside which labels need not be columns; those that are unpacked have no name.
_ON_OTHER_LABELS = parameters("elsewhere") | {None}
_GROUPING, _JOINS, _ON_KEYS = methods("groups"), methods("joins"), methods("strict")
_LOCATORS = methods("locates")


class Prepared(NamedTuple):
    """The cells to evaluate, and the expressions that the kernel is asked about."""

    notebook: Notebook
    cells: list[ParsedCell]  # those above that are executed first, and the checked one
    described: list[str]
    traced: list[str]
    readings: list[Readable]  # values and folders to read


def prepare(request: CheckRequest) -> Prepared | None:
    """Return what to ask the kernel; None if the cell cannot be checked."""
    cell = request.cells[request.active]
    if cell.type != "code" or cell_magic(cell.source or "") not in _MAGICS:
        return None
    notebook = Notebook(request.cells)
    before = [each for each in _code_before(request) if not notebook.is_current(each)]
    if any(each.source is None or cell_magic(each.source) not in _MAGICS for each in before):
        return None
    try:
        cells = [notebook.parsed(each.source or "") for each in (*before, cell)]
    except SyntaxError:
        return None
    described: dict[str, None] = {}
    traced: dict[str, None] = {}
    for parsed in reversed(cells):
        _add_expressions(parsed, described, traced)
    if len(traced) > MAX_TRACED:
        return None
    readings = readings_for(cells[-1])
    skipped = (each for each in request.cells[: request.active] if not notebook.is_current(each))
    if any(cell_magic(each.source or "") in quiet.SHELLS for each in skipped):
        readings = [each for each in readings if each.kind != "files"]
    asked = [*dict.fromkeys(described_for(cells[-1])), *described][:MAX_EXPRESSIONS]
    return Prepared(notebook, cells, asked, [*traced], readings)


def _code_before(request: CheckRequest) -> Iterator[FixCell]:
    """Yield the cells above the checked one that contain Python code."""
    for cell in request.cells[: request.active]:
        magic = cell_magic(cell.source or "")
        line = (cell.source or "").partition("\n")[0]
        if cell.type == "code" and not (magic in quiet.CELL_MAGICS and "--" not in line):
            yield cell


def _add_expressions(parsed: ParsedCell, described: dict[str, None], traced: dict[str, None]) -> None:
    """Add the expressions whose parts are used, and all that are used."""
    count_operations(4 * len(parsed.scopes.nodes))
    imported = _imported(parsed)
    traced |= dict.fromkeys(each for names in imported.values() for each in names)
    for node, _ in parsed.scopes.nodes:
        used = None
        match node:
            case ast.Attribute(value=value) | ast.Subscript(value=value):
                used = value
            case ast.Call(func=function) if node.keywords:
                used = function
        for each, found in ((used, described), (node, traced)):
            if each and (expression := expression_of(each)):
                name = getattr(chain(each)[-1], "id", "")
                others = (module + expression[len(name) :] for module in imported.get(name, ())[:1])
                found.update(dict.fromkeys((expression, *others)))


def _imported(parsed: ParsedCell) -> dict[str, list[str]]:
    """Return the names that imports bind, with the expressions of their objects and modules."""
    imported: dict[str, list[str]] = {}
    for node, _ in parsed.scopes.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                bound = alias.name if alias.asname else top
                imported[alias.asname or top] = [f"import {bound}", f"import {alias.name}"]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                imported[alias.asname or alias.name] = [f"import {node.module}.{alias.name}"]
    return imported


def find(
    request: CheckRequest,
    prepared: Prepared,
    report: KernelReport,
    imports: Sources | None = None,
    texts: Mapping[Readable, Texts] = MappingProxyType({}),
) -> list[Finding]:
    """Return the findings in a cell, in the order of the text.

    `imports`: sources of missing imports. `texts`: the texts of each of `Prepared.readings`; those that could
    not be read are absent.
    """
    executions = report.executions
    if executions is None or not report.all or not report.alone:
        return []
    if any((each.execution_count or 0) > executions for each in _code_before(request)):
        return []  # of an earlier process of the kernel
    magics = (cell_magic(each.source or "") for each in request.cells[: request.active + 1])
    if any(map(report.commands.get, magics)):
        return []  # they run code of the user
    check = _Check(request, prepared, report, imports, texts)
    with suppress(OperationLimitError):  # the findings so far remain
        check.run(prepared.cells)
    return sorted(check.findings, key=lambda finding: finding.start)[:MAX_FINDINGS]


class _Check:
    """The judgement of the nodes of a cell in the order of their evaluation."""

    def __init__(
        self,
        request: CheckRequest,
        prepared: Prepared,
        report: KernelReport,
        imports: Sources | None,
        texts: Mapping[Readable, Texts],
    ) -> None:
        self.findings: list[Finding] = []
        self._evaluation = Evaluation(report)
        self._active, self._notebook, self._parsed = request.active, prepared.notebook, prepared.cells[-1]
        self._report, self._imports = report, imports
        self._names = self._evaluation.objects.existing
        self._index: tuple[set[str], NameIndex] | None = None
        self._texts = TextJudge(self._evaluation, self._notebook, self._parsed, report, texts)
        self._sets: dict[int, tuple[Sequence[str], frozenset[str]]] = {}  # by the identity of the labels

    def run(self, cells: Sequence[ParsedCell]) -> None:
        """Evaluate the cells, and judge the last one."""
        if all(self._evaluation.run(each) for each in cells[:-1]):
            self._evaluation.run(cells[-1], self._judge)

    def _judge(self, node: ast.AST) -> None:
        """Add the findings at a node, whose parts have been evaluated."""
        match node:
            case ast.Name() if node in self._evaluation.objects.free:
                self._judge_name(node)
            case ast.Attribute(ctx=ast.Load(), attr=name) if is_reported(name):
                self._judge_attribute(node)
            case ast.Subscript(ctx=ast.Load(), slice=index):
                self._judge_labels([index])
            case ast.Call():
                self._judge_labels([*node.args, *(each.value for each in node.keywords)])
                self._judge_keywords(node)
        for span, message, near, text, source in self._texts.judge(node):
            self._add(span, message, self._replacement(span, near, text, source))

    def _judge_labels(self, nodes: Iterable[ast.expr]) -> None:
        """Judge the strings in an index or in arguments."""
        for node in nodes:
            match node:
                case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Dict(keys=parts):
                    inner = parts
                case _:
                    inner = [node]
            for each in inner:
                if isinstance(each, ast.List):  # the columns behind `.loc[rows, …]`
                    self._judge_labels([each])
                elif isinstance(each, ast.Constant) and isinstance(each.value, str):
                    self._judge_label(each)

    def _judge_name(self, node: ast.Name) -> None:
        name, span = node.id, self._parsed.span(node)
        if name in self._names or name in self._evaluation.objects.added or not is_reported(name):
            return
        if self._notebook.may_bind(name):
            return
        if self._parsed.source[slice(*span)] != name:
            return
        near = self._name_index().nearest(name)
        if near and near[0] in EVERYWHERE and name.startswith(near[0]):
            near = None  # the plural of a built-in function, such as `inputs`, is more likely a variable
        # A line may be the command of a plugin.
        source = self._parsed.source
        line = source[source.rfind("\n", 0, span[0]) + 1 : span[1]]
        is_command = line.split(maxsplit=1)[0] in (_COMMANDS | self._report.commands.keys()) - self._names
        if not is_command and (near or not isinstance(self._parsed.parents[node], ast.Expr)):
            fix = missing_import(name, source, self._notebook, self._active, self._imports)
            fix = fix or self._replacement(span, near)
            self._add(span, f"{as_code(name)} is not defined.", fix)

    def _judge_attribute(self, node: ast.Attribute) -> None:
        described, name = self._evaluation.objects.described(node.value), node.attr
        if described is None or described.attributes is None or described.type == "NoneType":
            return
        is_table = described.type == "DataFrame"
        known = {*described.attributes, *(described.labels or ())}
        if name in known:
            return
        if is_table and (described.labels is None or self._evaluation.objects.has_any_label):
            return
        others = frozenset[str]() if described.closed else {name}
        may_be_computed = name in MEMBERS.get(described.name or "", others)  # at its first use
        is_changing = not is_table and described.name is None and self._evaluation.objects.has_any_attribute
        if may_be_computed or is_changing or name in self._evaluation.objects.added:
            return
        _, end = self._parsed.span(node)
        # The source of a name with ligatures has another length.
        if self._may_be_reloaded(node.value) or not self._parsed.source.endswith(name, 0, end):
            return
        if (described.module or "").startswith("polars"):
            known = {*described.attributes}
        near = nearest(name, filter(str.isidentifier, known))
        near = near or (nearest_short(name, described.attributes) if len(name) == SHORTEST else None)
        kind = "column or attribute" if is_table else "attribute"
        message = f"{shown(node.value)} has no {kind} {as_code(name)}."
        span = end - len(name), end
        self._add(span, message, self._replacement(span, near))

    def _name_index(self) -> NameIndex:
        """Return the index of the names that exist before a node."""
        bound = self._evaluation.objects.bound_names()
        if self._index is None or self._index[0] != bound:
            self._index = bound, NameIndex(self._names | bound)
        return self._index[1]

    def _may_be_reloaded(self, node: ast.AST) -> bool:
        """Return whether IPython may load the module of an object again before it runs the cell."""
        return self._report.reloads and not self._evaluation.objects.value(node).is_inert

    def _judge_label(self, node: ast.Constant) -> None:
        owner, label = self._owner(node), str(node.value)
        if owner is None or self._evaluation.objects.has_any_label or label in self._evaluation.objects.added:
            return
        if self._evaluation.adds_columns(owner) or self._may_be_reloaded(chain(owner)[-1]):
            return
        labels = self._evaluation.labels.of(node)
        if not labels or label in self._set_of(labels):
            return
        described, span = self._evaluation.objects.described(owner), self._parsed.span(node)
        kind = "key" if described and described.keys is not None else "column"
        if kind == "key" and self._evaluation.objects.has_any_key:
            return
        index = self._evaluation.labels.index(labels)
        near = index.nearest(label, "key") if index else None
        part = near and replacement(self._parsed.source, span, node, near[0])
        start, end, text = part or (*span, "")
        message = f"{shown(owner)} has no {kind} {as_code(label)}."
        self._add((start, end), message, self._replacement((start, end), near if part else None, text))

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
            case ast.Tuple(elts=[rows, last]) if node is last and not is_dict and _is_rows(rows):
                match parents[parent]:
                    case ast.Subscript(value=ast.Attribute(value=value, attr=method), ctx=ast.Load()) if (
                        method in _LOCATORS
                    ):
                        table = self._evaluation.labels.table(value)
                        return value if table and table.rows is not None else None
        argument = parent.arg if isinstance(parent, ast.keyword) else None
        call = parents[parent] if isinstance(parent, ast.keyword) else parent
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
            return None
        owner, method = call.func.value, call.func.attr
        argument = argument or next((str(at) for at, each in enumerate(call.args) if each is node), "")
        is_unpacked = any(isinstance(each, ast.Starred) for each in call.args)
        has_axis = is_dict and len(call.args) > 1
        is_column = names_columns(method, argument, is_dict=is_dict) and (method in _ON_KEYS or not is_dict)
        if not is_column or is_unpacked or has_axis or method in _JOINS or not self._is_pandas(owner):
            return None
        if method in _GROUPING and isinstance(node, ast.List) and self._may_group_rows(owner, node):
            return None
        return owner if _ON_OTHER_LABELS.isdisjoint({each.arg for each in call.keywords}) else None

    def _may_group_rows(self, owner: ast.expr, labels: ast.List) -> bool:
        """Return whether a list of strings may be the groups of the rows, of which it has as many."""
        table = self._evaluation.objects.described(owner)
        if table is None or self._evaluation.objects.has_any_row:
            return True
        return table.rows in {None, len(labels.elts)}

    def _judge_keywords(self, node: ast.Call) -> None:
        described = self._evaluation.objects.described(node.func)
        if not described or not described.closed or described.open or described.parameters is None:
            return
        if self._may_be_reloaded(node.func):
            return
        given = {each.arg for each in node.keywords}
        unused = [name for name in described.parameters if name not in given]
        for each in node.keywords:
            name, start = each.arg or "_", self._parsed.start(each)
            # The probe omits parameters with these names, wherever they are.
            is_written = self._parsed.source.startswith(name, start)
            is_unknown = is_written and name not in (*described.parameters, "self", "cls")
            if is_unknown and is_reported(name):
                message = f"{shown(node.func)} has no parameter {as_code(name)}."
                span = start, start + len(name)
                self._add(span, message, self._replacement(span, nearest_of_interface(name, unused)))

    def _is_pandas(self, node: ast.expr) -> bool:
        """Return whether an expression has the columns of a known table of pandas."""
        table = self._evaluation.labels.table(node)
        return table is not None and table.is_of_pandas

    def _set_of(self, labels: Sequence[str]) -> frozenset[str]:
        """Return the labels as a set, built once for each table."""
        if id(labels) not in self._sets:
            count_operations(len(labels) // 8)
            self._sets[id(labels)] = labels, frozenset(labels)
        return self._sets[id(labels)][1]

    def _replacement(
        self, span: tuple[int, int], near: _Near, text: str = "", source: Source = "kernel"
    ) -> Fix | None:
        """Return the fix that replaces a name. `text`: the new text, by default the nearest name."""
        if not near:
            return None
        edit = self._notebook.edit(self._active, *span, text or near[0])
        title = f"Did you mean {quoted(near[0])}?"
        return Fix(title=title, source=source, confidence=near[1], edits=[edit])

    def _add(self, span: tuple[int, int], message: str, fix: Fix | None) -> None:
        start, end = span
        self.findings.append(Finding(start=start, end=end, message=message, fixes=[fix] if fix else []))


def _is_rows(node: ast.expr) -> bool:
    """Return whether the first index of `.loc` selects rows; a label may be one of several row labels."""
    return isinstance(node, ast.Slice) or is_mask(node)
