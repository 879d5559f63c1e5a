"""Syntax trees whose nodes have structure ids, which are equal for equal code, whatever its layout. Pure."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, TypeAlias

from jupyter_turbopilot.fixes.renames import OriginalCell
from jupyter_turbopilot.util.bounds import count_operations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jupyter_turbopilot.analysis.scopes import LexicalScope

    Label: TypeAlias = tuple[Any, ...]

_IGNORED = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_WITHOUT_POSITION = (ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
PART = object()  # in labels, the position of a node
_COUNTED = 12  # operations for each node, whose objects the garbage collector visits


class AttributeName(ast.Constant):
    """The name in `object.name`, which has the structure id of the string in `object["name"]`."""


class Structures:
    """The ids of the structures in all cells of a request."""

    def __init__(self) -> None:
        self._ids: dict[tuple[Label, tuple[int, ...]], int] = {}
        self._keys: list[tuple[Label, tuple[int, ...]]] = []

    def id_of(self, label: Label, parts: tuple[int, ...]) -> int:
        """Return the id of a structure."""
        key = label, parts
        found = self._ids.setdefault(key, len(self._keys))
        if found == len(self._keys):
            self._keys.append(key)
        return found

    def label(self, structure: int) -> Label:
        """Return what distinguishes a node from others with the same parts."""
        return self._keys[structure][0]

    def parts(self, structure: int) -> tuple[int, ...]:
        """Return the ids of the parts."""
        return self._keys[structure][1]


class StructuredCell(OriginalCell):
    """A parsed cell whose nodes have structure ids."""

    def __init__(self, source: str, structures: Structures) -> None:
        """Raise SyntaxError for a cell that does not parse or is too long."""
        super().__init__(source)
        count_operations(_COUNTED * len(self.nodes))
        self.structures = structures
        self.parts: dict[ast.AST, list[ast.AST]] = {}
        self.structure_of: dict[ast.AST, int] = {}
        for node in reversed(self.nodes):  # children come before their parents
            label, parts = _split(node)
            self.parts[node] = parts
            for part in parts:
                if isinstance(part, AttributeName):
                    self.structure_of[part] = structures.id_of(_split(part)[0], ())
                    self.parts[part] = []
                    self.parents[part] = node
            self.structure_of[node] = structures.id_of(label, tuple(self.ids_of(parts)))
        self.scope_of = dict(self.scopes.nodes)

    def ids_of(self, nodes: Iterable[ast.AST]) -> list[int]:
        """Return the structure ids of nodes."""
        return [self.structure_of[node] for node in nodes]

    def text(self, node: ast.AST) -> str:
        """Return the source of a node."""
        return self.source[slice(*self.bounds(node))]

    def bounds(self, node: ast.AST) -> tuple[int, int]:
        """Return the start and end of a node that has a position."""
        return self.span(node)  # type: ignore[arg-type]

    def structure_with(self, replaced: Mapping[ast.AST, int]) -> int:
        """Return the structure id of the cell with some nodes replaced."""
        changed = {**replaced}
        count_operations(len(self.nodes))
        for node in reversed(self.nodes):
            if node not in changed and not changed.keys().isdisjoint(self.parts[node]):
                parts = tuple(changed.get(part, self.structure_of[part]) for part in self.parts[node])
                changed[node] = self.structures.id_of(self.structures.label(self.structure_of[node]), parts)
        return changed.get(self.scopes.tree, self.structure_of[self.scopes.tree])

    def scope(self, node: ast.AST) -> LexicalScope:
        """Return the scope in which a node is evaluated."""
        while node not in self.scope_of:
            node = self.parents[node]
        return self.scope_of[node]


def _split(node: ast.AST) -> tuple[Label, list[ast.AST]]:
    """Return the label of a node and its parts."""
    label: list[Any] = [ast.Constant if isinstance(node, AttributeName) else type(node)]
    parts: list[Any] = []
    for name in node._fields:
        if name in _IGNORED:
            continue
        value = getattr(node, name, None)
        if isinstance(node, ast.Attribute) and name == "attr":
            parts.append(_attribute_name(node))
        elif isinstance(value, list):
            marks = tuple(map(_mark, value))
            label.append(marks)
            parts += [each for each, mark in zip(value, marks, strict=True) if mark is PART]
        elif (mark := _mark(value)) is PART:
            label.append(PART)
            parts.append(value)
        else:
            label += [type(value), mark]
    return tuple(label), parts


def _mark(value: Any) -> Any:
    """Return what a label contains for a value; PART for a node, which is a part."""
    if isinstance(value, _WITHOUT_POSITION):
        return type(value)
    return PART if isinstance(value, ast.AST) else value


def _attribute_name(node: ast.Attribute) -> AttributeName:
    return AttributeName(
        node.attr,
        lineno=node.end_lineno or 0,
        end_lineno=node.end_lineno,
        col_offset=(node.end_col_offset or 0) - len(node.attr.encode()),
        end_col_offset=node.end_col_offset,
    )
