"""Which functions of known libraries change objects, call arguments, or run code in a text. Pure.

Which of them may run other code than their own, the probe decides (`_NOT_INERT`).
"""

from __future__ import annotations

from jupyter_turbopilot.analysis.library_facts import functions, methods, parameters, values_of

_IN_TEXT, _WITH_COLUMNS = values_of("code"), methods("condition", "formula")
KEEPING, PASSING, CALLING = functions("keeps"), methods("errors"), methods("calls")
_EMPTYING, _CHANGING = methods("empties"), methods("changes")
CHANGING_KEYWORDS, UNSAFE_KEYWORDS = parameters("changes"), parameters("code")
# The argument that is the added label.
LABEL_AT = {name: int(at) for name, (at,) in values_of("label").items()}
SAME_SIZE, CONSUMING = functions("size"), functions("consumes")
ROWS, VIEWS = methods("rows", "tuples"), methods("size", library="builtins")
_NEW, _ELEMENTS = functions("new"), methods("element")
# Line magics that bind no name and run no Python code.
MAGICS = frozenset(
    """
    autosave cat cd colors conda dhist env ldir less lf lk ll ls lsmagic lx magic man matplotlib mkdir
    more mv notebook pip pprint precision pushd popd pwd quickref rmdir sx system uv xmode
    """.split()
)
# Cell magics that run no Python code in the kernel.
CELL_MAGICS = frozenset({"HTML", "SVG", "bash", "html", "javascript", "js", "latex", "markdown", "sh", "svg"})


def is_changing(function: str) -> bool:
    """Return whether a function or method may change the labels of a table, or the keys of a dictionary."""
    name = function.rpartition(".")[2]
    return name in _CHANGING or name.startswith("__")


def may_empty(function: str) -> bool:
    """Return whether a function or method may remove items of a container."""
    name = function.rpartition(".")[2]
    return name in _EMPTYING or name.startswith("__")


def makes_new(function: str) -> bool:
    """Return whether the result of a function is a new object."""
    package, name = function.partition(".")[0], function.rpartition(".")[2]
    return (f"{package}.*" in _NEW and name not in _ELEMENTS) or function in _NEW


def runs_text(method: str, text: object, *, is_extended: bool) -> bool:
    """Return whether a function evaluates or loads code that a text names, or that is unknown.

    `is_extended`: columns may have accessors of the user.
    """
    if method not in _IN_TEXT or (is_extended and method in _WITH_COLUMNS):
        return method in _IN_TEXT
    return not isinstance(text, str) or any(part in text for part in _IN_TEXT[method])
