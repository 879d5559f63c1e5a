"""The role of an expression in the code around it, such as `argument 0 of plt.plot`. Pure."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from jupyter_turbopilot.util.bounds import count_operations

if TYPE_CHECKING:
    from jupyter_turbopilot.fixes.structures import StructuredCell

    Steps: TypeAlias = tuple[Any, ...]

CALLED = (("called",),)  # the role of a function in a call
_MOST_STEPS = 16
_MOST_BITS = 1024  # of an integer in a path
# Code whose own role is a part of the role of an expression in it.
_CONTAINERS = (
    ast.Dict, ast.FormattedValue, ast.JoinedStr, ast.List, ast.Set, ast.Starred, ast.Tuple, ast.UnaryOp,
)  # fmt: skip
_DIGITS = re.compile(r"\d+")


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
