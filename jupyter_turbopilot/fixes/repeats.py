"""Repeating an edit at the other occurrences of the edited code in a notebook. Pure."""

from __future__ import annotations

import ast
import re
import sys
from bisect import bisect_right
from collections import Counter
from contextlib import suppress
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from jupyter_turbopilot.analysis.imports import imports_of
from jupyter_turbopilot.analysis.parsed_cell import ParsedCell, expression_of, identifiers_in
from jupyter_turbopilot.analysis.report import NONE
from jupyter_turbopilot.analysis.resolve import binds_anything
from jupyter_turbopilot.fixes.changes import changes, is_literal
from jupyter_turbopilot.fixes.patterns import LONGEST_TEXT
from jupyter_turbopilot.fixes.rules import BUILTINS, names_in, pattern_rule
from jupyter_turbopilot.fixes.special_rules import argument_rule, path_rule
from jupyter_turbopilot.fixes.structures import StructuredCell, Structures
from jupyter_turbopilot.protocol.fix import Edit, apply
from jupyter_turbopilot.util.bounds import count_operations
from jupyter_turbopilot.util.syntax_tree import LONGEST, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.analysis.notebook import Notebook
    from jupyter_turbopilot.analysis.report import KernelReport
    from jupyter_turbopilot.fixes.changes import Change
    from jupyter_turbopilot.fixes.rules import Occurrence, Rule
    from jupyter_turbopilot.protocol.request import RepeatRequest

_MOST_OCCURRENCES = 200
_COMMENT = re.compile(r"#[^\n]*+")  # or the end of a string
_BINDS = re.compile(r"\b(?:as|for)\b")


class RepeatOffer(msgspec.Struct, frozen=True, kw_only=True):
    """An offer to repeat an edit."""

    kind: str
    title: str
    edits: list[Edit]  # one for each occurrence


def find(request: RepeatRequest, rule: Rule | None, report: KernelReport = NONE) -> RepeatOffer | None:
    """Return the occurrences at which to repeat the user's edits, by the rule of the edits.

    `report`: the kernel's description of `expressions_to_describe`, which a single edit needs.
    """
    if not rule or (rule.is_of_single_edit and not _is_proved(rule.last, report)):
        return None
    edits = [*islice(_edits(request, rule), _MOST_OCCURRENCES)]
    title = f"Change {len(edits)} more occurrence{'s' * (len(edits) > 1)}?"
    return RepeatOffer(kind=rule.kind, title=title, edits=edits) if edits else None


def expressions_to_describe(rule: Rule | None) -> list[str] | None:
    """Return the expressions that decide whether to repeat a single edit; None if none can."""
    if not rule or not rule.is_of_single_edit or rule.kind not in {"access", "attribute", "literal"}:
        return None
    owner, old, _ = _replaced_name(rule.last)
    return ([owner] if owner else []) if old else None


def rule_of(request: RepeatRequest) -> Rule | None:
    """Return the rule of the edits, or None. A single edit is compared with itself."""
    earlier, after = request.earlier, request.cells[request.active].source or ""
    examples = [(earlier.before, earlier.after)] if earlier else []
    structures = Structures(request.cells)
    try:
        found = [changes(*each, structures) for each in (*examples, (request.before, after))]
    except SyntaxError:
        return None
    singles = [each for expressions, _ in found for each in expressions]
    blocks = [block for _, block in found if block]
    if len(singles) > bool(blocks) and all(expressions for expressions, _ in found):
        last = singles[-1]
        is_renamed = len(singles) > 1 and _is_renamed(structures.notebook, last)
        rules = [
            argument_rule(each, last)
            or path_rule(each, last)
            or pattern_rule(each, last, is_renamed=is_renamed)
            for each in singles[:-1] or singles
        ]
        if all(rules):
            return rules[-1]
    return pattern_rule(*blocks) if len(blocks) == len(found) > 1 else None


def _is_renamed(notebook: Notebook, change: Change) -> bool:
    """Return whether an edit replaces a variable that no cell binds by one that a cell binds."""
    old, new = change.old[0], change.new[0]
    if not (isinstance(old, ast.Name) and isinstance(new, ast.Name)) or old.id in BUILTINS:
        return False
    code = [source for _, source in notebook.code]
    count_operations(sum(map(len, code)) // 16)

    def is_bound(name: str) -> bool:
        return any(name in source and name in notebook.bindings(source) for source in code)

    return not any(map(binds_anything, code)) and not is_bound(old.id) and is_bound(new.id)


def _edits(request: RepeatRequest, rule: Rule) -> Iterator[Edit]:
    """Yield the edits of all occurrences."""
    cells = dict(_parsed(request, rule))
    meaning = _Meaning(request, rule, cells)
    for number, cell in cells.items():
        found = (each for each in rule.occurrences(cell) if meaning.is_same(number, cell, each))
        yield from _checked(number, cell, _without_overlaps([*islice(found, _MOST_OCCURRENCES)]))


def _parsed(request: RepeatRequest, rule: Rule) -> Iterator[tuple[int, StructuredCell]]:
    """Parse the cells that contain the identifiers of a rule."""
    structures = rule.last.after.structures
    for number, source in structures.notebook.python:
        is_used = len(source) <= LONGEST and identifiers_in(source).issuperset(rule.used)
        if is_used or (number == request.active and source == rule.last.after.source):
            with suppress(SyntaxError):  # the user is editing it
                yield number, structures.cell(source)


class _Meaning:
    """Whether the names of a rule have the same meaning in an occurrence as in the examples."""

    def __init__(self, request: RepeatRequest, rule: Rule, cells: dict[int, StructuredCell]) -> None:
        self._active, self._rule, self._notebook = request.active, rule, rule.last.after.structures.notebook
        first, last = (each.after.scope(each.new[0]) for each in (rule.first, rule.last))
        self._owners = {name: last.owner(name) for name in rule.names}
        self._is_possible = all(
            (owner.outer is None) == (first.owner(name).outer is None) for name, owner in self._owners.items()
        )
        self._first = max(map(self._first_cell, names_in(rule.last.new) - names_in(rule.last.old)), default=0)
        self._bindings = sorted(self._bindings_of(rule.table, cells)) if rule.table else []
        # Names that the new code binds in an expression.
        self._bound = _bound_in(rule.last.new) - names_in(rule.last.old)
        examples = [(request.active, rule.last)]
        earlier = request.earlier
        # The positions of the earlier example are valid only while its cell is unchanged.
        if earlier and request.cells[earlier.cell].source == rule.first.after.source:
            examples.append((earlier.cell, rule.first))
        self._made = [
            (at, each.after.bounds(each.new[0])[0], each.after.bounds(each.new[-1])[1])
            for at, each in examples
        ]
        self._values = {self._value_at(at, start) for at, start, _ in self._made}

    def is_same(self, number: int, cell: StructuredCell, occurrence: Occurrence) -> bool:
        """Return whether all names have the same meaning in an occurrence."""
        scope = cell.scope(occurrence.node)
        return (
            self._is_possible
            and number >= self._first
            and not any(
                number == at and occurrence.start < end and start < occurrence.end
                for at, start, end in self._made
            )
            and (not self._bound or names_in([occurrence.node]).isdisjoint(self._bound))
            and all(
                scope.owner(name).is_same_scope(owner) and (owner.outer is None or number == self._active)
                for name, owner in self._owners.items()
            )
            and (not occurrence.owners or occurrence.owners.isdisjoint(self._modules))
            # If the examples have several values, the value does not matter.
            and (len(self._values) > 1 or self._value_at(number, occurrence.start) in self._values)
        )

    @cached_property
    def _modules(self) -> set[str]:
        """The imported names: their attributes have another meaning than those of a table."""
        return {found.name for _, source in self._notebook.code for found in imports_of(source)}

    def _first_cell(self, name: str) -> int:
        """Return the first cell with a name that the edit introduced: cells above cannot use it."""
        cells = enumerate(self._notebook)
        return next((at for at, cell in cells if name in identifiers_in(cell.source or "")), 0)

    def _bindings_of(self, name: str, cells: dict[int, StructuredCell]) -> Iterator[tuple[int, int, int]]:
        """Yield the positions at which a variable gets a value that is not derived from its old one.

        The third number is the structure id of the value, or unique.
        """
        # The signs are matched, too, so that no part of a long line is scanned twice.
        assigned = re.compile(rf"(?<![\w.]){re.escape(name)}\b[^\n=]*+(=*+)")
        for number, source in self._notebook.code:
            count_operations(len(source) // 4)
            if (name in source and len(source) <= LONGEST) and (
                number in cells
                or _BINDS.search(source)
                or any(found[1] == "=" for found in assigned.finditer(source))
            ):
                with suppress(SyntaxError):
                    cell = self._rule.last.after.structures.cell(source)
                    for each in cell.parsed.variables(name):
                        if each.role != "use" and each.owner.outer is None:
                            structure = _new_value(cell, each.node, name)
                            if structure is not None:
                                yield number, each.start, structure or -1 - number * LONGEST - each.start

    def _value_at(self, number: int, start: int) -> int:
        """Return a number for the value that the table has at a position."""
        above = bisect_right(self._bindings, (number, start, sys.maxsize))
        return self._bindings[above - 1][2] if above else 0


def _new_value(cell: StructuredCell, binding: ast.AST, name: str) -> int | None:
    """Return the structure id of a call without variables that is assigned, or 0 for others.

    None: the value is derived from the variable, or imported, mostly from the same module.
    """
    value = getattr(cell.parents[binding], "value", None)
    if not isinstance(value, ast.expr):
        return None if isinstance(binding, ast.alias) else 0
    nodes = walk(value)
    count_operations(len(nodes))
    if any(isinstance(each, ast.Name) and each.id == name for each in nodes):
        return None
    arguments = (
        [*value.args, *(each.value for each in value.keywords)] if isinstance(value, ast.Call) else [value]
    )
    return cell.structure_of[value] if all(is_literal(each, cell) for each in arguments) else 0


def _bound_in(nodes: Sequence[ast.AST]) -> frozenset[str]:
    """Return the variables of comprehensions and lambdas in expressions."""
    inner = [each for node in nodes if not isinstance(node, ast.stmt) for each in ast.walk(node)]
    stored = {each.id for each in inner if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    return frozenset(stored | {each.arg for each in inner if isinstance(each, ast.arg)})


def _without_overlaps(occurrences: list[Occurrence]) -> list[Occurrence]:
    found: list[Occurrence] = []
    for each in sorted(occurrences, key=lambda occurrence: (occurrence.start, -occurrence.end)):
        if not found or each.start >= found[-1].end:
            found.append(each)
    return found


def _checked(number: int, cell: StructuredCell, occurrences: list[Occurrence]) -> Iterator[Edit]:
    """Yield the edits after which the cell parses with the expected structure."""
    edits = [
        [cell.structures.notebook.edit(number, each.start, each.end, text) for text in each.texts]
        for each in occurrences
    ]
    preferred = [texts[0] for texts in edits]
    if len(cell.source) + sum(len(each.text) - len(each.old) for each in preferred) > LONGEST:
        return  # the cell could not be analyzed any more
    if not occurrences or _is_right(cell, preferred, occurrences):
        yield from preferred
        return
    for occurrence, texts in zip(occurrences, edits, strict=True):
        yield from [edit for edit in texts if _is_right(cell, [edit], [occurrence])][:1]


def _is_right(cell: StructuredCell, edits: list[Edit], occurrences: list[Occurrence]) -> bool:
    """Return whether a cell has the expected structure after edits, with all comments."""
    if any(
        len(each.text) > LONGEST_TEXT or _COMMENT.findall(each.old) != _COMMENT.findall(each.text)
        for each in edits
    ):
        return False
    try:
        after = StructuredCell(ParsedCell(apply(cell.source, edits)), cell.structures)
    except SyntaxError:
        return False
    if occurrences[0].replaced:
        counts = Counter(after.structure_of.values())
        counts.subtract(cell.structure_of.values())
        added = Counter(new for each in occurrences for new in each.structures)
        added.subtract(old for each in occurrences for old in each.replaced)
        return all(counts[structure] >= count for structure, count in added.items())
    expected = cell.structure_with({each.node: each.structures[0] for each in occurrences})
    return after.structure_of[after.tree] == expected


def _replaced_name(change: Change) -> tuple[str | None, str, str]:
    """Return the object whose key or attribute was replaced, the old name and the new one, or ""."""
    (old,), (new,) = change.old, change.new
    names = [getattr(each, "attr", getattr(each, "value", "")) for each in (old, new)]
    old_name, new_name = (each if isinstance(each, str) else "" for each in names)
    outer = change.before.parents.get(old)
    if isinstance(outer, ast.Subscript) and outer.slice is old:
        return expression_of(outer.value), old_name, new_name
    return expression_of(old.value) if isinstance(old, ast.Attribute) else None, old_name, new_name


def _is_proved(change: Change, report: KernelReport) -> bool:
    """Return whether the kernel shows that the old code cannot be right any more."""
    if change.is_block or not isinstance(change.old[0], ast.Constant | ast.Attribute):
        return False
    owner, old, new = _replaced_name(change)
    error, found = report.error, report.objects.get(owner or "")
    if error and old in {error.path, error.key, error.name if error.type == "AttributeError" else None}:
        return bool(old)
    if not found or not old:
        return False
    if isinstance(change.old[0], ast.Constant):
        known = found.labels if found.labels is not None else found.keys
        return known is not None and old not in known and new in known
    return found.attributes is not None and old not in found.attributes
