"""What functions of known libraries do with their arguments and with code in a text, as rows of data. Pure.

Which of them may run other code than their own, the probe decides (`_NOT_INERT`).
"""

from __future__ import annotations

from jupyter_turbopilot.analysis.table_methods import methods

# Functions and methods with a text in which one of these parts means code, or a module, of the user.
_IN_TEXT = {
    **dict.fromkeys(("eval", "query"), ("@",)),
    **dict.fromkeys(("option_context", "set_option"), ("backend",)),
    **dict.fromkeys(("context", "switch_backend", "use"), (".", ":")),
}
# Functions and decorators that keep a function or a class and do not call it.
KEEPING = frozenset({
    "abc.abstractmethod", "builtins.classmethod", "builtins.property", "builtins.staticmethod",
    "contextlib.contextmanager", "dataclasses.dataclass", "functools.cache", "functools.cached_property",
    "functools.lru_cache", "functools.partial", "functools.total_ordering", "functools.wraps",
})  # fmt: skip
# Context managers that pass on the errors of their body.
PASSING = frozenset({
    "NamedTemporaryFile", "TemporaryDirectory", "TemporaryFile", "ZipFile", "catch_warnings", "errstate",
    "open", "option_context", "printoptions", "rc_context",
})  # fmt: skip
_EMPTYING = frozenset({
    "clear", "delitem", "difference_update", "discard", "iand", "imul", "intersection_update", "isub", "ixor",
    "pop", "popitem", "popleft", "remove", "setitem", "symmetric_difference_update",
})  # fmt: skip
# Keyword arguments that name a module, or permit code in a file.
UNSAFE_KEYWORDS = frozenset({"allow_pickle", "backend", "engine"})
# Functions and methods that call an argument.
CALLING = methods("calls").union(
    "accumulate filterfalse max min reduce sort sorted starmap sub takewhile".split()
)
# The argument that is the added label.
LABEL_AT = {"insert": 1, "setdefault": 0}
# Functions whose result is as long as their first argument.
SAME_SIZE = frozenset({
    "builtins.enumerate", "builtins.list", "builtins.reversed", "builtins.sorted", "builtins.tuple",
    "tqdm.std.tqdm",
})  # fmt: skip
# Functions and methods that change which labels a table or a dictionary has.
_CHANGING = frozenset({
    "clear", "drop_in_place", "extend", "hstack", "insert", "insert_column", "ior", "isetitem", "pop",
    "popitem", "reload_library", "replace_column", "setdefault", "setitem", "update",
})  # fmt: skip
# Functions that consume a generator before they return.
CONSUMING = frozenset(
    f"builtins.{name}" for name in "all any dict frozenset list max min set sorted sum tuple".split()
)
# Libraries whose functions return new objects.
_NEW = frozenset({"matplotlib", "numpy", "pandas", "polars", "seaborn", "plotly", "io", "json", "re", "math"})
# Their functions whose result may be an element of an argument.
_ELEMENTS = frozenset({"amax", "amin", "choose", "get", "item", "max", "min", "pop", "squeeze", "take"})
_NEW_BUILT_IN = frozenset(
    f"builtins.{name}" for name in "abs dict float int len list round set sorted str tuple".split()
)
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
    return (package in _NEW and name not in _ELEMENTS) or function in _NEW_BUILT_IN


def runs_text(method: str, text: object, *, is_extended: bool) -> bool:
    """Return whether a function evaluates or loads code that a text names, or that is unknown.

    `is_extended`: columns may have accessors of the user.
    """
    if method not in _IN_TEXT or (is_extended and method in {"eval", "query"}):
        return method in _IN_TEXT
    return not isinstance(text, str) or any(part in text for part in _IN_TEXT[method])
