"""The common pattern of two syntax trees by anti-unification: equal parts stay, others become holes. Pure."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from jupyter_turbopilot.analysis.library_facts import MEMBERS
from jupyter_turbopilot.fixes.structures import AttributeName, is_alike
from jupyter_turbopilot.util.bounds import count_operations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.fixes.structures import Label, StructuredCell, Structures

    Parts: TypeAlias = tuple[int, ...]  # structure ids

_DEEPEST = 40
LONGEST_TEXT = 4000  # characters of a new text; a longer one is refused
CALL = (ast.Call,)  # the label of a call whose number of arguments differs; only the function is compared
_MIN_SPECIFICITY_OF_ANY = 3  # of a pattern, without its owners, that accepts any owner
# Attributes of tables that lists, dictionaries, strings and plots lack.
_OF_TABLES = MEMBERS["pandas.DataFrame"].difference(
    *map(dir, (dict, list, set, str)), {"boxplot", "hist", "plot"}
)
# Expressions that need no parentheses anywhere.
_ATOMS = (
    ast.Name, ast.Constant, ast.Call, ast.Attribute, ast.Subscript, ast.List, ast.Dict, ast.Set, ast.ListComp,
    ast.keyword,
)  # fmt: skip


class Hole(NamedTuple):
    """A part that differs in the examples."""

    structures: tuple[int, int]  # those of the examples
    label: Label | None  # of the accepted nodes: class and, for a constant, the class of its value
    is_owner: bool  # whether it is a variable whose attributes or keys are read
    is_open: bool = False  # whether other owners than those of the examples are accepted


class Node(NamedTuple):
    """A node with at least one hole."""

    label: Label
    parts: tuple[Pattern, ...]


# A number is the structure id of a node without holes.
Pattern: TypeAlias = "int | Hole | Node"


def generalized(
    first: tuple[Parts, Parts], last: tuple[Parts, Parts], structures: Structures
) -> tuple[tuple[Pattern, ...], tuple[Pattern, ...]] | None:
    """Return the patterns before and after two edits; None if they are equal, or the new has more holes."""
    if [*map(len, first)] != [*map(len, last)]:
        return None
    known: dict[tuple[int, int], Hole] = {}
    old, new = (
        tuple(pattern_of(*pair, structures, known) for pair in zip(*sides, strict=True))
        for sides in zip(first, last, strict=True)
    )
    holes = [{hole for each in patterns for hole in holes_in(each)} for patterns in (old, new)]
    return (old, new) if old != new and holes[1] <= holes[0] else None


def pattern_of(
    one: int,
    other: int,
    structures: Structures,
    holes: dict[tuple[int, int], Hole],
    depth: int = 0,
    *,
    is_owner: bool = False,
) -> Pattern:
    """Return the most specific pattern of two structures. `is_owner`: whether attributes or keys are read."""
    count_operations(4)
    if one == other:
        return one
    labels = structures.label(one), structures.label(other)
    label, parts = labels[0], structures.parts(one)
    if labels[0] != labels[1] and labels[0][0] is labels[1][0] is ast.Call:
        label, parts = CALL, parts[:1]
    elif labels[0] != labels[1] or not parts or depth > _DEEPEST:
        kind, last = map(_kind, labels)
        hole = Hole((one, other), kind if kind == last else None, is_owner and kind[0] is ast.Name)
        return holes.setdefault((one, other), hole)
    reads = label[0] in {ast.Attribute, ast.Subscript}
    pairs = enumerate(zip(parts, structures.parts(other), strict=label != CALL))
    return Node(
        label,
        tuple(
            pattern_of(*pair, structures, holes, depth + 1, is_owner=reads and not at) for at, pair in pairs
        ),
    )


def _kind(label: Label) -> Label:
    return label[:2] if label[0] is ast.Constant else label[:1]


def holes_in(pattern: Pattern) -> set[Hole]:
    """Return the holes of a pattern."""
    if isinstance(pattern, Node):
        return {hole for part in pattern.parts for hole in holes_in(part)}
    return {pattern} if isinstance(pattern, Hole) else set()


def substituted(pattern: Pattern, old: Pattern, new: Pattern) -> Pattern:
    """Return a pattern with a part replaced."""
    if pattern == old:
        return new
    if not isinstance(pattern, Node):
        return pattern
    return Node(pattern.label, tuple(substituted(part, old, new) for part in pattern.parts))


def specificity(pattern: Pattern, structures: Structures) -> int:
    """Return how specific a pattern is: 0 for most holes alone, 2 for several names."""
    if isinstance(pattern, Hole):
        return int(pattern.is_owner or pattern.label == (ast.Compare,))
    if isinstance(pattern, Node):
        is_function = pattern.label[0] is ast.Call and isinstance(pattern.parts[0], int)
        return is_function + sum(specificity(part, structures) for part in pattern.parts)
    return 1 + bool(structures.parts(pattern))


def opened(pattern: Pattern, old: Pattern, new: Pattern, structures: Structures) -> Pattern:
    """Return a pattern in which the holes for owners accept any variable, unless it is too general then.

    An attribute before or after the edit that only tables have makes it special enough.
    """
    owners = {hole for hole in holes_in(old) if hole.is_owner}
    if specificity(old, structures) - len(owners) < _MIN_SPECIFICITY_OF_ANY:
        owners &= {hole for each in (old, new) for hole in _owners_of_tables(each, structures)}
    for hole in owners:
        pattern = substituted(pattern, hole, hole._replace(is_open=True))
    return pattern


def _owners_of_tables(pattern: Pattern, structures: Structures) -> Iterator[Hole]:
    """Yield the holes before an attribute that only tables are likely to have."""
    if not isinstance(pattern, Node):
        return
    match pattern:
        case Node(label=(ast.Attribute, *_), parts=(Hole(is_owner=True) as owner, int(name))):
            if structures.label(name)[-1] in _OF_TABLES:
                yield owner
    for part in pattern.parts:
        yield from _owners_of_tables(part, structures)


def texts_in(pattern: Pattern, structures: Structures) -> Iterator[tuple[type, str]]:
    """Yield the names and strings outside of holes, with the class of their node."""
    patterns = [pattern]
    while patterns:  # a structure may be nested too deeply for recursion
        count_operations(1)
        each = patterns.pop()
        if not isinstance(each, Hole):
            label, parts = (
                each if isinstance(each, Node) else (structures.label(each), structures.parts(each))
            )
            yield from ((label[0], text) for text in label if isinstance(text, str))
            patterns += parts


class Match:
    """The nodes of a cell for the holes of patterns, and for a pattern that is replaced as a whole."""

    def __init__(self, cell: StructuredCell) -> None:
        self.cell = cell
        self.nodes: dict[Pattern, ast.AST] = {}

    def add(self, pattern: Pattern, node: ast.AST) -> bool:
        """Return whether a node has a pattern, and note the nodes of its holes."""
        count_operations(1)
        structure, structures = self.cell.structure_of[node], self.cell.structures
        label = structures.label(structure)
        if isinstance(pattern, Node):
            is_alike_node = pattern.label == (label[:1] if pattern.label == CALL else label)
            return is_alike_node and all(map(self.add, pattern.parts, self.cell.parts[node]))
        if not isinstance(pattern, Hole):
            return pattern == structure
        known = frozenset(map(structures.label, pattern.structures))
        return (
            pattern.label in {None, _kind(label)}
            # The variables may differ in a number alone, as those of several axes do.
            and (
                not pattern.is_owner
                or pattern.is_open
                or structure in pattern.structures
                or (pattern.label is not None and is_alike(label, known))
            )
            and self.cell.structure_of[self.nodes.setdefault(pattern, node)] == structure
        )

    @property
    def owners(self) -> frozenset[str]:
        """The variables in the holes that accept any owner."""
        found = ((hole, node) for hole, node in self.nodes.items() if isinstance(hole, Hole) and hole.is_open)
        return frozenset(node.id for _, node in found if isinstance(node, ast.Name))

    def structure(self, pattern: Pattern) -> int:
        """Return the structure id of a pattern."""
        if pattern in self.nodes:
            return self.cell.structure_of[self.nodes[pattern]]
        if isinstance(pattern, Node):
            return self.cell.structures.id_of(pattern.label, tuple(map(self.structure, pattern.parts)))
        return pattern if isinstance(pattern, int) else pattern.structures[1]

    def text(self, pattern: Pattern, node: ast.AST, example: StructuredCell, *, parenthesized: bool) -> str:
        """Return the source of a node of an example with the parts of this occurrence.

        It is cut above the limit: a part may be long and occur in many holes.
        """
        start, end = example.bounds(node)
        text, at = "", start
        replaced = [
            (example.bounds(part), each, part) for each, part in self._replaced(pattern, node, example)
        ]
        for (begin, stop), each, part in sorted(replaced, key=lambda entry: entry[0]):
            text += example.source[at:begin] + self._part(each, part, example, parenthesized=parenthesized)
            at = stop
            if len(text) > LONGEST_TEXT:
                break
        return (text + example.source[at:end])[: LONGEST_TEXT + 1]

    def _replaced(
        self, pattern: Pattern, node: ast.AST, example: StructuredCell
    ) -> Iterator[tuple[ast.AST, ast.AST]]:
        """Yield the nodes of this occurrence with those of the example that they replace."""
        if pattern in self.nodes:
            yield self.nodes[pattern], node
        elif isinstance(pattern, Node):
            for part, each in zip(pattern.parts, example.parts[node], strict=False):
                yield from self._replaced(part, each, example)

    def _part(self, node: ast.AST, part: ast.AST, example: StructuredCell, *, parenthesized: bool) -> str:
        text = self.cell.text(node)
        if isinstance(node, AttributeName) and not isinstance(part, AttributeName):
            quote = example.text(part)[-1]
            return f"{quote}{text}{quote}"
        if isinstance(part, AttributeName) and not isinstance(node, AttributeName):
            return str(getattr(node, "value", ""))
        return f"({text})" if parenthesized and not isinstance(node, _ATOMS) else text
