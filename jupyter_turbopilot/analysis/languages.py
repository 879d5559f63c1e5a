"""Language of a cell, and IPython's own syntax: magics, shell commands, help (`?`). Pure."""

from __future__ import annotations

import re

from jupyter_turbopilot.util.bounds import LINE, count_operations, pieces

LANGUAGES = {  # by the suffix of a file
    ".py": "python", ".r": "r", ".jl": "julia", ".js": "javascript", ".ts": "typescript", ".java": "java",
    ".c": "c", ".h": "c", ".cc": "cpp", ".cpp": "cpp", ".hpp": "cpp", ".go": "go", ".rs": "rust",
    ".rb": "ruby", ".sh": "bash", ".bash": "bash", ".sql": "sql", ".php": "php", ".kt": "kotlin",
    ".kts": "kotlin", ".mjs": "javascript", ".pl": "perl", ".scala": "scala",
}  # fmt: skip
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
# IPython syntax that is not Python; these magics contain Python code.
_NOT_PYTHON = re.compile(
    r"\A[ \t]*+(?:[\w,.\[\]][\w, .\[\]]*+=[ \t]*+)?(?:!|%%|%(?!(?:time|timeit|prun|memit)\b)[A-Za-z_])"
)
_COMMAND = re.compile(r"^[ \t]*+(?:!|%[A-Za-z_]).*+$", re.MULTILINE)
# Wider than IPython's syntax: any line that Python cannot parse because of its first or last character.
_LINE = re.compile(r"^([ \t]*+)(?:[%!][^\n]*+|(?:[^\n#'\"=(?]*+\?)++[ \t]*+)$", re.MULTILINE)
_ASSIGNED = re.compile(r"^([ \t]*+(?:(?<= )|[\w,.\[\]])[\w, .\[\]]*+=[ \t]*+)[%!][^\n]*+$", re.MULTILINE)


def cell_language(source: str, language: str) -> str:
    """Return the language of a cell: a `%%magic` on its first line may change it."""
    magic = cell_magic(source)
    if not magic or magic in _SAME_LANGUAGE:
        return language
    return _MAGIC_LANGUAGES.get(magic, magic)


def comment_mark(language: str) -> str:
    """Return the comment prefix of a language."""
    return _COMMENTS.get(language, "//")


def cell_magic(source: str) -> str:
    """Return the name of the `%%magic` at the start of a cell, or an empty string."""
    magic = _CELL_MAGIC.match(source, 0, LINE)
    return magic["name"] if magic else ""


def without_cell_magic(source: str) -> str:
    """Return a cell without the name of its magic: the magic's arguments, then the body."""
    magic = _CELL_MAGIC.match(source)
    return source[magic.end() :] if magic else source


def is_command(line: str) -> bool:
    """Return whether the beginning of a line is IPython syntax rather than Python."""
    return _NOT_PYTHON.match(line) is not None


def without_commands(source: str) -> str:
    """Return a cell without its line magics and shell commands."""
    return _COMMAND.sub("", source)


def as_python(source: str) -> str:
    """Replace magics, shell commands and help lines by valid Python."""
    changed = []
    for piece in pieces(source):
        count_operations(len(piece) // 8)
        changed.append(_ASSIGNED.sub(r"\1_", _LINE.sub(r"\1pass", piece)))
    return "".join(changed)
