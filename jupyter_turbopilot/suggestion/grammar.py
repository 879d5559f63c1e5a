"""Does a text fit where it is to stand? Python's parser says, or tree-sitter where it is installed. Pure.

A cell that is being written never parses as it stands: for tree-sitter the brackets that are open are closed,
something is put where something is missing, and what then is still wrong is counted.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.suggestion.syntax import scan, valid_beginning

if TYPE_CHECKING:
    from collections.abc import Callable

_ALIASES = {"c++": "cpp", "c#": "csharp", "sh": "bash", "js": "javascript", "ts": "typescript"}
_INNER = ("", " x", " x;", " in x")
_OUTER = ("", " x", " {}", "\nend")
_LONGEST = 20_000


@lru_cache(maxsize=16)
def grammar_of(language: str) -> Any:
    """Return a language's grammar; None where there is none, or tree-sitter is not installed."""
    try:
        from tree_sitter_language_pack import get_language
    except ModuleNotFoundError:
        return None
    try:
        return get_language(_ALIASES.get(language.lower(), language.lower()))  # type: ignore[arg-type]
    except LookupError:
        return None


def fitting(language: str, prefix: str) -> Callable[[str], bool]:
    """Return what tells whether a text fits: a cell that could become a program still can."""
    if language == "python":
        return lambda text: valid_beginning(prefix + text) or not valid_beginning(prefix)
    if grammar_of(language) is None or len(prefix) > _LONGEST:
        return lambda text: scan(prefix + text).balanced or not scan(prefix).balanced
    return lambda text: faults(language, prefix + text) <= faults(language, prefix)


@lru_cache(maxsize=64)
def faults(language: str, text: str) -> int:
    """Return how much of a text is wrong however it goes on."""
    from tree_sitter import Parser

    parser = Parser(grammar_of(language))
    closers = scan(text).brackets
    fewest = _LONGEST
    for inner in _INNER if closers else ("",):
        for outer in _OUTER:
            whole = f"{text}{inner}{closers}{outer}\n"
            fewest = min(fewest, _count(parser.parse(whole.encode()).root_node))
            if not fewest:
                return 0
    return fewest


def _count(root: Any) -> int:
    found, nodes = 0, [root]
    while nodes:
        node = nodes.pop()
        found += node.is_error or node.is_missing
        if node.has_error:
            nodes += node.children
    return found
