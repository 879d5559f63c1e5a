"""Rules for repeating an edit that replaces an expression or statements. Pure."""

from __future__ import annotations

import ast
import builtins
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.analysis.library_facts import MEMBERS
from jupyter_turbopilot.analysis.parsed_cell import identifiers_in
from jupyter_turbopilot.fixes.changes import BLOCKS, is_literal
from jupyter_turbopilot.fixes.patterns import (
    CALL,
    LONGEST_TEXT,
    Hole,
    Match,
    Node,
    generalized,
    holes_in,
    opened,
    specificity,
    substituted,
    texts_in,
)
from jupyter_turbopilot.fixes.structures import CALLED, AttributeName, Role, are_alike, is_alike, path_of
from jupyter_turbopilot.util.bounds import count_operations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.fixes.changes import Change
    from jupyter_turbopilot.fixes.patterns import Pattern
    from jupyter_turbopilot.fixes.structures import Steps, StructuredCell, Structures

BUILTINS = frozenset(dir(builtins))
_MOST_AROUND = 2  # levels of expressions around a changed one
_MIN_SPECIFICITY = 2  # of a pattern that needs no role
# Expressions that have a meaning without a role.
_COMPOUND = (ast.Attribute, ast.Subscript, ast.Call, ast.Compare, ast.BinOp, ast.keyword)
SIMPLE_STRING = re.compile(r"(?s)([\"'])[^\"'\\\n{}]*\1")


class Occurrence(NamedTuple):
    """A part of a cell that a rule changes."""

    node: ast.AST
    start: int
    end: int
    texts: tuple[str, ...]  # possible new texts, the preferred one first
    structures: tuple[int, ...]  # ids, of the new node or statements
    replaced: tuple[int, ...] = ()  # ids of the old statements; empty for an expression
    owners: frozenset[str] = frozenset()  # variables that the examples do not contain


@dataclass(frozen=True)
class Rule(ABC):
    """A generalized edit."""

    kind: str
    first: Change
    last: Change
    names: frozenset[str]  # variables that have the same meaning in each occurrence
    used: frozenset[str]  # identifiers in each cell with an occurrence
    table: str  # the variable whose columns are changed, or "": an assignment gives it others

    @property
    def is_of_single_edit(self) -> bool:
        """Whether there is only one example."""
        return self.first is self.last

    @abstractmethod
    def occurrences(self, cell: StructuredCell) -> Iterator[Occurrence]:
        """Yield the occurrences in a cell, which may overlap."""


@dataclass(frozen=True)
class _ExpressionRule(Rule):
    """An edit that replaces the expressions of a pattern."""

    old: Pattern
    new: Pattern
    roles: frozenset[Steps]  # empty: any
    is_exact: bool  # whether the roles are complete
    inner: Steps  # the first step of the role that the old expression has in the new one

    @property
    def has_other_roles(self) -> bool:
        """Whether only the different roles of the examples are accepted, which are no keys of tables."""
        return self.is_exact and bool(self.roles) and not (self.table or are_alike(self.roles))

    def occurrences(self, cell: StructuredCell) -> Iterator[Occurrence]:
        """Yield the occurrences in a cell."""
        count_operations(len(cell.nodes))
        for node in cell.nodes:
            match = Match(cell)
            if (
                hasattr(node, "lineno")  # a hole of any kind also accepts operators
                and match.add(self.old, node)
                and self._is_read(node)
                and self._has_role(cell, node)
                and _are_columns(match)
                and not (self.inner and Match(cell).add(self.new, node))  # it has been changed
            ):
                match.nodes[self.old] = node
                yield Occurrence(
                    node,
                    *cell.bounds(node),
                    self._texts(match, node),
                    (match.structure(self.new),),
                    owners=match.owners,
                )

    def _is_read(self, node: ast.AST) -> bool:
        is_stored = isinstance(getattr(node, "ctx", None), ast.Store | ast.Del)
        return not is_stored or (self.kind == "access" and not isinstance(node, ast.Name))

    def _has_role(self, cell: StructuredCell, node: ast.AST) -> bool:
        if not self.roles and not self.inner:
            return True
        role = Role(cell, node).steps
        is_done = role[:1] == self.inner
        return not is_done and (
            not self.roles or is_alike(role if self.is_exact else _heads(role), self.roles)
        )

    def _texts(self, match: Match, node: ast.AST) -> tuple[str, ...]:
        """Return the new texts, without and with parentheses."""
        example, old = self.last.after, match.cell.text(node)
        found = [
            match.text(self.new, self.last.new[0], example, parenthesized=parenthesized)
            for parenthesized in (False, True)
        ]
        count_operations(len(found[0]) // 16)
        if SIMPLE_STRING.fullmatch(found[0]) and SIMPLE_STRING.fullmatch(old):
            found[0] = old[0] + found[0][1:-1] + old[0]  # the quotes of the old string
        return (*found, f"({found[0]})")


@dataclass(frozen=True)
class _BlockRule(Rule):
    """An edit that replaces the statements of patterns."""

    old: Sequence[Pattern]
    new: Sequence[Pattern]

    def occurrences(self, cell: StructuredCell) -> Iterator[Occurrence]:
        """Yield the occurrences in a cell."""
        count_operations(len(cell.nodes))
        for outer in cell.nodes:
            for name in BLOCKS:
                statements = getattr(outer, name, None)
                if isinstance(statements, list):
                    yield from self._runs(cell, statements)

    def _runs(self, cell: StructuredCell, statements: list[ast.stmt]) -> Iterator[Occurrence]:
        count = len(self.old)
        count_operations(count * len(statements))
        structures = tuple(cell.ids_of(statements))
        for at in range(len(statements) - count + 1):
            nodes, match = statements[at : at + count], Match(cell)
            if all(map(match.add, self.old, nodes)) and self._is_below_same(structures, at):
                start, end = cell.bounds(nodes[0])[0], cell.bounds(nodes[-1])[1]
                before, after = cell.source.rfind("\n", 0, start) + 1, cell.source.find("\n", end)
                rest = cell.source[end : after if after >= 0 else None].lstrip()
                if (indent := cell.source[before:start]).strip() or rest[:1] not in {"", "#"}:
                    continue
                old, new = structures[at : at + count], tuple(map(match.structure, self.new))
                # The new statements may be there already, around the old ones.
                starts = (
                    at - part for part in range(len(new) - count + 1) if new[part : part + count] == old
                )
                if not any(structures[max(0, each) : each + len(new)] == new for each in starts):
                    yield Occurrence(nodes[0], start, end, (self._text(match, indent),), new, old)

    def _is_below_same(self, structures: Sequence[int], at: int) -> bool:
        """Return whether the statement above matches the examples, if both have the same one."""
        return (
            len(self.old) != 1
            or self.first.above != self.last.above
            or self.first.above in {None, *structures[max(0, at - 1) : at]}
        )

    def _text(self, match: Match, indent: str) -> str:
        """Return the new text of statements."""
        example = self.last.after
        at = start = example.bounds(self.last.new[0])[0]
        text = ""
        for new, node in zip(self.new, self.last.new, strict=True):
            begin, end = example.bounds(node)
            text += example.source[at:begin] + match.text(new, node, example, parenthesized=False)
            at = end
            if len(text) > LONGEST_TEXT:
                return text
        base = example.source[example.source.rfind("\n", 0, start) + 1 : start]
        if len(text) + text.count("\n") * len(indent) > LONGEST_TEXT:
            return text.ljust(LONGEST_TEXT + 1)
        return text.replace(f"\n{base}", f"\n{indent}")


def pattern_rule(first: Change, last: Change, *, is_renamed: bool = False) -> Rule | None:
    """Return the rule of two alike edits, or None. One edit is compared with itself.

    `is_renamed`: whether a variable has a new name everywhere.
    """
    if first.is_block != last.is_block:
        return None
    if last.is_block:
        return _block_rule(first, last)
    return (_rename_rule(first, last) if is_renamed else None) or _rule_of_expressions(first, last)


def _rename_rule(first: Change, last: Change) -> Rule | None:
    """Return the rule of a variable with a new name, or None."""
    old, new = first.structures
    if (old, new) != last.structures:
        return None
    structures = last.after.structures
    names, used = _names((*old, *new), structures), _identifiers(old, structures)
    return _ExpressionRule(
        "name", first, last, names, used, "", old[0], new[0], frozenset(), is_exact=True, inner=()
    )


def _block_rule(first: Change, last: Change) -> Rule | None:
    """Return the rule of replaced statements, or None."""
    structures = last.after.structures
    old, new = generalized(first.structures, last.structures, structures) or ((), ())
    if not old or not new:
        return None
    total = sum(specificity(each, structures) for each in old)
    has_holes = any(map(holes_in, old))
    if total < _MIN_SPECIFICITY or (has_holes and len(old) == 1 and total == _MIN_SPECIFICITY):
        return None
    names, used = _names((*old, *new), structures), _identifiers(old, structures)
    return _BlockRule("block", first, last, names, used, "", old, new)


def names_in(nodes: Sequence[ast.AST]) -> frozenset[str]:
    """Return the variables in nodes."""
    return frozenset(each.id for node in nodes for each in ast.walk(node) if isinstance(each, ast.Name))


def _names(patterns: Sequence[Pattern], structures: Structures) -> frozenset[str]:
    """Return the variables outside of the holes of patterns."""
    texts = (each for pattern in patterns for each in texts_in(pattern, structures))
    return frozenset(text for kind, text in texts if kind is ast.Name)


def _identifiers(patterns: Sequence[Pattern], structures: Structures) -> frozenset[str]:
    """Return the identifiers outside of the holes of patterns, also those in strings."""
    texts = {text for pattern in patterns for _, text in texts_in(pattern, structures)}
    # The source has an escape for other characters.
    return frozenset[str]().union(*(identifiers_in(text) for text in texts if text.isprintable()))


def _rule_of_expressions(first: Change, last: Change) -> Rule | None:
    """Return the rule of two replaced expressions; if it accepts too little, of those around them."""
    if not _is_literal_allowed(last):
        return None
    rule = narrow = _expression_rule(first, last)
    for _ in range(_MOST_AROUND):
        outer, other = first.around, last.around
        if (rule and not rule.has_other_roles) or first is last or not outer or not other:
            break
        if _is_flag(outer.old[0]):
            break  # it means something else in each function
        first, last = outer, other
        rule = _expression_rule(first, last)
        if rule and specificity(rule.old, last.after.structures) < _MIN_SPECIFICITY:
            rule = None
    return rule or narrow


def _expression_rule(first: Change, last: Change) -> _ExpressionRule | None:
    """Return the rule of two replaced expressions with their patterns."""
    structures, roles = last.after.structures, (first.role, last.role)
    (old, *_), (new, *_) = generalized(first.structures, last.structures, structures) or ((None,), (None,))
    if old is None or new is None:
        return None
    kind, inner = _kind(last)
    if kind != _kind(first)[0]:
        return None
    if not inner and Match(last.after).add(old, last.new[0]):
        return None  # the edit could be made again, as if arguments are exchanged
    old, new = _with_any_arguments(old, new, structures)
    required = _required_roles(kind, roles, last.old[0], old, new, structures)
    if required is None:
        return None
    steps, is_exact = required
    old, new = (opened(each, old, new, structures) for each in (old, new))
    names, used = _names([old, new], structures), _identifiers([old], structures)
    if steps and is_exact:
        names |= {role.root for role in roles if role.root}
        used |= frozenset.intersection(*(identifiers_in(role.path) for role in roles))
    table = path_of(last.old[0])[1] if kind == "access" else ""
    if kind == "literal" and _is_text(last.old[0]):
        table = roles[1].root
    return _ExpressionRule(kind, first, last, names, used, table, old, new, steps, is_exact, inner)


def _required_roles(
    kind: str, roles: tuple[Role, Role], node: ast.AST, old: Pattern, new: Pattern, structures: Structures
) -> tuple[frozenset[Steps], bool] | None:
    """Return the roles of occurrences, and whether they are complete; None if the pattern is too general."""
    has_holes = bool(holes_in(old))
    steps = frozenset(role.steps for role in roles)
    if isinstance(old, Hole) or not (isinstance(old, Node) or isinstance(node, _COMPOUND)):
        is_function = not has_holes and isinstance(node, ast.Name) and steps == {CALLED}
        return (steps, True) if is_function or all(role.has_name for role in roles) else None
    if not has_holes and kind != "call" and not isinstance(node, ast.keyword):
        # A function may have attributes that stay.
        return (steps if kind == "attribute" and steps == {CALLED} else frozenset()), True
    if are_alike(steps):
        return steps, True
    is_of_key = isinstance(node, ast.Subscript) and kind == "expression" and holes_in(old) == holes_in(new)
    if specificity(old, structures) < (1 if kind == "access" or is_of_key else _MIN_SPECIFICITY):
        return None
    steps = frozenset(map(_heads, steps))
    if len(steps) == 1:
        return steps, False
    return None if kind == "call" else (frozenset(), False)


def _heads(steps: Steps) -> Steps:
    """Return the first parts of all steps: those of an assigned value without the variable."""
    return tuple(step[0] for step in steps)


def _with_any_arguments(old: Pattern, new: Pattern, structures: Structures) -> tuple[Pattern, Pattern]:
    """Drop the arguments of a call from a pattern if the edit only puts code around it."""
    if isinstance(old, Node) and old.label[0] is ast.Call and isinstance(new, Node):
        shorter = Node(CALL, old.parts[:1])
        replaced = substituted(new, old, shorter)
        is_around = replaced != shorter and not holes_in(substituted(replaced, shorter, 0))
        if is_around and specificity(shorter, structures) >= _MIN_SPECIFICITY:
            return shorter, replaced
    return old, new


def _kind(change: Change) -> tuple[str, Steps]:
    """Return the kind of an edit, and the first step of the role of the old expression in the new one."""
    (old,), (new,) = change.old, change.new
    if is_literal(old, change.before) and is_literal(new, change.after):
        return "literal", ()
    for node in [*ast.walk(new)][1:]:
        if change.after.structure_of.get(node) == change.before.structure_of[old]:
            return "call", Role(change.after, node).steps[:1]
    if any(change.before.structure_of.get(node) == change.after.structure_of[new] for node in ast.walk(old)):
        return "call", ()
    both = {type(old), type(new)}
    if both == {ast.Attribute, ast.Subscript}:
        return "access", ()
    if isinstance(old, ast.keyword):
        return "argument", ()
    return ("attribute" if both <= {ast.Name, ast.Attribute} else "expression"), ()


def _is_literal_allowed(change: Change) -> bool:
    """Return whether a literal is not a position, or a number for a built-in function."""
    role = change.role
    is_key = any(step[0] == "key" for step in role.steps)
    return _kind(change)[0] != "literal" or _is_text(change.old[0]) or not (is_key or role.root in BUILTINS)


def _is_flag(node: ast.AST) -> bool:
    value = getattr(node, "value", None)
    return isinstance(node, ast.keyword) and (
        node.arg == "axis" or (isinstance(value, ast.Constant) and isinstance(value.value, bool | None))
    )


def _is_text(node: ast.AST) -> bool:
    """Return whether an expression is a string, or a non-empty list of strings."""
    nodes = node.elts if isinstance(node, ast.List) else [node]
    return bool(nodes) and all(
        isinstance(each, ast.Constant) and isinstance(each.value, str) for each in nodes
    )


def _are_columns(match: Match) -> bool:
    """Return whether the attributes in holes may be columns."""
    parents = match.cell.parents
    for node in match.nodes.values():
        if isinstance(node, AttributeName):
            attribute = parents[node]
            is_called = getattr(parents[attribute], "func", None) is attribute
            if is_called or node.value in MEMBERS["pandas.DataFrame"]:
                return False
    return True
