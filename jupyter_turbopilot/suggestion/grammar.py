"""Does a text fit where it is to stand? Python's parser says, or tree-sitter where it is installed. Pure.

A cell that is being written never parses as it stands: for tree-sitter the brackets that are open are closed,
something is put where something is missing, and what then is still wrong is counted.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.bounded import STATEMENT
from jupyter_turbopilot.suggestion.syntax import judged, scan

if TYPE_CHECKING:
    from collections.abc import Callable

_ALIASES = {"c++": "cpp", "c#": "csharp", "sh": "bash", "js": "javascript", "ts": "typescript"}
_INNER = ("", " x", " x;", " in x")
LONGEST_TREE = 2_000  # what tree-sitter mends in a text with many faults takes the square of its length
PATIENCE = 2_000_000  # characters that are parsed for one answer: what is left then does not fit
_OUTER = ("", " x", " {}", "\nend")


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
    if len(prefix) > STATEMENT:
        return lambda _: True  # nobody waits for that long
    left = PATIENCE

    @cache
    def faults_of(text: str) -> int:
        nonlocal left
        if left <= 0:
            return STATEMENT
        found, parsed = _judge(language, text)
        left -= parsed
        return found

    def fits(text: str) -> bool:
        found = faults_of(prefix + text)
        return not found or found <= faults_of(prefix)

    return fits


def _judge(language: str, text: str) -> tuple[int, int]:
    """Return how much of a text is wrong however it goes on, and how much was parsed to find out."""
    if language == "python":
        valid, parsed = judged(text)
        return int(not valid), parsed
    if len(text) > LONGEST_TREE or grammar_of(language) is None:
        return int(not scan(text).balanced), 0
    return faults(language, text), len(text) * len(_OUTER) * len(_INNER)


@lru_cache(maxsize=64)
def faults(language: str, text: str) -> int:
    """Return how much of a text is wrong however it goes on."""
    from tree_sitter import Parser

    parser = Parser(grammar_of(language))
    closers = scan(text).brackets
    fewest = STATEMENT
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
