"""The names that exist before anything is written, and which calls those that are functions take. Pure."""

from __future__ import annotations

import ast
import symtable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jupyter_turbopilot.bounds import STATEMENT
from jupyter_turbopilot.context.languages import cell_language
from jupyter_turbopilot.context.magics import as_python
from jupyter_turbopilot.hierarchy.parsing import Function, parsed
from jupyter_turbopilot.suggestion.calls import Call, takes
from jupyter_turbopilot.suggestion.resolve import bindings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jupyter_turbopilot.context.facts import Fact, Facts
    from jupyter_turbopilot.request import Hierarchy

ABOVE = 2**18  # characters of cells that are looked at, the nearest first
_VALUES = frozenset({"bool", "bytes", "dict", "float", "int", "list", "set", "str", "tuple", "NoneType"})
_LITERALS = (
    ast.Constant, ast.JoinedStr, ast.Tuple, ast.Dict, ast.DictComp, ast.List, ast.ListComp,
    ast.Set, ast.SetComp,
)  # fmt: skip


@dataclass(frozen=True)
class Existing:
    """Names that exist. Of some it is known which calls they take; of the others it is not."""

    names: frozenset[str] = frozenset()
    heads: Mapping[str, str] = field(default_factory=dict)  # a function's `def`; "" for what is no function

    def takes(self, name: str, calls: Iterable[Call]) -> bool:
        """Tell whether what has this name can be called so; where it is not known, it can."""
        head = self.heads.get(name)
        return head is None or (head != "" and takes(head, tuple(calls)))


def existing_for(request: Hierarchy, facts: Facts, above: str = "") -> Existing:
    """Return what exists for a request: what it names, in the kernel, in the cells, and right `above`."""
    names = {*request.names, *facts.names}
    heads = {name: head for name, fact in facts.names.items() if (head := _head_of_fact(fact)) is not None}
    for source in (*_sources(request), above):
        tree = parsed(source)
        # Of a cell that does not parse too many names count rather than too few.
        names |= _defined(source) if tree else bindings(source)
        for node in tree.body if tree else ():
            heads |= _heads_of(node)
    return Existing(frozenset(names), heads)


def _sources(request: Hierarchy) -> list[str]:
    """Return the Python of the cells above, in their order; of a long notebook the nearest."""
    sources, room = [], ABOVE
    for cell in reversed(request.cells):
        room -= len(cell.source)
        if room < 0:
            break
        if cell.type == "code" and cell_language(cell.source, request.language) == "python":
            sources.append(as_python(cell.source[:STATEMENT]))
    return sources[::-1]


def _defined(source: str) -> set[str]:
    """Return the names that a source binds for what comes below it: none of those in its functions."""
    symbols = symtable.symtable(source, "", "exec").get_symbols()
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}


def _heads_of(node: ast.stmt) -> dict[str, str]:
    """Return what a statement of a cell says about names: a function's head, or that it is none."""
    if isinstance(node, Function):
        return {} if node.decorator_list else {node.name: _head(node)}
    if isinstance(node, ast.Assign) and isinstance(node.value, _LITERALS):
        return {target.id: "" for target in node.targets if isinstance(target, ast.Name)}
    return {}


def _head(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    bare = ast.FunctionDef(node.name, node.args, [ast.Pass()], [], None, None, lineno=1, col_offset=0)
    return ast.unparse(bare)


def _head_of_fact(fact: Fact) -> str | None:
    """Return the head of a kernel's function; "" for a value, None where nothing is known."""
    if fact.type in _VALUES or fact.columns is not None:
        return ""
    if fact.parameters is None or fact.type != "function":
        return None
    parts = [f"{name}=None" for name in fact.parameters]
    parts[fact.positional :] = ["*", *parts[fact.positional :]] if parts[fact.positional :] else []
    return f"def _({', '.join(parts + ['**_more'] * fact.open)}): pass"
