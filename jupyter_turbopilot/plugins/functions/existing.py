"""Names that exist before the generation, and the calls that existing functions accept. Pure."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.languages import as_python, cell_language
from jupyter_turbopilot.plugins.functions.parsing import Function, readable
from jupyter_turbopilot.suggestion.calls import Call, takes
from jupyter_turbopilot.suggestion.resolve import bindings
from jupyter_turbopilot.suggestion.scopes import Scopes, bound_in
from jupyter_turbopilot.util.bounds import STATEMENT, count_operations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jupyter_turbopilot.context.kernel_context import KernelContext, ObjectInfo
    from jupyter_turbopilot.plugins.functions.request import FunctionRequest

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
    """Existing names, with signatures where they are known."""

    names: frozenset[str] = frozenset()
    heads: Mapping[str, str] = field(default_factory=dict)  # `def` of a function; "" for other objects
    open: bool = False  # whether a star import may bind further names

    def takes(self, name: str, calls: Iterable[Call]) -> bool:
        """Return whether these calls of a name are valid, or may be because its signature is unknown."""
        head = self.heads.get(name)
        return head is None or (head != "" and takes(head, tuple(calls)))


def existing_names_for(
    request: FunctionRequest,
    kernel_context: KernelContext,
    above: str = "",
) -> ExistingNames:
    """Return the names that exist for a request: listed in it, in the kernel, in cells, and in `above`."""
    names, open_ = {*request.names, *kernel_context.names}, False
    heads = {
        name: head for name, fact in kernel_context.names.items() if (head := _head_of_fact(fact)) is not None
    }
    for source, defines in (*_sources(request), (readable(above), True)):
        count_operations(len(source) // 4)
        scopes = _scopes(source)
        if defines:
            names |= scopes.bound if scopes else bindings(source)
            open_ = open_ or (scopes is not None and scopes.open)
        for name in () if scopes else bindings(source):
            heads.pop(name, None)
        for node in scopes.tree.body if scopes else ():
            for name in bound_in(node):
                heads.pop(name, None)
            heads |= _heads_of(node)
    return ExistingNames(frozenset(names), heads, open_)


def _scopes(source: str) -> Scopes | None:
    """Return the names in a source; None if it does not parse, or parsing would take too long."""
    try:
        return Scopes(source)
    except SyntaxError:
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


def _heads_of(node: ast.stmt) -> dict[str, str]:
    """Return the heads of functions that a statement defines; "" for names of other objects."""
    if isinstance(node, Function):
        return {} if node.decorator_list else {node.name: _head(node)}
    if isinstance(node, ast.Import):  # a module is not callable
        return {alias.asname or alias.name.partition(".")[0]: "" for alias in node.names}
    if isinstance(node, ast.Assign) and isinstance(node.value, _LITERALS):
        return {target.id: "" for target in node.targets if isinstance(target, ast.Name)}
    return {}


def _head(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return a head with the parameter names only: defaults and types may be nested too deeply."""
    given, default = node.args, ast.Constant(...)
    parameters = ast.arguments(
        posonlyargs=[ast.arg(each.arg) for each in given.posonlyargs],
        args=[ast.arg(each.arg) for each in given.args],
        vararg=given.vararg and ast.arg(given.vararg.arg),
        kwonlyargs=[ast.arg(each.arg) for each in given.kwonlyargs],
        kw_defaults=[each and default for each in given.kw_defaults],
        kwarg=given.kwarg and ast.arg(given.kwarg.arg),
        defaults=[default] * len(given.defaults),
    )
    bare = ast.FunctionDef(node.name, parameters, [ast.Pass()], [], None, None, lineno=1, col_offset=0)
    return ast.unparse(bare)


def _head_of_fact(fact: ObjectInfo) -> str | None:
    """Return the head of a kernel's function; "" for other objects, None if unknown."""
    if fact.type in _VALUES or fact.columns is not None:
        return ""
    if fact.parameters is None or fact.type != "function":
        return None
    parts = [f"{name}=None" for name in fact.parameters]
    # The kernel context does not say whether the function is variadic: accept any number of arguments.
    parts[fact.positional :] = ["*_rest", *parts[fact.positional :]]
    return f"def _({', '.join(parts + ['**_more'] * fact.open)}): pass"
