"""The source that all functions make together: parsing, callees first, every name defined or listed. Pure."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.hierarchy.imports import imports_for
from jupyter_turbopilot.suggestion.calls import missing_names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

WIDTH = 100  # of the comment that lists names


@dataclass(frozen=True)
class Result:
    """What was written, ready to be run."""

    source: str
    undefined: tuple[str, ...] = ()  # names that it uses and nothing defines


def result_of(above: str, functions: dict[str, str], known: AbstractSet[str]) -> Result:
    """Put functions together, the first of which calls the others; `above` is code that was given with it.

    What the standard library has is imported. Other names that nothing defines are listed at the top.
    """
    if not functions:
        return Result(above)
    ordered = [functions[name] for name in _callees_first(functions)]
    whole = "\n\n\n".join([above, *ordered] if above else ordered)
    missing = missing_names(whole, known)
    imports = imports_for(whole, missing)
    undefined = tuple(name for name in missing if name not in imports)
    code = "\n".join(sorted(imports.values()))
    parts = [_listed(undefined), above, code]
    head = "\n".join(part for part in parts if part)
    return Result("\n\n\n".join([*([head] if head else []), *ordered]) + "\n", undefined)


def _callees_first(functions: dict[str, str]) -> Iterator[str]:
    """Yield the names of functions so that each stands behind those it calls, but for circles."""
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
    """Return which of the functions a source uses, in the order of the text."""
    names = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)]
    names.sort(key=lambda node: (node.lineno, node.col_offset))
    return [*dict.fromkeys(node.id for node in names if node.id in functions)]


def _listed(names: tuple[str, ...]) -> str:
    """Return a comment that lists names."""
    if not names:
        return ""
    lines, line = [], "# Not defined here:"
    for name in names:
        if len(line) + len(name) > WIDTH:
            lines.append(line)
            line = "#"
        line += f" {name},"
    return "\n".join([*lines, f"{line[:-1]}."])
