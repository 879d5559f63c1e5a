"""What stands where the results file is to be: ours, damaged, somebody else's. It is put right before use."""

from __future__ import annotations

import errno
import glob
import logging
import os
import secrets
import sqlite3
from contextlib import closing, suppress
from enum import Enum
from itertools import count
from typing import TYPE_CHECKING

from filelock import FileLock

from jupyter_turbopilot.files import RANDOM_BYTES, UNFINISHED, is_unfinished, size_of

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

APPLICATION = 0x54504C54  # SQLite's header says whose file it is
SCHEMA = 1
_TABLE = """CREATE TABLE answers (
    number INTEGER PRIMARY KEY, place BLOB NOT NULL UNIQUE,
    keys BLOB NOT NULL, answer BLOB NOT NULL, digest BLOB NOT NULL)"""
_MAGIC = b"SQLite format 3\0"
_HEADER = 100  # bytes
_APPLICATION_AT = 68
_WAL_AT = 19  # 2: reading it takes a write-ahead log
_BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a file
WAIT = 10.0  # seconds for another server that prepares or writes the file
_CHECKPOINT = 64  # pages after which a write-ahead log is written back
_PAGE = 4096
_SETTINGS = (
    "synchronous = NORMAL",
    "secure_delete = ON",
    "trusted_schema = OFF",
    f"wal_autocheckpoint = {_CHECKPOINT}",
    f"journal_size_limit = {_CHECKPOINT * _PAGE}",
)


class Found(Enum):
    """What stands at a path."""

    NOTHING = "nothing"
    OURS = "a file of answers"
    DAMAGED = "damaged"
    OUTDATED = "of another version"
    STRANDED = "from a file system with write-ahead logs, which this one has not"
    FOREIGN = "something else than answers"
    NO_FILE = "not a file"

    @property
    def consequence(self) -> str:
        """What becomes of what cannot be used."""
        if self is Found.NO_FILE:
            return "Name another file in c.Turbopilot.results_file."
        done = "puts it aside, and" if self is Found.FOREIGN else "deletes it, and"
        return f"The next server that starts {done} begins a new one."


def connect(path: Path) -> sqlite3.Connection:
    """Open a SQLite file that is there; what is deleted from it is overwritten."""
    address = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(address, WAIT, isolation_level=None, uri=True)
    try:
        for setting in _SETTINGS:
            connection.execute(f"PRAGMA {setting}")
    except BaseException:
        connection.close()
        raise
    return connection


def look(path: Path) -> Found:
    """Say what stands at a path."""
    try:
        if not path.is_file():
            return Found.NO_FILE if path.exists() else Found.NOTHING
        with path.open("rb") as file:
            header = file.read(_HEADER)
        if not header:
            return Found.NOTHING
        if not is_ours(path):
            return Found.FOREIGN
        with closing(connect(path)) as connection:
            if value_of(connection, "user_version") != SCHEMA:
                return Found.OUTDATED
            connection.execute("SELECT number, place, keys, answer, digest FROM answers LIMIT 1").fetchall()
            return Found.OURS if value_of(connection, "quick_check(1)") == "ok" else Found.DAMAGED
    except sqlite3.Error as error:
        if is_damage(error):
            return Found.DAMAGED
        raise


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether an error says that a file does not hold what it should."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_ERROR,
    }


def is_ours(path: Path) -> bool:
    """Tell whether a file's header says that it is one of ours, damaged or not."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        header = file.read(_HEADER)
    said = header[_APPLICATION_AT : _APPLICATION_AT + 4]
    return header.startswith(_MAGIC) and said == APPLICATION.to_bytes(4, "big")


def value_of(connection: sqlite3.Connection, pragma: str) -> int | str:
    """Return what a pragma says."""
    found: int | str = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
    return found


def belonging(path: Path) -> list[Path]:
    """Return the files that belong to a results file: itself, what SQLite keeps beside it, a lock, trials."""
    own = [path.with_name(path.name + end) for end in ("", *_BESIDE)] if is_ours(path) else []
    if not size_of(lock := _lock_path(path)):
        own.append(lock)
    return [file for file in (*own, *_unfinished(path)) if file.is_file()]


def prepare(path: Path) -> None:
    """See to it that a sound file of ours stands at a path, which only its owner can read.

    An OSError or sqlite3.Error says why it cannot be.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = _lock_path(path)
    # Where nothing can be written it fails here: FileLock would try again until its time is up.
    os.close(os.open(lock, os.O_RDWR | os.O_CREAT, 0o600))
    with FileLock(lock, WAIT, mode=0o600):  # two servers may start at once
        for left in _unfinished(path):
            left.unlink(missing_ok=True)
        fresh, logged_ahead = _make_beside(path)
        try:
            found = look(path) if logged_ahead or not _needs_log(path) else Found.STRANDED
            if found is Found.NO_FILE:
                raise IsADirectoryError(errno.EISDIR, "a folder, or no file at all, is in its place")
            if found is Found.OURS:
                _restrict(path)
            else:
                _make_way(path, found)
                fresh.replace(path)
        finally:
            _delete(fresh)
    if not logged_ahead:
        log.info("Turbopilot: %s is on a file system without write-ahead logs; a journal serves.", path)


def _make_beside(path: Path) -> tuple[Path, bool]:
    """Make an empty file of ours beside a path; tell whether the file system can have a write-ahead log.

    Network file systems cannot, and some notice only at the first write.
    """
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(RANDOM_BYTES)}{UNFINISHED}")
    try:
        _make(fresh, "wal")
    except sqlite3.Error:
        _delete(fresh)
    else:
        return fresh, True
    try:
        _make(fresh, "delete")
    except BaseException:
        _delete(fresh)
        raise
    return fresh, False


def _make(path: Path, journal: str) -> None:
    """Make an empty file of ours, and write to it from two connections, as two servers do."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(connect(path)) as one:
        one.execute(f"PRAGMA page_size = {_PAGE}")
        one.execute("PRAGMA auto_vacuum = INCREMENTAL")
        one.execute(f"PRAGMA application_id = {APPLICATION}")
        one.execute(f"PRAGMA user_version = {SCHEMA}")
        one.execute(_TABLE)
        if value_of(one, f"journal_mode = {journal}") != journal:
            raise sqlite3.OperationalError(f"no journal of the kind {journal}")
        with closing(connect(path)) as other:
            other.execute("INSERT INTO answers VALUES (1, x'', x'', x'', x'')")
            one.execute("DELETE FROM answers")


def _make_way(path: Path, found: Found) -> None:
    """Delete a file of ours that cannot be used; put anything else aside."""
    if found is Found.FOREIGN:
        aside = next(
            name for number in count(1) if not (name := path.with_name(f"{path.name}.aside{number}")).exists()
        )
        for end in ("", *_BESIDE):
            with suppress(FileNotFoundError):
                path.with_name(path.name + end).rename(aside.with_name(aside.name + end))
        log.warning("Turbopilot: %s held %s; that is now %s.", path, found.value, aside)
    elif found is not Found.NOTHING:
        log.warning("Turbopilot: %s is %s; it is begun anew, without its answers.", path, found.value)
    _delete(path)  # with the log of another file, which would be taken for the new one's


def _needs_log(path: Path) -> bool:
    """Tell whether a file of ours can be used only where there is a write-ahead log."""
    if not is_ours(path):
        return False
    with path.open("rb") as file:
        return file.read(_HEADER)[_WAL_AT] == 2  # noqa: PLR2004 - SQLite's word for it


def _restrict(path: Path) -> None:
    """Take from others what they may do with the file."""
    for file in (path, *(path.with_name(path.name + end) for end in _BESIDE)):
        with suppress(FileNotFoundError):
            if (mode := file.stat().st_mode) & 0o077:
                file.chmod(mode & 0o700)


def _delete(path: Path) -> None:
    """Delete a file with what SQLite keeps beside it: that first, it must not outlive the file."""
    for end in (*_BESIDE, ""):
        with suppress(OSError):
            path.with_name(path.name + end).unlink(missing_ok=True)


def _lock_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _unfinished(path: Path) -> list[Path]:
    """Return what a server left that was killed while it prepared the file."""
    return [
        left
        for end in ("", *_BESIDE)
        for left in path.parent.glob(f"{glob.escape(path.name)}.*{UNFINISHED}{end}")
        if is_unfinished(left.name.removesuffix(end))
        and left.name.removesuffix(end).rpartition(".")[0].rpartition(".")[0] == path.name
    ]
