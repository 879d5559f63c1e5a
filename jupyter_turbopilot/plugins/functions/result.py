"""The combined source of all functions: callees first, undefined names imported or listed. Pure."""

from __future__ import annotations

import sys
from contextlib import suppress
from textwrap import fill
from typing import TYPE_CHECKING

from jupyter_turbopilot.plugins.functions.parsing import readable
from jupyter_turbopilot.suggestion.calls import missing_names
from jupyter_turbopilot.suggestion.imports import ModuleLocation, Sources, Use, uses, with_imports
from jupyter_turbopilot.suggestion.resolve import bindings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

WIDTH = 100  # of comments that list names
_CONVENTIONS = Sources(lambda _name, *, near: (), lambda _module: ModuleLocation.ANYWHERE)  # noqa: ARG005


def combine(
    above: str, functions: Mapping[str, str], known: Iterable[str] | None
) -> tuple[str, tuple[str, ...]]:
    """Return functions in one source, each below those that it calls, and the names that it does not define.

    `functions` are in the order of their generation, `above` is the code before them, and `known` contains
    existing names; None: any name may exist. Well-known names are imported, and a comment at the top lists
    other undefined ones.
    """
    bound = {"_", *(known or ()), *functions, *bindings(above)}
    imports: dict[str, str] = {}
    undefined: dict[str, None] = {}
    # One part at a time: one long computation would block other threads.
    for part in (readable(above), *functions.values()) if known is not None else ():
        with suppress(SyntaxError):  # nested too deeply for this depth of the stack
            missing = missing_names(part, bound)
            imports |= imports_for(part, missing)
            undefined |= dict.fromkeys(missing)
    names = tuple(name for name in undefined if name not in imports)
    listed = f"Not defined here: {', '.join(names)}." if names else ""
    comment = fill(listed, WIDTH, initial_indent="# ", subsequent_indent="# ")
    code = with_imports(above, sorted(imports.values())).strip("\n")
    head = "\n".join(filter(None, (comment, code)))
    ordered = (functions[name] for name in _callees_first(functions))
    return "\n\n\n".join(filter(None, (head, *ordered))) + "\n", names


def _callees_first(functions: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of functions, each after those that it uses, except in cycles."""
    seen: set[str] = set()

    def visit(names: Iterable[str]) -> Iterator[str]:
        for name in names:
            if name in functions and name not in seen:
                seen.add(name)
                with suppress(SyntaxError):  # nested too deeply for this depth of the stack
                    yield from visit(missing_names(functions[name], frozenset()))
                yield name

    return visit(functions)


def imports_for(source: str, names: Iterable[str]) -> dict[str, str]:
    """Return the import line of each well-known name.

    Other modules of the standard library are imported only if each use is one of a module: before a dot.
    """
    seen: dict[str, list[Use]] = {}
    for use in uses(source):
        seen.setdefault(use.name, []).append(use)
    found: dict[str, str] = {}
    for name in names:
        own = seen.get(name, [Use(name, "", dotted=True)])  # the uses in an f-string are not seen
        is_module = name in sys.stdlib_module_names and all(use.dotted for use in own)
        lines = filter(None, map(_CONVENTIONS.line_for, own))
        if line := next(lines, f"import {name}" if is_module else ""):
            found[name] = line
    return found
