"""Why a SQLite file cannot be used, in words. Pure."""

from __future__ import annotations

import sqlite3

from jupyter_turbopilot.sqlite_file.connection import is_busy, is_damage

NEXT_START = "the next Jupyter server or IPython that starts begins a new one"


def reason_of(error: OSError | NotImplementedError | sqlite3.Error) -> str:
    """Say what went wrong, without the path and without what the file holds."""
    held = "another process has held it for too long"
    match error:
        case sqlite3.Error() if "no such module" in str(error):
            return "the SQLite of this Python has no full-text search (FTS5)"
        case sqlite3.Error() if is_damage(error):
            return f"it is damaged; {NEXT_START}"
        case sqlite3.Error():
            return held if is_busy(error) else str(error)
        case TimeoutError():
            return held
        case NotImplementedError():
            return "its file system cannot lock files"
        case _:
            return error.strerror or type(error).__name__
