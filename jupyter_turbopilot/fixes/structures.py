"""Structure ids of nodes, which are equal for equal code, whatever its layout, and roles of nodes. Pure."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from jupyter_turbopilot.analysis.notebook import Notebook
from jupyter_turbopilot.util.bounds import count_operations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jupyter_turbopilot.analysis.parsed_cell import ParsedCell
    from jupyter_turbopilot.analysis.scopes import LexicalScope
    from jupyter_turbopilot.protocol.request import FixCell

    Label: TypeAlias = tuple[Any, ...]
    Steps: TypeAlias = tuple[Any, ...]

CALLED = (("called",),)  # the role of a function in a call
_MOST_STEPS = 16
_MOST_BITS = 1024  # of an integer in a path
# Code whose own role is a part of the role of an expression in it.
_CONTAINERS = (
    ast.Dict, ast.FormattedValue, ast.JoinedStr, ast.List, ast.Set, ast.Starred, ast.Tuple, ast.UnaryOp,
)  # fmt: skip
_DIGITS = re.compile(r"\d+")
_IGNORED = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_WITHOUT_POSITION = (ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
PART = object()  # in labels, the position of a node
_COUNTED = 12  # operations for each node, whose objects the garbage collector visits


class AttributeName(ast.Constant):
    """The name in `object.name`, which has the structure id of the string in `object["name"]`."""


class Structures:
    """The ids of the structures in all cells of a request."""

    def __init__(self, cells: Iterable[FixCell] = ()) -> None:
        self.notebook = Notebook(cells)
        self._cells: dict[str, StructuredCell] = {}
        self._ids: dict[tuple[Label, tuple[int, ...]], int] = {}
        self._keys: list[tuple[Label, tuple[int, ...]]] = []

    def cell(self, source: str) -> StructuredCell:
        """Return a cell with structure ids; raise SyntaxError if it does not parse."""
        if source not in self._cells:
            self._cells[source] = StructuredCell(self.notebook.parsed(source), self)
        return self._cells[source]

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


class StructuredCell:
    """The structure ids of the nodes of a parsed cell."""

    def __init__(self, parsed: ParsedCell, structures: Structures) -> None:
        count_operations(_COUNTED * len(parsed.nodes))
        self.parsed, self.structures = parsed, structures
        self.source, self.nodes, self.tree = parsed.source, parsed.nodes, parsed.scopes.tree
        self.parts: dict[ast.AST, list[ast.AST]] = {}
        self.parents: dict[ast.AST, ast.AST] = {}  # of the parts
        self.structure_of: dict[ast.AST, int] = {}
        for node in reversed(self.nodes):  # children come before their parents
            label, parts = _split(node)
            self.parts[node] = parts
            for part in parts:
                self.parents[part] = node
                if isinstance(part, AttributeName):
                    self.structure_of[part] = structures.id_of(_split(part)[0], ())
                    self.parts[part] = []
            self.structure_of[node] = structures.id_of(label, tuple(self.ids_of(parts)))
        self._scope_of = dict(parsed.scopes.nodes)

    def ids_of(self, nodes: Iterable[ast.AST]) -> list[int]:
        """Return the structure ids of nodes."""
        return [self.structure_of[node] for node in nodes]

    def text(self, node: ast.AST) -> str:
        """Return the source of a node."""
        return self.source[slice(*self.bounds(node))]

    def bounds(self, node: ast.AST) -> tuple[int, int]:
        """Return the start and end of a node that has a position."""
        return self.parsed.span(node)  # type: ignore[arg-type]

    def structure_with(self, replaced: Mapping[ast.AST, int]) -> int:
        """Return the structure id of the cell with some nodes replaced."""
        changed = {**replaced}
        count_operations(len(self.nodes))
        for node in reversed(self.nodes):
            if node not in changed and not changed.keys().isdisjoint(self.parts[node]):
                parts = tuple(changed.get(part, self.structure_of[part]) for part in self.parts[node])
                changed[node] = self.structures.id_of(self.structures.label(self.structure_of[node]), parts)
        return changed.get(self.tree, self.structure_of[self.tree])

    def scope(self, node: ast.AST) -> LexicalScope:
        """Return the scope in which a node is evaluated."""
        while node not in self._scope_of:
            node = self.parents[node]
        return self._scope_of[node]


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


def path_of(node: ast.AST) -> tuple[str, str]:
    """Return the text of an expression without arguments, as `axes[0].plot`, and the name it starts with."""
    parts: list[str] = []
    for _ in range(_MOST_STEPS):
        match node:
            case ast.Name(id=name):
                return "".join((name, *reversed(parts))), name
            case ast.Attribute(value=value, attr=name):
                parts.append(f".{name}")
            # Python refuses to write long integers in decimal.
            case ast.Subscript(value=value, slice=ast.Constant(value=str() | int() as key)) if (
                isinstance(key, str) or key.bit_length() < _MOST_BITS
            ):
                parts.append(f"[{key!r:.100}]")
            case ast.Subscript(value=value):
                parts.append("[]")
            case ast.Call(func=value):
                parts.append("()")
            case _:
                break
        node = value
    return "", ""


class Role:
    """The role of an expression.

    `path`, `root`: the object that decides on its meaning, and its variable. `has_name`: whether names or
    values around it do.
    """

    def __init__(self, cell: StructuredCell, node: ast.AST) -> None:
        self.steps: Steps = ()
        self.path = self.root = ""
        self.has_name = is_complete = False
        while not is_complete and len(self.steps) < _MOST_STEPS and node in cell.parents:
            outer = cell.parents[node]
            step, is_complete = self._step(cell, node, outer)
            self.steps += (step,)
            node = outer

    def _step(self, cell: StructuredCell, node: ast.AST, outer: ast.AST) -> tuple[Steps, bool]:
        """Return a step, and whether the role does not depend on more code."""
        step: Steps
        count_operations(len(cell.parts[outer]) // 4)
        match outer:
            case ast.keyword(arg=name):
                return ("keyword", name), False
            case ast.Attribute(attr=name):
                self.has_name = True
                return ("attribute", name), False
            case _ if isinstance(outer, _CONTAINERS):
                at: Any = cell.parts[outer].index(node) if isinstance(outer, ast.Tuple) else None
                if isinstance(outer, ast.Dict) and node in outer.values:
                    key = outer.keys[outer.values.index(node)]
                    at = "value", cell.structure_of[key] if key else None
                return (type(outer), at), False
            case ast.Call(func=function, args=given) if function is not node:
                step = "argument", given.index(node) if node in given else "", self._path(function)
            case ast.Call():
                step = CALLED[0]
            case ast.Subscript(value=value) if value is not node:
                step = "key", self._path(value)
            case ast.Subscript() | ast.BinOp() | ast.Compare() | ast.BoolOp() | ast.Assign():
                self.has_name = True
                parts = cell.parts[outer]
                others = cell.ids_of(each for each in parts if each is not node)
                step = cell.structures.label(cell.structure_of[outer]), parts.index(node), *others
            case _:
                step = type(outer), tuple(name for name, each in ast.iter_fields(outer) if each is node)
        return step, True

    def _path(self, node: ast.AST) -> str:
        self.path, self.root = path_of(node)
        self.has_name = self.has_name or bool(self.path)
        return self.path


def is_alike(steps: Steps, known: frozenset[Steps]) -> bool:
    """Return whether a role is one of several, or all differ in a number alone: `axes[0].plot`."""
    return steps in known or (len(known) > 1 and are_alike(known | {steps}))


def are_alike(roles: frozenset[Steps]) -> bool:
    """Return whether roles are equal or differ in a number alone."""
    return len(roles) == 1 or len(set(map(_without_numbers, roles))) == 1


def _without_numbers(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_without_numbers, value))
    return _DIGITS.sub("#", value) if isinstance(value, str) else value
