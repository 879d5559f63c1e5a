"""The combined source of all functions: callees first, undefined names imported or listed. Pure."""

from __future__ import annotations

import ast
import sys
import typing
from collections import abc
from contextlib import suppress
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

from jupyter_turbopilot.plugins.functions.parsing import FAILURES, defined, readable, syntax_of
from jupyter_turbopilot.suggestion.calls import missing_names
from jupyter_turbopilot.suggestion.conventions import SHORT
from jupyter_turbopilot.suggestion.imports import Insertion, insertion

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

WIDTH = 100  # of comments that list names
# Names with the same meaning in every program.
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


@dataclass(frozen=True)
class Result:
    """The combined source, ready to run."""

    source: str
    undefined: tuple[str, ...] = ()  # names that it uses and nothing defines


def combine(
    above: str,
    functions: dict[str, str],
    known: AbstractSet[str],
    *,
    unfit: AbstractSet[str] = frozenset(),
    open_: bool = False,
) -> Result:
    """Combine functions, the first of which calls the others; `above` is the code before them.

    Well-known names are imported. Other undefined names are listed at the top, and so are existing names that
    do not accept their calls (`unfit`). If a star import may define any name (`open_`), nothing is imported,
    and the list mentions it.
    """
    if not functions:
        return Result(above)
    ordered = [functions[name] for name in _callees_first(functions)]
    # One part at a time: one long computation would block other threads.
    python = readable(above)
    parts = [python, *ordered]
    known = known | functions.keys()
    if python != above:
        known |= {"_"}  # the placeholder for the result of a magic or a shell command
    for part in parts:
        with suppress(*FAILURES):
            known |= defined(part)
    missing: tuple[str, ...] = ()
    for part in parts:
        with suppress(*FAILURES):  # prefer a result without the list to none
            missing += missing_names(part, known)
    missing = tuple(dict.fromkeys(missing))
    imports = {} if open_ else imports_for(parts, missing)
    undefined = tuple(name for name in missing if name not in imports)
    listed = _listed("May come from a star import:" if open_ else "Not defined here:", undefined)
    unfitting = _listed("These exist, and do not take the calls here:", tuple(sorted(unfit)))
    imported = _with_imports(above, sorted(imports.values()))
    head = "\n".join(part for part in (listed, unfitting, imported) if part)
    source = "\n\n\n".join([*([head] if head else []), *ordered]) + "\n"
    return Result(source, () if open_ else undefined)


def _with_imports(above: str, imports: list[str]) -> str:
    """Insert imports above the code, after a docstring and `__future__` imports."""
    place = insertion(above, imports) if imports else Insertion(0, "")
    first, rest = (above[: place.at] + place.text).strip("\n"), above[place.at :].strip("\n")
    gap = "\n" if rest.startswith(("import ", "from ")) else "\n\n"
    return gap.join(part for part in (first, rest) if part)


def _callees_first(functions: dict[str, str]) -> Iterator[str]:
    """Yield the names of functions in call order, callees first, except in cycles."""
    seen: set[str] = set()

    def visit(names: Iterable[str]) -> Iterator[str]:
        for name in names:
            if name not in seen:
                seen.add(name)
                yield from visit(_used(functions[name], functions))
                yield name

    return visit(functions)


def _used(source: str, functions: dict[str, str]) -> list[str]:
    """Return the functions that a source uses, in order of appearance."""
    names = [node for node in ast.walk(syntax_of(source)) if isinstance(node, ast.Name)]
    names.sort(key=lambda node: (node.lineno, node.col_offset))
    return [*dict.fromkeys(node.id for node in names if node.id in functions)]


def _listed(intro: str, names: tuple[str, ...]) -> str:
    """Return a comment that lists names."""
    text = f"{intro} {', '.join(names)}."
    return fill(text, WIDTH, initial_indent="# ", subsequent_indent="# ") if names else ""


def imports_for(sources: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Return an import statement for each well-known name.

    A module's name counts only where it is used as a module: before a dot.
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
