"""Imports that functions need, of what everybody knows: a body cannot import for the whole cell. Pure."""

from __future__ import annotations

import ast
import sys
import typing
from collections import abc
from typing import TYPE_CHECKING

from jupyter_turbopilot.hierarchy.parsing import syntax_of
from jupyter_turbopilot.suggestion.conventions import SHORT

if TYPE_CHECKING:
    from collections.abc import Iterable

# Names that mean the same in every program.
_NAMES = {
    "typing": [name for name in typing.__all__ if name[0].isupper()],
    "collections.abc": abc.__all__,
    "collections": ("Counter", "OrderedDict", "ChainMap", "defaultdict", "deque", "namedtuple"),
    "dataclasses": ("dataclass",),
    "datetime": ("timedelta",),
    "decimal": ("Decimal",),
    "fractions": ("Fraction",),
    "functools": ("lru_cache", "partial", "reduce", "wraps"),
    "itertools": ("combinations", "groupby", "permutations", "zip_longest"),
    "pathlib": ("Path",),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}


def imports_for(sources: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Return the statement that imports it for each of the names that everybody knows.

    A module's name counts where it is used as one: before a dot.
    """
    nodes = [node for source in sources for node in ast.walk(syntax_of(source))]
    dotted = [
        node.value for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    ]
    modules = {node.id for node in dotted} & (sys.stdlib_module_names | SHORT.keys())
    within = {id(node) for node in dotted}
    modules -= {node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in within}
    found = {name: f"from {_MODULE_OF[name]} import {name}" for name in names if name in _MODULE_OF}
    return found | {name: _import(name) for name in names if name in modules and name not in found}


def _import(module: str) -> str:
    return f"import {SHORT[module]} as {module}" if module in SHORT else f"import {module}"
