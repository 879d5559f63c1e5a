"""Parameters that fit calls: written for a new function, compared with those of one that exists. Pure."""

from __future__ import annotations

import ast
import keyword
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING

from jupyter_turbopilot.bounds import STATEMENT
from jupyter_turbopilot.syntax_tree import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 64  # positional parameters that a signature names
_RESERVED = frozenset(("__debug__", *keyword.kwlist, *keyword.softkwlist))
_OBJECT = re.compile(r"<[^<>]*+>")  # how a signature shows a default that has no source


@dataclass(frozen=True)
class Passed:
    """What a call passes."""

    positional: tuple[str, ...]  # for each argument before the first star: its name, "" where it has none
    keywords: tuple[str, ...]
    starred: bool  # *args or **kwargs is passed


def signature_for(function: str, calls: Sequence[Passed]) -> str:
    """Return parameters that take each of the calls. What not every call passes is None by default.

    After `MOST` positional parameters comes one that takes all further arguments.
    """
    starred = any(call.starred or len(call.positional) > MOST for call in calls)
    keywords = Counter(word for call in calls for word in dict.fromkeys(call.keywords))
    lengths = [len(call.positional) for call in calls]
    names = Names({function, *_RESERVED, *keywords})
    parameters: list[str] = []
    optional = False
    for at in range(min(*lengths, MOST) if starred else max(lengths)):
        passing = [call for call in calls if len(call.positional) > at]
        others = [call for call in calls if len(call.positional) <= at]
        wanted = next(filter(None, (call.positional[at] for call in passing)), "value")
        if (
            not starred
            and wanted in keywords
            and wanted != function
            and all(wanted not in call.keywords for call in passing)
        ):
            # What some calls pass by position, others pass by this name.
            name = wanted
            del keywords[name]
            others = [call for call in others if name not in call.keywords]
        else:
            name = names.new(wanted)
        optional = optional or bool(others)
        parameters.append(f"{name}=None" if optional else name)
    if starred:
        parameters.append(f"*{names.new('args')}")
    elif keywords:
        parameters.append("*")
    parameters += [word if keywords[word] == len(calls) else f"{word}=None" for word in keywords]
    return ", ".join([*parameters, f"**{names.new('kwargs')}"] if starred else parameters)


class Names:
    """Names that are taken, and new ones beside them: "value", "value_2"."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken
        self._next: dict[str, int] = {}  # so that many of one name are not counted again and again

    def new(self, name: str) -> str:
        """Take a name, with a number if it is taken already."""
        new, number = name, self._next.get(name, 2)
        while new in self._taken:
            new, number = f"{name}_{number}", number + 1
        self._next[name] = number
        self._taken.add(new)
        return new


def parameters_of(text: str) -> ast.arguments | None:
    """Read parameters from a definition, its first line, or a signature as `inspect` writes it."""
    text = dedent(text).strip()
    if len(text) > STATEMENT:
        return None
    for written in (text, _OBJECT.sub("...", text)):
        for source in (
            written,
            f"{written}\n    pass",
            f"{written}: pass",
            f"def {written}: pass",
            f"def _{written}: pass",
            f"def _({written}): pass",
        ):
            with suppress(SyntaxError):
                match parse(source).body:
                    case [ast.FunctionDef(args=parameters) | ast.AsyncFunctionDef(args=parameters), *_]:
                        return parameters
    return None


def fits(parameters: ast.arguments, positional: int, keywords: Sequence[str], *, starred: bool) -> bool:
    """Tell whether parameters take a call; what a star passes is taken to be what is missing."""
    in_order = [parameter.arg for parameter in (*parameters.posonlyargs, *parameters.args)]
    if positional > len(in_order) and not parameters.vararg:
        return False
    by_name = {parameter.arg for parameter in (*parameters.args, *parameters.kwonlyargs)}
    given = set(in_order[:positional])
    for word in keywords:
        if (word in by_name and word in given) or not (word in by_name or parameters.kwarg):
            return False
        given.update({word} & by_name)
    required = set(in_order[: len(in_order) - len(parameters.defaults)])
    required.update(
        parameter.arg
        for parameter, default in zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True)
        if default is None
    )
    return starred or required <= given
