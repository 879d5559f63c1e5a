"""The results and effects of expressions whose parts have been evaluated: which calls are quiet. Pure.

Which functions may run other code than their own, the probe decides (`_NOT_INERT`).
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.library_facts import (
    files_read,
    functions,
    methods,
    parameters,
    values_of,
)
from jupyter_turbopilot.analysis.parsed_cell import chain, expression_of
from jupyter_turbopilot.fixes.objects import INERT, UNKNOWN, OpaqueError, Value

if TYPE_CHECKING:
    from jupyter_turbopilot.fixes.objects import Objects

_IN_TEXT, _WITH_COLUMNS = values_of("code"), methods("condition", "formula")
KEEPING, PASSING, CALLING = functions("keeps"), methods("errors"), methods("calls")
_EMPTYING, _CHANGING = methods("empties"), methods("changes")
CHANGING_KEYWORDS, UNSAFE_KEYWORDS = parameters("changes"), parameters("code")
# The argument that is the added label.
LABEL_AT = {name: int(at) for name, (at,) in values_of("label").items()}
SAME_SIZE, CONSUMING = functions("size"), functions("consumes")
ROWS, VIEWS = methods("rows", "tuples"), methods("size", library="builtins")
_NEW, _ELEMENTS = functions("new"), methods("element")
# Functions, and methods of tables and columns, that change no object and no file.
_PURE = functions("pure")
_PURE_METHODS = {
    library: methods(
        "aggregation",
        "expression",
        "group",
        "more",
        "number",
        "part",
        "pure",
        "same",
        "window",
        library=library,
    )
    for library in ("pandas", "polars")
}
_READING_MODES = frozenset({"r", "rb", "rt"})
# Line magics that bind no name and run no Python code.
MAGICS = frozenset(
    """
    autosave cat cd colors conda dhist env ldir less lf lk ll ls lsmagic lx magic man matplotlib mkdir
    more mv notebook pip pprint precision pushd popd pwd quickref rmdir sx system uv xmode
    """.split()
)
# Those of them that neither write files nor change the folder.
SHOWING = frozenset("autosave cat colors dhist ls lsmagic magic matplotlib pprint precision pwd".split())
# Cell magics that run no Python code in the kernel.
SHELLS = frozenset({"bash", "sh"})
CELL_MAGICS = SHELLS | {"HTML", "SVG", "html", "javascript", "js", "latex", "markdown", "svg"}


def _is_changing(function: str) -> bool:
    """Return whether a function or method may change the labels of a table, or the keys of a dictionary."""
    name = function.rpartition(".")[2]
    return name in _CHANGING or name.startswith("__")


def _may_empty(function: str) -> bool:
    """Return whether a function or method may remove items of a container."""
    name = function.rpartition(".")[2]
    return name in _EMPTYING or name.startswith("__")


def _makes_new(function: str) -> bool:
    """Return whether the result of a function is a new object."""
    package, name = function.partition(".")[0], function.rpartition(".")[2]
    return (f"{package}.*" in _NEW and name not in _ELEMENTS) or function in _NEW


def _runs_text(method: str, text: object, *, is_extended: bool) -> bool:
    """Return whether a function evaluates or loads code that a text names, or that is unknown.

    `is_extended`: columns may have accessors of the user.
    """
    if method not in _IN_TEXT or (is_extended and method in _WITH_COLUMNS):
        return method in _IN_TEXT
    return not isinstance(text, str) or any(part in text for part in _IN_TEXT[method])


def evaluate(node: ast.expr | ast.keyword, objects: Objects) -> Value:  # noqa: PLR0911 - one for each kind
    """Return the result of an expression; raise OpaqueError if it may run any code."""
    match node:
        case ast.Constant(value=value):
            return objects.new(size=len(value) if isinstance(value, str | bytes) else -1)
        case ast.Name():
            return objects.name(node)
        case ast.Attribute(value=owner):
            return _attribute(node, objects.value(owner), objects)
        case ast.Subscript(value=owner, slice=index):
            key = (expression_of(node) or "")[len(expression_of(owner) or "") :]
            label = index.value if isinstance(index, ast.Constant) else ""
            if key and (found := objects.part(objects.value(owner), key, str(label))):
                return found
            objects.require(owner, index)
            return INERT
        case ast.Call():
            return _call(node, objects)
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            starred = [each for each in parts if isinstance(each, ast.Starred)]
            objects.require(*(parts if isinstance(node, ast.Set) else starred))
            return objects.new(is_inert=objects.are_inert(parts), size=-1 if starred else len(parts))
        case ast.Dict(keys=keys, values=values):
            objects.require(*keys, *(each for key, each in zip(keys, values, strict=True) if key is None))
            return objects.new(is_inert=objects.are_inert(values), size=-1 if None in keys else len(keys))
        case ast.keyword(value=value) | ast.Starred(value=value):
            return objects.value(value)
    objects.require(*(part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)))
    return objects.new()  # of operators, slices and f-strings


def _attribute(node: ast.Attribute, owner: Value, objects: Objects) -> Value:
    found = objects.part(owner, f".{node.attr}", node.attr)
    if found:
        if found.kind == "member" and not found.is_inert:
            raise OpaqueError  # a property of the user
        # A method of a library may call those of a class of the user.
        is_inert = found.is_inert and (owner.is_inert or owner.kind == "module" or not found.function)
        return found._replace(is_inert=is_inert, owner=owner, method=node.attr)
    if objects.has_label(owner, node.attr):
        return Value(is_inert=owner.is_inert)
    if owner.kind == "module":
        return UNKNOWN
    if not owner.is_inert or (objects.is_extended and owner.record is None):
        raise OpaqueError
    return Value(is_inert=True, owner=owner, method=node.attr)


def _call(node: ast.Call, objects: Objects) -> Value:
    function, name = objects.value(node.func), objects.value(node.func).function
    given = [objects.value(each) for each in (*node.args, *node.keywords)]
    is_keeping = name in KEEPING
    if not function.is_inert or not (is_keeping or all(each.is_inert for each in given)):
        raise OpaqueError
    text = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
    is_unsafe = any(each.arg in UNSAFE_KEYWORDS for each in node.keywords)
    method = function.method or name.rpartition(".")[2]
    if is_unsafe or _runs_text(method, text, is_extended=objects.is_extended):
        raise OpaqueError
    _record_changes(node, function, given, objects)
    if not _is_pure(node, function, given, objects):
        objects.has_any_file = objects.has_any_value = True
    if is_keeping:
        return UNKNOWN
    size = _size(node, function, given, objects)
    is_new = _makes_new(name) or (function.owner or INERT).table is not None
    return objects.new(size=size) if is_new else Value(is_inert=True, size=size)


def reads_file(node: ast.Call, function: str) -> ast.expr | None:
    """Return the path of a file in a call that fails if there is no such file."""
    arguments = files_read(function)
    given = {str(at): each for at, each in enumerate(node.args)}
    given |= {each.arg or "": each.value for each in node.keywords}
    mode = given.get("mode", given.get("1", ast.Constant("r")))
    is_writing = not (isinstance(mode, ast.Constant) and mode.value in _READING_MODES)
    if "" in given or (function == "builtins.open" and (is_writing or "opener" in given)):
        return None
    return next((given[name] for name in arguments if name in given), None)


def _is_pure(node: ast.Call, function: Value, given: list[Value], objects: Objects) -> bool:
    """Return whether a call changes no object and no file, and calls nothing that it is given."""
    may_call = any(each.function or each.method or each.kind == "other" for each in given)
    if may_call or not CHANGING_KEYWORDS.isdisjoint({each.arg for each in node.keywords}):
        return False
    if function.function and (function.owner is None or function.owner.kind in {"class", "module"}):
        return function.function in _PURE or reads_file(node, function.function) is not None
    method, root = function.method, chain(node.func)[-1]
    found = objects.described(root)
    library = ((found and (found.name or found.module)) or "").partition(".")[0]
    is_literal = all(map(_is_literal, node.args)) or method not in CALLING
    return is_literal and method in _PURE_METHODS.get(library, ())


def _is_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) or (
        isinstance(node, ast.List | ast.Tuple) and all(isinstance(each, ast.Constant) for each in node.elts)
    )


def _size(  # noqa: PLR0911 - one for each kind of function
    node: ast.Call, function: Value, given: list[Value], objects: Objects
) -> int:
    """Return how many objects an iteration over the result of a call yields; -1: unknown."""
    name, owner = function.function, function.owner
    if any(isinstance(each, ast.Starred) for each in node.args):
        return -1
    if name in SAME_SIZE:
        return given[0].size if node.args else -1
    if name == "builtins.zip":
        return min((each.size for each in given), default=-1)
    if name == "builtins.range":
        match node.args:
            case [ast.Constant(value=int(last))]:
                return int(last)
            case [ast.Constant(value=int(first)), ast.Constant(value=int(last))]:
                return int(last) - int(first)
    if owner and owner.kind == "dict" and function.method in VIEWS:
        return owner.size
    if function.method in ROWS and isinstance(node.func, ast.Attribute):
        found = objects.described(node.func.value)
        return found.rows or -1 if found else -1
    return -1


def _record_changes(node: ast.Call, function: Value, given: list[Value], objects: Objects) -> None:
    """Record which labels and attributes a quiet call may add."""
    owner, method = function.owner, function.method or function.function.rpartition(".")[2]
    _record_changes_of_arguments(function, method, given, objects)
    names = {each.arg for each in node.keywords}
    in_place = not names.isdisjoint(CHANGING_KEYWORDS)
    if owner is None or owner.kind in {"class", "module"}:
        if in_place or _is_changing(method):
            objects.change(INERT)  # one of the arguments, or what it contains
        objects.has_any_attribute = objects.has_any_attribute or any(map(_may_be_fitted, given))
        return
    is_unpacked = None in names or any(isinstance(each, ast.Starred) for each in node.args)
    if in_place or None in names or _is_changing(method):
        at = LABEL_AT.get(method)
        is_known = at is not None and at < len(node.args) and not (in_place or is_unpacked)
        label = node.args[at or 0] if is_known else None
        objects.change(owner, label.value if isinstance(label, ast.Constant) else None)
        return
    arguments = zip((*node.args, *(each.value for each in node.keywords)), given, strict=True)
    variables = (value for each, value in arguments if not isinstance(each, ast.Constant))
    objects.has_any_attribute = objects.has_any_attribute or any(map(_may_be_fitted, (owner, *variables)))


def _record_changes_of_arguments(function: Value, method: str, given: list[Value], objects: Objects) -> None:
    """Record the changes by functions that a call gets, and of dictionaries that it may fill."""
    names = [name for each in given for name in (each.method, each.function)]
    is_unknown = not method or (
        method in CALLING and any(each.record is None and each.number is None for each in given)
    )
    if is_unknown or any(map(_is_changing, names)):
        objects.change(INERT)  # it may be a method of any object
    objects.may_be_empty = objects.may_be_empty or is_unknown or any(map(_may_empty, (method, *names)))
    if function.function.startswith("builtins."):
        return
    for each in (*given, function.owner or INERT):
        # An object of a library may hold dictionaries, and change them.
        objects.has_any_key = objects.has_any_key or each.kind in {"member", "other"}
    for each in given:
        if each.kind == "dict":
            objects.change(each)


def _may_be_fitted(value: Value) -> bool:
    """Return whether a call may add attributes to an object, or to one that it contains."""
    return value.table is None and value.kind in {"", "other", "member"}
