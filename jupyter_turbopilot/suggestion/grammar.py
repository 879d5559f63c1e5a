"""Does a text fit where it is to stand? Python's parser says, or tree-sitter where it is installed. Pure.

A cell that is being written never parses as it stands. So what counts is what tree-sitter meets that cannot
stand where it does: that the text ends too early is no fault.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.bounds import STATEMENT
from jupyter_turbopilot.suggestion.syntax import judged, scan

if TYPE_CHECKING:
    from collections.abc import Callable

    from tree_sitter import LogType, Parser

_ALIASES = {"c++": "cpp", "c#": "csharp", "sh": "bash", "js": "javascript", "ts": "typescript"}
LONGEST_TREE = 2_000  # what tree-sitter mends in a text with many faults takes the square of its length
LOGGED = 32  # parses that take as long as one whose log is read
PATIENCE = 2_000_000  # characters that are parsed for one answer: what is left then does not fit


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
        count, parsed = _judge(language, text)
        left -= parsed
        return count

    def fits(text: str) -> bool:
        count = faults_of(prefix + text)
        return not count or count <= faults_of(prefix)

    return fits


def _judge(language: str, text: str) -> tuple[int, int]:
    """Return how much of a text is wrong however it goes on, and how much was parsed to find out."""
    if language == "python":
        valid, parsed = judged(text)
        return int(not valid), parsed
    if len(text) > LONGEST_TREE or grammar_of(language) is None:
        return int(not scan(text).balanced), 0
    return faults(language, text), len(text) * LOGGED


@lru_cache(maxsize=64)
def faults(language: str, text: str) -> int:
    """Return how much of a text is wrong however it goes on."""
    from tree_sitter import Parser

    parser = Parser(grammar_of(language))
    count = _count_errors(parser, text)
    if count and (quote := scan(text).quote):
        # Some grammars read a string as one token: that it is not finished is no fault either.
        count = min(count, _count_errors(parser, text + quote))
    return count


def _count_errors(parser: Parser, text: str) -> int:
    """Count what the parser meets that cannot stand where it does: only its log tells that from the end."""
    count, read, nothing, within = 0, False, False, False

    def listen(_: LogType, entry: str) -> None:
        nonlocal count, read, nothing, within
        if entry.startswith("consume"):
            read = True
        elif entry.startswith("lexed_lookahead"):
            # The text's end (a word may be called `end`, too), or what a grammar puts in where nothing is.
            nothing = entry.endswith(" size:0") or (entry.startswith("lexed_lookahead sym:end,") and not read)
            read = False
        elif entry.startswith("detect_error"):
            within = not nothing
        elif entry.startswith("resume"):  # no way to read the text goes on without a fault
            count += within

    parser.logger = listen
    parser.parse(text.encode())
    return count
