"""Python source cut into lexemes, finished or not. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

# Names may contain combining marks, as decomposed umlauts and Indian vowels do: `\w` lacks them.
_LEXEME = re.compile(
    r"""(?P<string>[rbfuRBFU]{0,2}(?P<quote>(?P<long>\"{3}|'{3})|["'])
        (?:\\(?:.|\Z)|(?!(?P=quote))(?(long)[^\\]|[^\\\n]))*+(?P<closed>(?P=quote))?)
    |(?P<comment>\#[^\n]*+)|(?P<number>\d[\w.]*+)|(?P<name>[^\W\d][\w\u0300-\u036f\u0900-\u0e7f]*+)
    |(?P<sign>\*\*|[=!<>]=|[^\s\w])|(?P<line>\n)""",
    re.VERBOSE | re.DOTALL,
)


class Lexeme(NamedTuple):
    """A word, number, string, sign, comment or line end of a source text."""

    kind: str
    text: str
    end: int
    unclosed: str = ""  # the quote that a string lacks at its end

    @property
    def start(self) -> int:
        """Where it begins in the source."""
        return self.end - len(self.text)


def lex(source: str) -> Iterator[Lexeme]:
    """Cut a source text into lexemes; white space other than line ends is left out."""
    for match in _LEXEME.finditer(source):
        kind = str(match.lastgroup)
        unclosed = match["quote"] if kind == "string" and not match["closed"] else ""
        yield Lexeme(kind, match[0], match.end(), unclosed)
