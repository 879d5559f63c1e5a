"""Misspelled attributes, columns that are reached as attributes, and keyword arguments. Pure."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.library_facts import MEMBERS, methods, values_of
from jupyter_turbopilot.analysis.parsed_cell import expression_of
from jupyter_turbopilot.fixes.keys import replacement
from jupyter_turbopilot.fixes.nearest import (
    SHORTEST,
    nearest,
    nearest_of_few,
    nearest_of_interface,
    nearest_short,
)
from jupyter_turbopilot.protocol.fix import quoted
from jupyter_turbopilot.util.syntax_tree import walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.fixes.failed_cell import FailedCell
    from jupyter_turbopilot.protocol.fix import Fix

_MISSING = re.compile(r"has no attribute '(\w+)'")
# Errors without a fix: the object is None, a local file shadows a module, or the name is that of a keyword.
_WITHOUT_FIX = re.compile(r"^'NoneType'|^partially init|consider renaming|keyword argument|no property")
_NO_FUNCTION = re.compile(r"'(\w+)' is not a valid function\b|has no attribute '(\w+)'")
_AGGREGATING, _AGGREGATIONS = methods("by_name"), methods("aggregation")
_DOTTED = re.compile(r"\A\s*+\.\s*+(\w++)\Z")
_UNEXPECTED = re.compile(r"(?:unexpected keyword argument|no property) '(\w+)'(?:\. Did you mean '(\w+)'\?)?")
_OF_COLLECTIONS = MEMBERS["matplotlib.collections.Collection"]  # properties that no function accepts
_PLOTTING = re.compile(r"pandas[/\\]plotting[/\\]")
_LESS = 0.15  # confidence, for a function that passes arbitrary keywords on
_START, _STEM, _MOST_MISSING = 4, 6, 2  # letters of a parameter without its end
_COMPLETED = 0.7  # confidence
_OF_PLOTS = MEMBERS["pandas.DataFrame.plot"]  # parameters


def missing_attribute(failure: FailedCell) -> ast.Attribute | None:
    """Return the only node in the failed expression that reads the missing attribute."""
    error = failure.report.error
    found = _MISSING.search(failure.message)
    word = (error and error.name) or (found and found[1])
    nodes = [node for node in failure.nodes(ast.Attribute) if node.attr == word]
    return nodes[0] if len(nodes) == 1 else None


def find(failure: FailedCell) -> Iterator[Fix]:
    """Find the nearest attribute or column of the object, if it is known."""
    error = failure.report.error
    node = missing_attribute(failure)
    if node is None or not error or _WITHOUT_FIX.search(failure.message):
        return
    # Some modules raise an error without the object.
    described = error.object or failure.described(node.value)
    if described is None or described.type == "NoneType":
        return
    attributes = {name for name in described.attributes or () if not name.startswith("_")}
    labels = {*(described.labels or ())} - attributes
    if node.attr in labels:
        near: tuple[str, float] | None = node.attr, 0.97  # polars has no columns as attributes
    elif described.attributes is None and described.labels is None:
        return
    else:
        near = nearest(node.attr, attributes | labels)
        if not near and len(node.attr) == SHORTEST:
            near = nearest_short(node.attr, attributes)
    _, start = failure.span(node.value)
    _, end = failure.span(node)
    dotted = _DOTTED.match(failure.source[start:end].lstrip(")"))
    if not near or not dotted or dotted[1] != node.attr:
        return
    name, confidence = near
    if name in failure.functions_around(node):
        return  # `self._valeu` in the property `value`
    is_polars = (described.module or "").startswith("polars")
    if name in attributes or (name.isidentifier() and not is_polars):
        title, edit = quoted(name), failure.edit(end - len(node.attr), end, name)
    else:
        title, edit = f"[{quoted(name)}]", failure.edit(end - len(dotted[0]), end, f"[{name!r}]")
    yield from failure.fix(f"Did you mean {title}?", [edit], confidence)


def find_aggregation(failure: FailedCell) -> Iterator[Fix]:
    """Find the nearest function of pandas for the name of an unknown one, as in `agg("meen")`."""
    found = _NO_FUNCTION.search(failure.message)
    word = found and (found[1] or found[2])
    nodes = {
        node
        for call in failure.nodes(ast.Call)
        if isinstance(call.func, ast.Attribute) and call.func.attr in _AGGREGATING
        for argument in (*call.args, *call.keywords)
        for node in walk(argument)
        if isinstance(node, ast.Constant) and node.value == word
        if not any(isinstance(each, ast.Lambda) for each in walk(argument))
    }
    lacking = {
        name
        for name, owners in values_of("lacks").items()
        if any(f"{owner}'" in failure.message for owner in owners)  # not `DataFrameGroupBy` for `DataFrame`
    }
    near = word and len(nodes) == 1 and nearest_of_few(word, _AGGREGATIONS - lacking)
    if near and not any(node.attr == word for node in failure.nodes(ast.Attribute)):
        node = nodes.pop()
        if part := replacement(failure.source, failure.span(node), node, near[0]):
            yield from failure.fix(f"Did you mean {quoted(near[0])}?", [failure.edit(*part)], near[1])


# Keyword arguments ---------------------------------------------------------------------------------------


def find_parameter(failure: FailedCell) -> Iterator[Fix]:
    """Find the nearest parameter for an unexpected keyword argument."""
    found = _UNEXPECTED.search(failure.message)
    if not found:
        return
    word = found[1]
    calls = [(call, each) for call in failure.nodes(ast.Call) for each in call.keywords if each.arg == word]
    if len(calls) != 1:
        return
    ((call, argument),) = calls
    parameters, is_open = _parameters(failure, call.func)
    if failure.name == "AttributeError":
        parameters, is_open = [*(parameters or ()), *_properties(failure)], True
    if parameters is None and found[2]:
        parameters = [found[2]]  # the interpreter's suggestion
    if parameters is None or word in parameters:
        return
    given = {each.arg for each in call.keywords}
    names = [name for name in parameters if name not in given and name != "self"]
    near = nearest_of_interface(word, names)
    near = near or (None if is_open else _completed(word, names))
    start, _ = failure.span(argument)
    edit = near and failure.edit(start, start + len(word), near[0])
    if near and edit and edit.old == word:
        yield from failure.fix(f"Did you mean {quoted(near[0])}?", [edit], near[1] - _LESS * is_open)


def _completed(word: str, names: list[str]) -> tuple[str, float] | None:
    """Return the only parameter with a similar start, if only the end of its last word is missing."""
    similar = [name for name in names if name.startswith(word[:_START])]
    if len(similar) != 1 or len(word) < _STEM or not similar[0].startswith(word):
        return None
    missing = similar[0][len(word) :]
    return (similar[0], _COMPLETED) if missing.isalpha() and len(missing) <= _MOST_MISSING else None


def _properties(failure: FailedCell) -> Iterator[str]:
    """Yield the properties of the Matplotlib object that rejected a keyword.

    If pandas passed the keyword on, also yield the parameters of its plots.
    """
    error = failure.report.error
    if error and error.object:
        yield from error.object.parameters or ()
        names = (name[4:] for name in error.object.attributes or () if name.startswith("set_"))
        yield from (name for name in names if name not in _OF_COLLECTIONS)
        if any(_PLOTTING.search(frame.file) for frame in error.frames):
            yield from sorted(_OF_PLOTS)


def _parameters(failure: FailedCell, function: ast.expr) -> tuple[list[str] | None, bool]:
    """Return the known parameters of a function, and whether it accepts others."""
    name = expression_of(function) or ""
    described = failure.report.objects.get(name)
    if described and described.parameters is not None:
        return described.parameters, described.open
    known = failure.kernel_context.names.get(name)
    return (known.parameters, known.open) if known else (None, False)
