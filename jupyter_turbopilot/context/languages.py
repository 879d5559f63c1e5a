"""A cell's language, and IPython's own syntax in it: magics, shell commands, questions. Pure."""

from __future__ import annotations

import re

_SAME_LANGUAGE = {"time", "timeit", "capture", "prun", "memit", "mprun", "python", "python3", "px", "debug"}
_MAGIC_LANGUAGES = {
    "bash": "bash", "sh": "bash", "script": "bash", "cmd": "bat",
    "html": "html", "HTML": "html", "svg": "html", "SVG": "html",
    "javascript": "javascript", "js": "javascript", "latex": "latex", "markdown": "markdown",
    "sql": "sql", "bigquery": "sql", "R": "r", "ruby": "ruby", "perl": "perl", "cython": "cython",
    "writefile": "text", "file": "text",
}  # fmt: skip
_COMMENTS = {"python": "#", "r": "#", "julia": "#", "bash": "#", "ruby": "#", "perl": "#", "cython": "#"}
_CELL_MAGIC = re.compile(r"\A\s*+%%(?P<name>\w++)")
# Of what begins with a sign of IPython's, these lines hold Python.
_NOT_PYTHON = re.compile(
    r"\A[ \t]*+(?:[\w,.\[\]][\w, .\[\]]*+=[ \t]*+)?(?:!|%%|%(?!(?:time|timeit|prun|memit)\b)[A-Za-z_])"
)
_COMMAND = re.compile(r"^[ \t]*+(?:!|%[A-Za-z_]).*+$", re.MULTILINE)
# Not only what IPython runs: a line that Python cannot parse because of its first or last character.
_LINE = re.compile(r"^([ \t]*+)(?:[%!][^\n]*+|(?:[^\n#'\"=(?]*+\?)+[ \t]*+)$", re.MULTILINE)
_ASSIGNED = re.compile(r"^([ \t]*+(?:(?<= )|[\w,.\[\]])[\w, .\[\]]*+=[ \t]*+)[%!][^\n]*+$", re.MULTILINE)


def cell_language(source: str, language: str) -> str:
    """Return the language of a cell: a `%%magic` on its first line may give it one of its own."""
    magic = cell_magic(source)
    if not magic or magic in _SAME_LANGUAGE:
        return language
    return _MAGIC_LANGUAGES.get(magic, magic)


def comment_mark(language: str) -> str:
    """Return what starts a comment."""
    return _COMMENTS.get(language, "//")


def cell_magic(source: str) -> str:
    """Return the name of the `%%magic` at the start of a cell, or an empty text."""
    magic = _CELL_MAGIC.match(source)
    return magic["name"] if magic else ""


def without_cell_magic(source: str) -> str:
    """Return what stands behind the name of a cell's magic: its arguments, then the cell's body."""
    magic = _CELL_MAGIC.match(source)
    return source[magic.end() :] if magic else source


def is_command(line: str) -> bool:
    """Return whether a line, as far as it goes, is for a magic or a shell rather than for Python."""
    return _NOT_PYTHON.match(line) is not None


def without_commands(source: str) -> str:
    """Return a cell without its line magics and shell commands."""
    return _COMMAND.sub("", source)


def as_python(source: str) -> str:
    """Put something that Python parses in the place of magics, shell commands and questions."""
    return _ASSIGNED.sub(r"\1_", _LINE.sub(r"\1pass", source))
