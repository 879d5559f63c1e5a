"""Could a text still become a program? Python's own parser decides. Pure."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.bounds import STATEMENT

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALLOW_INCOMPLETE = 0x4000  # ast.PyCF_ALLOW_INCOMPLETE_INPUT: the end of the text is not an error
_ONLY_AST, _DONT_IMPLY_DEDENT, _AWAIT = 0x400, 0x200, 0x2000
_FLAGS = _ALLOW_INCOMPLETE | _ONLY_AST | _DONT_IMPLY_DEDENT | _AWAIT
_CLOSERS = {"(": ")", "[": "]", "{": "}"}
_MAGIC = re.compile(r"^([ \t]*+)(?:[%!][^\n]*+|(?:[^\n#'\"=(?]*+\?)+[ \t]*+)$", re.MULTILINE)
_ASSIGNED_MAGIC = re.compile(
    r"^([ \t]*+(?:(?<= )|[\w,.\[\]])[\w, .\[\]]*+=[ \t]*+)[%!][^\n]*+$", re.MULTILINE
)
# What an unfinished line may be waiting for: the rest of an expression, of a statement's head, of a clause.
_ENDINGS = (
    "", " _", ":", "():", " _:", " in _:", " in _", " _ in _", " import _", " else _", ": _", " _: _", "=_",
    " as _:", " _():", " = _", " _ import _", " def _():", " _ in _:", " _ else _", ": _ = _",
)  # fmt: skip
_PIECES = re.compile(
    r"""(?P<comment>\#[^\n]*)
    |(?P<long>\"{3}|'{3})(?:\\.|(?!(?P=long)).)*(?P<long_end>(?P=long))?
    |(?P<short>["'])(?:\\.|(?!(?P=short))[^\n])*(?P<short_end>(?P=short)|(?=\n))?
    |(?P<bracket>[()\[\]{}])
    |(?P<begin>^(?<!\\\n)(?=[^\s)\]}\#'"(\[{])(?!(?:else|elif|except|finally|case)\b))""",
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
_MOST = 500_000  # characters that are parsed to find out about one text, all its possible ends together


class Open(NamedTuple):
    """What is open at the end of a text."""

    quote: str
    brackets: str
    balanced: bool
    comment: bool
    start: int  # of the last statement at the outermost level: what stands above cannot matter


class Judgement(NamedTuple):
    """Whether a text may become a program, and how many characters were parsed to find out."""

    valid: bool
    parsed: int


def scan(text: str) -> Open:
    """Find the quote and the brackets that are open at the end."""
    stack: list[str] = []
    quote, comment, balanced, decorated, start = "", False, True, False, 0
    for found in _PIECES.finditer(text):
        piece, kind = found[0], str(found.lastgroup).removesuffix("_end")
        last = found.end() == len(text)
        if kind == "comment":
            comment = last
        elif kind in {"long", "short"}:
            quote = found[kind] if last and not found[f"{kind}_end"] else ""
        elif kind == "begin":
            if not stack:
                start = start if decorated else found.start()
                decorated = text[found.start()] == "@"
        elif piece in _CLOSERS:
            stack.append(_CLOSERS[piece])
        else:
            balanced = balanced and stack[-1:] == [piece]
            del stack[-1:]
    return Open(quote, "".join(reversed(stack)), balanced, comment, start)


def without_magics(text: str) -> str:
    """Put something that parses in the place of magics, shell lines and questions."""
    return _ASSIGNED_MAGIC.sub(r"\1_", _MAGIC.sub(r"\1pass", text))


def valid_beginning(text: str) -> bool:
    """Tell whether Python text may go on to become a program: once what is open is closed, it parses."""
    return judged(text).valid


@lru_cache(maxsize=64)
def judged(text: str) -> Judgement:
    """Say whether a text may become a program, and how much was parsed to find out."""
    if len(text) > STATEMENT:
        return Judgement(valid=True, parsed=0)  # nobody waits for that long
    plain = without_magics(text)
    opened = scan(plain)
    if not opened.balanced:
        return Judgement(valid=False, parsed=0)
    parsed = 0
    for whole in _completed(plain[opened.start :], opened):
        parsed += len(whole)
        if _parses(whole):
            return Judgement(valid=True, parsed=parsed)
        if parsed > _MOST:
            return Judgement(valid=True, parsed=parsed)
    return Judgement(valid=False, parsed=parsed)


def _completed(plain: str, opened: Open) -> Iterator[str]:
    """Yield the ways in which a text may end once what is open is closed."""
    if opened.comment:
        yield plain + "\n" + opened.brackets
    elif opened.quote:
        # A backslash waits for what it escapes, and a brace in an f-string for its end.
        quotes = [
            opened.quote,
            "\\" + opened.quote,
            "}" + opened.quote,
            " _}" + opened.quote,
            "r}" + opened.quote,
        ]
        yield from (plain + quote + opened.brackets + end for end in _ENDINGS for quote in quotes)
    elif not opened.brackets:
        yield from (plain + end for end in _ENDINGS)
    else:
        outer = ("", ":", " in _:", " _", " = _")
        yield from (plain + end + opened.brackets + tail for tail in outer for end in _ENDINGS)


def _parses(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(text, "", "exec", _FLAGS, dont_inherit=True)
        except SyntaxError as error:
            return "incomplete input" in str(error)
        except (ValueError, MemoryError, RecursionError):
            return False
    return True
