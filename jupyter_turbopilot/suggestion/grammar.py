"""Whether a text fits in at the cursor, by Python's parser or, if installed, by tree-sitter. Pure.

An unfinished cell does not parse. So only errors that no further text could fix count: that the text ends too
early is not an error.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.bounds import STATEMENT, remembered
from jupyter_turbopilot.suggestion.syntax import judged, scan

if TYPE_CHECKING:
    from collections.abc import Callable

    from tree_sitter import LogType, Parser

_ALIASES = {"c++": "cpp", "c#": "csharp", "sh": "bash", "js": "javascript", "ts": "typescript"}
LONGEST_TREE = 2_000  # characters: tree-sitter's recovery from many errors takes quadratic time
LOGGED = 32  # how many times longer a parse takes with its log
PATIENCE = 2_000_000  # characters that are parsed for one answer; after that, nothing more fits


@lru_cache(maxsize=16)
def grammar_of(language: str) -> Any:
    """Return a language's grammar; None if there is none or tree-sitter is not installed."""
    try:
        from tree_sitter_language_pack import get_language
    except ModuleNotFoundError:
        return None
    try:
        return get_language(_ALIASES.get(language.lower(), language.lower()))  # type: ignore[arg-type]
    except LookupError:
        return None


def fitting(language: str, prefix: str) -> Callable[[str], bool]:
    """Return a check whether a text fits behind `prefix`: it must not add errors to the cell."""
    if len(prefix) > STATEMENT:
        return lambda _: True  # parsing it would take too long
    left = PATIENCE

    @cache
    def given() -> int:
        return _judge(language, prefix)[0]

    @cache
    def fits(text: str) -> bool:
        nonlocal left
        if left <= 0:
            return False
        count, parsed = _judge(language, prefix + text)
        left -= parsed
        return not count or count <= given()

    return fits


def _judge(language: str, text: str) -> tuple[int, int]:
    """Return how many errors no continuation of a text could fix, and how much was parsed to find out."""
    if language == "python":
        valid, parsed = judged(text)
        return int(not valid), parsed
    if len(text) > LONGEST_TREE or grammar_of(language) is None:
        return int(not scan(text).balanced), 0
    return faults(language, text), len(text) * LOGGED


@remembered(2**18)
def faults(language: str, text: str) -> int:
    """Return how many errors no continuation of a text could fix."""
    from tree_sitter import Parser

    parser = Parser(grammar_of(language))
    count = _count_errors(parser, text)
    if count and (quote := scan(text).quote):
        # Some grammars read a string as one token; an unfinished one is not an error either.
        count = min(count, _count_errors(parser, text + quote))
    return count


def _count_errors(parser: Parser, text: str) -> int:
    """Count the errors before the end of the text; only the parser's log distinguishes those."""
    count, read, nothing, within = 0, False, False, False

    def listen(_: LogType, entry: str) -> None:
        nonlocal count, read, nothing, within
        if entry.startswith("consume"):
            read = True
        elif entry.startswith("lexed_lookahead"):
            # The end of the text (`sym:end` can be a keyword, too), or an empty token of the grammar.
            nothing = entry.endswith(" size:0") or (entry.startswith("lexed_lookahead sym:end,") and not read)
            read = False
        elif entry.startswith("detect_error"):
            within = not nothing
        elif entry.startswith("resume"):  # none of the parser's alternatives is without an error
            count += within

    parser.logger = listen
    parser.parse(text.encode())
    return count
