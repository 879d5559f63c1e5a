"""Names that exist before the generation, and the calls that existing functions accept. Pure."""

from __future__ import annotations

import ast
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.languages import as_python, cell_language
from jupyter_turbopilot.plugins.functions.parsing import Function, readable
from jupyter_turbopilot.suggestion.calls import fits, parameters_of
from jupyter_turbopilot.suggestion.resolve import bindings
from jupyter_turbopilot.suggestion.scopes import Scopes, bound_in
from jupyter_turbopilot.util.bounds import STATEMENT, count_operations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jupyter_turbopilot.context.kernel_context import KernelContext, ObjectInfo
    from jupyter_turbopilot.plugins.functions.request import FunctionRequest
    from jupyter_turbopilot.suggestion.calls import Call

ABOVE = 2**18  # characters of cells that are searched, nearest first
_VALUES = frozenset({
    *("bool", "bytes", "dict", "float", "int", "list", "module", "set", "str", "tuple", "NoneType"),
})  # fmt: skip
_LITERALS = (
    ast.Constant, ast.JoinedStr, ast.Tuple, ast.Dict, ast.DictComp, ast.List, ast.ListComp,
    ast.Set, ast.SetComp,
)  # fmt: skip


@dataclass(frozen=True)
class ExistingNames:
    """Existing names, with parameters where they are known."""

    names: frozenset[str] = frozenset()
    parameters: Mapping[str, ast.arguments | None] = field(default_factory=dict)  # None: not callable
    open: bool = False  # whether a star import may bind further names

    def takes(self, name: str, calls: Iterable[Call]) -> bool:
        """Return whether these calls of a name are valid, or may be because its parameters are unknown."""
        if name not in self.parameters:
            return True
        given = self.parameters[name]
        return given is not None and all(
            fits(given, call.positional, call.keywords, starred=call.starred) for call in calls
        )


def existing_names_for(
    request: FunctionRequest,
    kernel_context: KernelContext,
    above: str = "",
) -> ExistingNames:
    """Return the names that exist for a request: listed in it, in the kernel, in cells, and in `above`."""
    names, open_ = {*request.names, *kernel_context.names}, False
    parameters: dict[str, ast.arguments | None] = {}
    for name, fact in kernel_context.names.items():
        parameters |= _parameters_of_fact(name, fact)
    for source, defines in (*_sources(request), (readable(above), True)):
        count_operations(len(source) // 4)
        scopes = _scopes(source)
        if defines:
            names |= scopes.bound if scopes else bindings(source)
            open_ = open_ or (scopes is not None and scopes.open)
        for name in () if scopes else bindings(source):
            parameters.pop(name, None)
        for node in scopes.tree.body if scopes else ():
            for name in bound_in(node):
                parameters.pop(name, None)
            parameters |= _parameters_in(node)
    return ExistingNames(frozenset(names), parameters, open_)


def _scopes(source: str) -> Scopes | None:
    """Return the names in a source; None if it does not parse, or parsing would take too long."""
    with suppress(SyntaxError):
        return Scopes(source)
    return None


def _sources(request: FunctionRequest) -> list[tuple[str, bool]]:
    """Return the Python cells above, in order, each with whether the names that it binds exist.

    Of a long notebook, these are the nearest. If the request lists the session's names, executed cells add
    none: their execution may have failed, and their names may have been deleted.
    """
    sources, room = [], ABOVE
    for cell in reversed(request.cells):
        room -= len(cell.source)
        if room < 0:
            break
        if cell.type == "code" and cell_language(cell.source, request.language) == "python":
            defines = not (cell.executed and request.names)
            sources.append((as_python(cell.source[:STATEMENT]), defines))
    return sources[::-1]


def _parameters_in(node: ast.stmt) -> dict[str, ast.arguments | None]:
    """Return the parameters of functions that a statement defines; None for names of other objects."""
    if isinstance(node, Function):
        return {} if node.decorator_list else {node.name: node.args}
    if isinstance(node, ast.Import):  # a module is not callable
        return {alias.asname or alias.name.partition(".")[0]: None for alias in node.names}
    if isinstance(node, ast.Assign) and isinstance(node.value, _LITERALS):
        return {target.id: None for target in node.targets if isinstance(target, ast.Name)}
    return {}


def _parameters_of_fact(name: str, fact: ObjectInfo) -> dict[str, ast.arguments | None]:
    """Return the parameters of a kernel's function; None for other objects, nothing if unknown."""
    if fact.type in _VALUES or fact.columns is not None:
        return {name: None}
    if fact.parameters is None or fact.type != "function":
        return {}
    parts = [f"{each}=None" for each in fact.parameters]
    # The kernel context does not say whether the function is variadic: accept any number of arguments.
    parts[fact.positional :] = ["*_rest", *parts[fact.positional :]]
    return {name: parameters_of(f"def _({', '.join(parts + ['**_more'] * fact.open)}): pass")}
