"""Functions that Python source calls without a definition, and signatures that accept the calls. Pure.

Source that does not parse, is nested too deeply or is longer than `scopes` accepts raises SyntaxError.
"""

from __future__ import annotations

import ast
import keyword
from collections import Counter
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.resolve import EVERYWHERE
from jupyter_turbopilot.analysis.scopes import Scopes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

MOST = 64  # positional parameters in a signature
_RESERVED = frozenset(("__debug__", *keyword.kwlist, *keyword.softkwlist))
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Call:
    """A call of a name."""

    keywords: tuple[str, ...]  # names of keyword arguments, in order
    starred: bool  # whether *args or **kwargs is passed
    source: str  # source text of the call
    names: tuple[str, ...] = ()  # of the arguments before the first starred one; "" for unnamed ones


@dataclass(frozen=True)
class MissingFunction:
    """A called name without a definition."""

    name: str
    calls: tuple[Call, ...]
    signature: str  # parameters that accept all calls: "values, start, *, key=None"


def missing_functions(source: str, known: AbstractSet[str]) -> tuple[MissingFunction, ...]:
    """Return the called plain names without a definition, in the order of their first calls.

    `known` contains existing names besides Python's and IPython's own. A decorator is called with the object
    that it decorates. After a star import any name may exist, so nothing is missing.
    """
    scopes = Scopes(source)
    callers = dict(_callers(scopes.tree))
    calls: dict[str, list[Call]] = {}
    for name in _missing(scopes, known):
        if caller := callers.get(id(name)):
            calls.setdefault(name.id, []).append(_call(scopes, name, caller))
    return tuple(
        MissingFunction(name, tuple(called), signature_for(name, called)) for name, called in calls.items()
    )


def missing_names(source: str, known: AbstractSet[str]) -> tuple[str, ...]:
    """Return the used names without a definition, called or not, in the order of their first use."""
    return tuple(dict.fromkeys(name.id for name in _missing(Scopes(source), known)))


def _missing(scopes: Scopes, known: AbstractSet[str]) -> Iterator[ast.Name]:
    if not scopes.open:
        yield from (name for name in scopes.free if name.id not in EVERYWHERE and name.id not in known)


def _callers(tree: ast.AST) -> Iterator[tuple[int, ast.Call | _Definition]]:
    """Yield each call of a plain name, or definition that it decorates, by the identity of the name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield id(node.func), node
        elif isinstance(node, _Definition):
            yield from ((id(decorator), node) for decorator in node.decorator_list)


def _call(scopes: Scopes, place: ast.Name, caller: ast.Call | _Definition) -> Call:
    if not isinstance(caller, ast.Call):
        decorated = "cls" if isinstance(caller, ast.ClassDef) else "function"
        return Call((), starred=False, source=f"@{scopes.text(place)}", names=(decorated,))
    before_star = takewhile(lambda argument: not isinstance(argument, ast.Starred), caller.args)
    keywords = tuple(given.arg for given in caller.keywords if given.arg)
    names = tuple(map(name_of, before_star))
    starred = len(names) < len(caller.args) or len(keywords) < len(caller.keywords)
    return Call(keywords, starred, scopes.text(caller), names)


def name_of(node: ast.expr) -> str:
    """Return a name, or the last one of a dotted name; an empty string for others."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def signature_for(function: str, calls: Sequence[Call]) -> str:
    """Return parameters that accept each of the calls. Those that some call omits default to None.

    After `MOST` positional parameters, further arguments are collected by `*args`.
    """
    starred = any(call.starred or len(call.names) > MOST for call in calls)
    keywords = Counter(word for call in calls for word in dict.fromkeys(call.keywords))
    lengths = [len(call.names) for call in calls]
    taken = {function, *_RESERVED, *keywords}
    parameters: list[str] = []
    optional = False
    for at in range(min(*lengths, MOST) if starred else max(lengths)):
        passing = [call for call in calls if len(call.names) > at]
        others = [call for call in calls if len(call.names) <= at]
        wanted = next(filter(None, (call.names[at] for call in passing)), "value")
        if (
            not starred
            and wanted in keywords
            and wanted != function
            and all(wanted not in call.keywords for call in passing)
        ):
            # Some calls pass this argument by position, others by name.
            name = wanted
            del keywords[name]
            others = [call for call in others if name not in call.keywords]
        else:
            name = _unused(wanted, taken)
        optional = optional or bool(others)
        parameters.append(f"{name}=None" if optional else name)
    if starred:
        parameters.append(f"*{_unused('args', taken)}")
    elif keywords:
        parameters.append("*")
    parameters += [word if keywords[word] == len(calls) else f"{word}=None" for word in keywords]
    return ", ".join([*parameters, f"**{_unused('kwargs', taken)}"] if starred else parameters)


def _unused(name: str, taken: set[str]) -> str:
    """Reserve a name, numbered if it is already taken: "value", "value_2"."""
    new, number = name, 2
    while new in taken:
        new, number = f"{name}_{number}", number + 1
    taken.add(new)
    return new
