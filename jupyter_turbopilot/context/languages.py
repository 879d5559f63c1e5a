"""Which language a cell has, and how its comments begin. Pure."""

from __future__ import annotations

from jupyter_turbopilot.context.magics import cell_magic

_SAME_LANGUAGE = {"time", "timeit", "capture", "prun", "memit", "mprun", "python", "python3", "px", "debug"}
_MAGIC_LANGUAGES = {
    "bash": "bash", "sh": "bash", "script": "bash", "cmd": "bat",
    "html": "html", "HTML": "html", "svg": "html", "SVG": "html",
    "javascript": "javascript", "js": "javascript", "latex": "latex", "markdown": "markdown",
    "sql": "sql", "bigquery": "sql", "R": "r", "ruby": "ruby", "perl": "perl", "cython": "cython",
    "writefile": "text", "file": "text",
}  # fmt: skip
_COMMENTS = {"python": "#", "r": "#", "julia": "#", "bash": "#", "ruby": "#", "perl": "#", "cython": "#"}


def cell_language(source: str, language: str) -> str:
    """Return the language of a cell: a `%%magic` on its first line may give it one of its own."""
    magic = cell_magic(source)
    if not magic or magic in _SAME_LANGUAGE:
        return language
    return _MAGIC_LANGUAGES.get(magic, magic)


def comment_mark(language: str) -> str:
    """Return what starts a comment."""
    return _COMMENTS.get(language, "//")
