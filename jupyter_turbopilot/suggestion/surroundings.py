"""What the text around the cursor says about a suggestion: how long it may be, what not to repeat. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jupyter_turbopilot.suggestion.brackets import closers_behind, open_quote


@dataclass(frozen=True)
class Surroundings:
    """The room a suggestion has, read off the text around the cursor."""

    multi: bool
    indent: int  # lines further left than this do not belong to it
    rest: str  # what follows the cursor on its line
    next_line: str  # the next line that holds anything
    quote: str = ""  # the quote that is open at the cursor
    above: str = ""  # on an empty line: the last line above that holds anything
    max_lines: int = 8
    closed: str = ""  # brackets right behind the cursor that close all that is open before it
    indented: bool = False  # whether nothing but white space stands before the cursor on its line


def indentation(line: str) -> int:
    """Return the width of a line's leading white space."""
    return len(line[: len(line) - len(line.lstrip(" \t"))].expandtabs(4))


def surroundings_of(
    prefix: str, suffix: str, lines: Literal["auto", "single", "multi"] = "auto", max_lines: int = 8
) -> Surroundings:
    """Read from the text around the cursor how long a suggestion may be.

    Several lines after a colon and on an empty line; to the end of the line elsewhere.
    """
    line = prefix.rpartition("\n")[2]
    rest, _, below = suffix.partition("\n")
    blank = not line.strip()
    opens_block = line.rstrip().endswith(":") and not rest.strip()
    multi = not rest.strip() and (lines == "multi" or (lines == "auto" and (blank or opens_block)))
    indent = indentation(line) + (1 if opens_block else 0)
    above = prefix.rstrip().rpartition("\n")[2]
    if blank and above.rstrip().endswith(":") and indentation(above) >= indentation(line):
        indent = indentation(above) + 1  # Enter without the editor's own indentation
    return Surroundings(
        multi=multi,
        indent=indent,
        rest=rest,
        next_line=first_line(below),
        quote=open_quote(line),
        above=above if blank else "",
        max_lines=max_lines,
        closed=closers_behind(line, rest),
        indented=blank and line != "",
    )


def first_line(text: str) -> str:
    """Return the first line that holds anything."""
    blank = len(text) - len(text.lstrip())
    start = text.rfind("\n", 0, blank) + 1
    return text[start:].partition("\n")[0] if blank < len(text) else ""
