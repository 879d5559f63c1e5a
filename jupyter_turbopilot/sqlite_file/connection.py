"""A connection to a SQLite file, and what SQLite says on it."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jupyter_turbopilot.sqlite_file.ground import check

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path, PurePath

WAIT = 10.0  # seconds for another server that prepares or writes the file
_CHECKPOINT = 64  # pages after which a write-ahead log is written back
PAGE = 4096
LONGEST = 2**18  # bytes of a row: what is longer is nothing we wrote, and is not read
_in_use: Counter[Path] = Counter()  # by this process
_counting = threading.Lock()
_SETTINGS = (
    "synchronous = NORMAL",
    "secure_delete = ON",
    "trusted_schema = OFF",
    f"wal_autocheckpoint = {_CHECKPOINT}",
    f"journal_size_limit = {_CHECKPOINT * PAGE}",
)


def connect(path: Path, *, wait: float | None = None, shared: bool = False) -> sqlite3.Connection:
    """Open a SQLite file that is there; what is deleted from it is overwritten.

    `wait`: seconds for others that write to it; `shared`: several threads use the connection, in turns.
    """
    check(path)
    connection = sqlite3.connect(
        f"{address(path.absolute())}?mode=rw",
        timeout=WAIT if wait is None else wait,
        isolation_level=None,
        uri=True,
        check_same_thread=not shared,
    )
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
        for setting in _SETTINGS:
            connection.execute(f"PRAGMA {setting}")
        # Damaged text must not make the rest unreadable, and Python would quote it in the error.
        connection.text_factory = _decode
        connection.execute("SELECT count(*) FROM sqlite_master")
    except UnicodeDecodeError:  # SQLite's error quotes a damaged table definition, which Python cannot decode
        connection.close()
        error = sqlite3.DatabaseError("malformed database schema")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error from None
    except BaseException:
        connection.close()
        raise
    return connection


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def address(path: PurePath) -> str:
    """Return a file's address; in that of a network drive on Windows, SQLite wants no host."""
    uri = path.as_uri()
    return uri if uri.startswith("file:///") else f"file://{uri.removeprefix('file:')}"


@contextmanager
def using(path: Path) -> Iterator[None]:
    """Note that this process has a file open: to open and close it beside SQLite would end SQLite's locks."""
    with _counting:
        _in_use[path] += 1
    try:
        yield
    finally:
        with _counting:
            _in_use[path] -= 1


def is_in_use(path: Path) -> bool:
    """Tell whether this process has a file open."""
    return _in_use[path] > 0


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether an error says that another process holds the file."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether an error says that a file does not hold what it should."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_TOOBIG,
    }


def value_of(connection: sqlite3.Connection, pragma: str) -> int | str:
    """Return what a pragma says."""
    found: int | str = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
    return found
