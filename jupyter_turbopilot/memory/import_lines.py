"""The imports in a piece of Python, each as a line that binds one name. Pure."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.syntax_tree import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

_STATEMENT = re.compile(
    r"^[ \t]*+((?:import[ \t]|from[ \t]++[\w.]++[ \t]++import\b)(?:[^\n()#;\\]*+)(?:\([^()]{0,4000}\))?)",
    re.MULTILINE,
)


class Import(NamedTuple):
    """An import that stands in somebody's code."""

    module: str  # the top-level one
    name: str  # what it binds; "" where that is not known
    line: str  # the import of this name alone


def imports_of(source: str) -> Iterator[Import]:
    """Iterate over the imports that stand in a text; relative ones mean something else elsewhere."""
    for found in _STATEMENT.finditer(source):
        try:
            (statement,) = parse(found[1]).body
        except (SyntaxError, ValueError):
            continue
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                yield _import(alias.name, "", alias)
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            for alias in statement.names:
                yield _import(statement.module, f"from {statement.module} ", alias)


def _import(module: str, origin: str, alias: ast.alias) -> Import:
    top = module.partition(".")[0]
    if alias.name == "*":
        return Import(top, "", "")
    renamed = f" as {alias.asname}" if alias.asname and alias.asname != alias.name else ""
    name = alias.asname or alias.name.partition(".")[0]
    return Import(top, name, f"{origin}import {alias.name}{renamed}")
