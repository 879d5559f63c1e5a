"""The combined source of all functions: callees first, undefined names imported or listed. Pure."""

from __future__ import annotations

import ast
import sys
import typing
from collections import abc
from dataclasses import dataclass
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


def result_of(
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
    known = known | functions.keys() | set().union(*map(_defined, parts))
    if python != above:
        known |= {"_"}  # the placeholder for the result of a magic or a shell command
    missing = tuple(dict.fromkeys(name for part in parts for name in _missing(part, known)))
    imports = {} if open_ else imports_for(parts, missing)
    undefined = tuple(name for name in missing if name not in imports)
    listed = _listed("May come from a star import:" if open_ else "Not defined here:", undefined)
    unfitting = _listed("These exist, and do not take the calls here:", tuple(sorted(unfit)))
    imported = _with_imports(above, sorted(imports.values()))
    head = "\n".join(part for part in (listed, unfitting, imported) if part)
    source = "\n\n\n".join([*([head] if head else []), *ordered]) + "\n"
    return Result(source, () if open_ else undefined)


def runnable(source: str, above: str) -> str:
    """Return a result without the magics and shell commands of the user's code."""
    lines = dict(zip(above.split("\n"), readable(above).split("\n"), strict=True))
    return "\n".join(lines.get(line, line) for line in source.split("\n"))


def _with_imports(above: str, imports: list[str]) -> str:
    """Insert imports above the code, after a docstring and `__future__` imports."""
    place = insertion(above, imports) if imports else Insertion(0, "")
    first, rest = (above[: place.at] + place.text).strip("\n"), above[place.at :].strip("\n")
    gap = "\n" if rest.startswith(("import ", "from ")) else "\n\n"
    return gap.join(part for part in (first, rest) if part)


def _missing(source: str, known: AbstractSet[str]) -> tuple[str, ...]:
    try:
        return missing_names(source, known)
    except FAILURES:  # prefer a result without the list to none
        return ()


def _defined(source: str) -> set[str]:
    try:
        return defined(source)
    except FAILURES:
        return set()


def _callees_first(functions: dict[str, str]) -> Iterator[str]:
    """Yield the names of functions in call order, callees first, except in cycles."""
    seen: set[str] = set()
    uses = {name: _used(source, functions) for name, source in functions.items()}
    # Without recursion: `True` where a function's callees have been yielded.
    stack = [(name, False) for name in reversed(functions)]
    while stack:
        name, ready = stack.pop()
        if ready:
            yield name
        elif name not in seen:
            seen.add(name)
            stack += [(name, True), *((other, False) for other in reversed(uses[name]))]


def _used(source: str, functions: dict[str, str]) -> list[str]:
    """Return the functions that a source uses, in order of appearance."""
    names = [node for node in ast.walk(syntax_of(source)) if isinstance(node, ast.Name)]
    names.sort(key=lambda node: (node.lineno, node.col_offset))
    return [*dict.fromkeys(node.id for node in names if node.id in functions)]


def _listed(words: str, names: tuple[str, ...]) -> str:
    """Return a comment that lists names."""
    if not names:
        return ""
    lines, line = [], f"# {words}"
    for name in names:
        if len(line) + len(name) > WIDTH:
            lines.append(line)
            line = "#"
        line += f" {name},"
    return "\n".join([*lines, f"{line[:-1]}."])


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
