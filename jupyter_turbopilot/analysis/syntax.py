"""Syntax checks of unfinished code: by Python's parser, or by tree-sitter. Pure.

An unfinished cell does not parse. So only errors count that no further text could fix: an early end of the
text is not an error.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_turbopilot.analysis.languages import as_python
from jupyter_turbopilot.analysis.lexer import CLOSERS, count_lexemes, lex, scan
from jupyter_turbopilot.util.bounds import STATEMENT, cached_function
from jupyter_turbopilot.util.syntax_tree import TooLongError, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tree_sitter import LogType, Parser

    from jupyter_turbopilot.analysis.lexer import Open

_ALLOW_INCOMPLETE = 0x4000  # ast.PyCF_ALLOW_INCOMPLETE_INPUT: the end of the text is not an error
_DONT_IMPLY_DEDENT, _AWAIT = 0x200, 0x2000
_FLAGS = _ALLOW_INCOMPLETE | _DONT_IMPLY_DEDENT | _AWAIT
# Possible completions of an unfinished line: the rest of an expression, a statement's head, or a clause.
_ENDINGS = (
    "", " _", ":", "():", " _:", " in _:", " in _", " _ in _", " import _", " else _", ": _", " _: _", "=_",
    " as _:", " _():", " = _", " _ import _", " def _():", " _ in _:", " _ else _", ": _ = _",
)  # fmt: skip
_MOST = 40_000  # characters parsed for one text, over all completions; parsing them takes as long as a token
_PER_WORD = 6  # characters that take as long to parse as a word or sign
_UNEXPECTED, _NO_COMMA = "invalid syntax", "invalid syntax. Perhaps you forgot a comma?"  # errors at a token
_EXTENSIBLE = "=:<>!+-*/%&|^@"  # signs that form a longer one with `=`
_ALIASES = {"c++": "cpp", "c#": "csharp", "sh": "bash", "js": "javascript", "ts": "typescript"}
LONGEST_TREE = 2_000  # characters: tree-sitter's recovery from many errors takes quadratic time
LOGGED = 10  # factor by which a logged parse of tree-sitter is slower than one of Python
MOST_PARSED = 200_000  # characters for one answer; further texts are rejected without parsing


class ParseResult(NamedTuple):
    """Whether a text can become a valid program, and the number of characters parsed to find out."""

    valid: bool
    parsed: int


def _repeats_keyword(code: str) -> bool:
    """Return whether a call has a keyword argument twice, which only Python's compiler refuses."""
    if code.count("=") < 2:  # noqa: PLR2004
        return False  # the usual case, and this runs at every token
    calls: list[set[str]] = []
    name, before, lambda_depth = "", "", 0
    for lexeme in lex(code):
        if lexeme.kind in {"line", "comment"}:
            continue
        del calls[lexeme.depth :]
        if lexeme.text in CLOSERS:
            calls.append(set())
        elif lexeme.text == "lambda":
            lambda_depth = lexeme.depth
        elif lexeme.text == ":" and lexeme.depth == lambda_depth:
            lambda_depth = 0
        elif lexeme.text == "=" and name and calls and lexeme.depth != lambda_depth:
            if name in calls[-1]:
                return True
            calls[-1].add(name)
        name = lexeme.text if lexeme.kind == "name" and before in {"(", ","} else ""
        before = lexeme.text
    return False


@cached_function(2**20)
def judged(text: str) -> ParseResult:
    """Check whether a Python text can become a valid program: some completion of it parses."""
    if len(text) > STATEMENT:
        return ParseResult(valid=True, parsed=0)  # parsing it would take too long
    plain = as_python(text)
    opened = scan(plain)
    parsed, code = 0, plain[opened.start :]
    if not opened.balanced or _repeats_keyword(code):
        return ParseResult(valid=False, parsed=0)
    cost = max(len(code), _PER_WORD * count_lexemes(code))
    for whole in _completed(code, opened):
        parsed += cost
        if (at := _unexpected(whole)) is None or parsed > _MOST:
            return ParseResult(valid=True, parsed=parsed)
        if code[at:].strip(_EXTENSIBLE):
            break  # no completion changes this token
    return ParseResult(valid=False, parsed=parsed)


def _completed(plain: str, opened: Open) -> Iterator[str]:
    """Yield possible completions of the text, with its open quote and brackets closed."""
    if opened.comment:
        yield plain + "\n" + opened.brackets
    elif opened.quote:
        # The text may also end with a backslash, or within a replacement field of an f-string.
        quotes = [
            opened.quote,
            "\\" + opened.quote,
            "}" + opened.quote,
            " _}" + opened.quote,
            "r}" + opened.quote,
        ]
        # Within brackets, it may be a key or the last default of a lambda.
        inner = ("", ": _") if opened.brackets else ("",)
        yield from (
            plain + quote + rest + opened.brackets + end
            for rest in inner
            for end in _ENDINGS
            for quote in quotes
        )
    elif not opened.brackets:
        yield from (plain + end for end in _ENDINGS)
    else:
        outer = ("", ":", " in _:", " _", " = _")
        yield from (plain + end + opened.brackets + tail for tail in outer for end in _ENDINGS)


def _unexpected(text: str) -> int | None:
    """Return the position of the token that makes a text invalid, or its end; None if it is valid."""
    try:
        parse(text, _FLAGS)
    except TooLongError:
        return None
    except SyntaxError as error:
        if "incomplete input" in error.msg:
            return None
        line, column = {
            _UNEXPECTED: (error.lineno, error.offset),
            _NO_COMMA: (error.end_lineno, (error.end_offset or 0) - 1),
        }.get(error.msg, (None, None))
        if not line or not column or "\r" in text:
            return len(text)
        return sum(len(each) + 1 for each in text.split("\n")[: line - 1]) + column - 1
    return None


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
    """Return a check whether a text fits after `prefix`: it must not add errors to the cell."""
    if len(prefix) > STATEMENT:
        return lambda _: True  # parsing it would take too long
    if language == "python":
        plain = as_python(prefix)
        prefix = prefix.split("\n", plain.count("\n", 0, scan(plain).start))[-1]
    left = MOST_PARSED

    @cache
    def given() -> int:
        return judge(language, prefix)[0]

    @cache
    def fits(text: str) -> bool:
        nonlocal left
        if left <= 0:
            return False
        count, parsed = judge(language, prefix + text)
        left -= parsed
        return not count or count <= given()

    return fits


def judge(language: str, text: str) -> tuple[int, int]:
    """Return the number of errors that no continuation could fix, and the number of parsed characters."""
    if language == "python":
        valid, parsed = judged(text)
        return int(not valid), parsed
    if len(text) > LONGEST_TREE or grammar_of(language) is None:
        return int(not scan(text).balanced), 0
    return faults(language, text), len(text) * LOGGED


@cached_function(2**18)
def faults(language: str, text: str) -> int:
    """Return the number of errors that no continuation could fix."""
    from tree_sitter import Parser

    parser = Parser(grammar_of(language))
    count = _count_errors(parser, text)
    if count and (quote := scan(text).quote):
        # Some grammars treat a string as one token; an unfinished one is not an error either.
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
