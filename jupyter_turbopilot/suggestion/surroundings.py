"""Text around the cursor, as far as trimming needs it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jupyter_turbopilot.analysis.lexer import closed_before, closers_after, open_quote
from jupyter_turbopilot.analysis.statements import STATEMENT_LENGTH, statement_at
from jupyter_turbopilot.util.bounds import count_operations

if TYPE_CHECKING:
    from collections.abc import Iterable

_IMPORT = re.compile(r"^(?:import|from [^ \n]+ import) .*", re.MULTILINE)
_BLANK_LINE = re.compile(r"(?<=[(\[{])[ \t]*+(?:#[^\n]*+)?\n")  # after an opening bracket
MAX_IMPORTS = 2**14  # characters of import lines, which are searched at each token
MAX_LINES = 8  # of a suggestion, unless the request sets another limit


@dataclass(frozen=True)
class Surroundings:
    """Limits of a suggestion, and text that it must not repeat."""

    multi: bool  # whether it may have several lines
    indent: int  # lines with less indentation end the suggestion
    rest: str  # the line after the cursor
    next_line: str  # the next non-blank line
    quote: str = ""  # the quote open at the cursor
    above: str = ""  # the last non-blank line above
    line: str = ""  # the line up to the cursor
    max_lines: int = MAX_LINES
    closed: str = ""  # brackets directly after the cursor, if they match all that the line has opened
    indented: bool = False  # whether the line up to the cursor is non-empty white space
    imports: str = ""  # import lines of the code above, without indentation
    closable: int | None = None  # brackets open at the cursor that the line may close; None: all


def indentation(line: str) -> int:
    """Return the width of a line's leading white space."""
    return len(line[: len(line) - len(line.lstrip(" \t"))].expandtabs(4))


def is_multi_line(prefix: str, suffix: str, lines: Literal["auto", "single", "multi"] = "auto") -> bool:
    """Return whether a suggestion may have several lines.

    With `auto`, it may on a blank line and after a colon. The line must end at the cursor.
    """
    line, rest = prefix[prefix.rfind("\n") + 1 :].rstrip(), suffix.partition("\n")[0]
    return not rest.strip() and (lines == "multi" or (lines == "auto" and (not line or line[-1] == ":")))


def surroundings_of(
    prefix: str,
    suffix: str,
    lines: Literal["auto", "single", "multi"] = "auto",
    max_lines: int = MAX_LINES,
    earlier: Iterable[str] = (),
) -> Surroundings:
    """Return the surroundings of the cursor.

    `earlier` contains the sources of the cells above in the same language.
    """
    before, _, line = prefix.rpartition("\n")
    rest, _, below = suffix.partition("\n")
    blank = not line.strip()
    opens_block = line.rstrip().endswith(":") and not rest.strip()
    indent = indentation(line) + (1 if opens_block else 0)
    above = before.rstrip().rpartition("\n")[2]
    if blank and above.rstrip().endswith(":") and indentation(above) >= indentation(line):
        indent = indentation(above) + 1  # after Enter in an editor that does not indent
    code = "\n".join((*earlier, before))
    count_operations(len(code) // 32)
    return Surroundings(
        multi=is_multi_line(line, rest, lines),
        indent=indent,
        rest=rest,
        next_line=first_line(below),
        quote=open_quote(line),
        above=above,
        line=line,
        max_lines=1 if lines == "single" else max_lines,
        closed=closers_after(line, rest),
        indented=blank and line != "",
        imports="\n".join(_IMPORT.findall(code))[:MAX_IMPORTS],
        closable=None if rest.strip() else _closable(prefix, below),
    )


def _closable(prefix: str, below: str) -> int | None:
    """Return how many of the open brackets the line may close; None for all.

    Others are closed below, or end a line, so that the arguments are on separate lines.
    """
    statement, line = statement_at(prefix)
    start = line - statement.line_start
    ends = [start + statement.lexemes[bracket.at].end for bracket in statement.open]
    is_last = [_BLANK_LINE.match(prefix, end) is not None for end in ends]
    count = [*reversed(is_last)].index(True) if any(is_last) else len(ends)
    closed = closed_before(below[:STATEMENT_LENGTH]) if ends else 0
    count = min(count, max(0, len(ends) - closed))
    return count if count < len(ends) else None


def first_line(text: str) -> str:
    """Return the first non-blank line."""
    blank = len(text) - len(text.lstrip())
    start = text.rfind("\n", 0, blank) + 1
    return text[start:].partition("\n")[0] if blank < len(text) else ""
