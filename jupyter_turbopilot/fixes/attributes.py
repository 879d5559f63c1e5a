"""Misspelled attributes, and columns that are reached as attributes. Pure."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from jupyter_turbopilot.fixes.nearest import nearest
from jupyter_turbopilot.protocol.fix import Fix, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.fixes.failed_cell import FailedCell

_MISSING = re.compile(r"has no attribute '(\w+)'")
# Errors without a fix: the object is None, or a local file shadows a module.
_WITHOUT_FIX = re.compile(r"^'NoneType'|^partially initialized module|consider renaming")
_DOTTED = re.compile(r"\A\s*+\.\s*+(\w++)\Z")


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
    if failure.parses_with([edit]):
        title = f"Did you mean {title}?"
        yield Fix(title=title, source="kernel", confidence=confidence, edits=[edit], run=failure.reruns)
