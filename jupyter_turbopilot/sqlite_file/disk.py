"""What stands where a SQLite file is to be: ours, damaged, somebody else's. It is put right before use."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import sqlite3
from contextlib import closing, suppress
from enum import Enum
from functools import cache
from itertools import count
from typing import TYPE_CHECKING

from filelock import FileLock

from jupyter_turbopilot.files import RANDOM_BYTES, UNFINISHED, size_of
from jupyter_turbopilot.sqlite_file.connection import (
    PAGE,
    WAIT,
    connect,
    is_damage,
    is_in_use,
    value_of,
)
from jupyter_turbopilot.sqlite_file.ground import (
    beside,
    check,
    delete,
    lock_path,
    restrict,
    unfinished,
)
from jupyter_turbopilot.sqlite_file.mounts import is_on_network

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_turbopilot.sqlite_file.layout import Layout

log = logging.getLogger(__name__)

_OBJECTS = "SELECT type, name, sql FROM sqlite_master ORDER BY name LIMIT ?"
_MAGIC = b"SQLite format 3\0"
_HEADER = 100  # bytes
_APPLICATION_AT = 68
_WAL_AT = 19  # 2: reading it takes a write-ahead log
_NO_LOG = {sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class _NoLogError(sqlite3.OperationalError):
    """SQLite says that there is no write-ahead log."""


class Found(Enum):
    """What stands at a path."""

    NOTHING = "nothing"
    OURS = "a file of ours"
    DAMAGED = "damaged"
    OUTDATED = "of another version"
    STRANDED = "from a file system with write-ahead logs, which this one has not"
    FOREIGN = "not a file of Turbopilot's"
    NO_FILE = "not a file"

    @property
    def consequence(self) -> str:
        """What becomes of what cannot be used."""
        if self is Found.NO_FILE:
            return "Choose another file."
        done = "puts it aside, and" if self is Found.FOREIGN else "deletes it, and"
        return f"The next server that starts {done} begins a new one."


def look(path: Path, layout: Layout) -> Found:
    """Say what stands at a path."""
    check(path)
    try:
        if not path.is_file():
            return Found.NO_FILE if path.exists() else Found.NOTHING
        if not size_of(path):
            return Found.NOTHING
        if not is_ours(path, layout):
            return Found.FOREIGN
        with closing(connect(path)) as connection:
            if value_of(connection, "user_version") != layout.version:
                return Found.OUTDATED
            return Found.OURS if _is_sound(connection, layout) else Found.DAMAGED
    except sqlite3.Error as error:
        if is_damage(error):
            return Found.DAMAGED
        raise


def _is_sound(connection: sqlite3.Connection, layout: Layout) -> bool:
    """Tell whether a file holds our tables and nothing else: a view or a trigger of others would be run."""
    expected = _objects_of(layout)
    objects = connection.execute(_OBJECTS, (len(expected) + 1,)).fetchall()
    if objects != expected or value_of(connection, "quick_check(1)") != "ok":
        return False
    return bool(connection.execute(layout.sound).fetchone()[0])


@cache
def _objects_of(layout: Layout) -> list[tuple[str, str, str | None]]:
    """Return what is in an empty file."""
    with closing(sqlite3.connect("file::memory:?cache=private", uri=True)) as empty:
        for statement in layout.statements:
            empty.execute(statement)
        return empty.execute(_OBJECTS, (-1,)).fetchall()


def is_ours(path: Path, layout: Layout) -> bool:
    """Tell whether a file's header says that it is one of ours, damaged or not."""
    if not path.is_file():
        return False
    if is_in_use(path):
        return True
    header = _header(path)
    said = header[_APPLICATION_AT : _APPLICATION_AT + 4]
    return header.startswith(_MAGIC) and said == layout.application.to_bytes(4, "big")


def _header(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEADER)


def belonging(path: Path, layout: Layout) -> list[Path]:
    """Return the files that belong to a file of ours: itself, what SQLite keeps beside it, a lock, trials."""
    own = [path, *beside(path)] if is_ours(path, layout) else []
    if not size_of(lock := lock_path(path)):
        own.append(lock)
    return [file for file in (*own, *unfinished(path)) if file.is_file()]


def prepare(path: Path, layout: Layout) -> None:
    """See to it that a sound file of ours stands at a path, which only its owner can read.

    An OSError or sqlite3.Error says why it cannot be.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    check(path)
    if is_in_use(path) and path.is_file():
        return  # this process has prepared it
    lock = lock_path(path)
    # Where nothing can be written it fails here: FileLock would try again until its time is up.
    os.close(os.open(lock, os.O_RDWR | os.O_CREAT, 0o600))
    with FileLock(lock, WAIT, mode=0o600):  # two servers may start at once
        for left in unfinished(path):
            left.unlink(missing_ok=True)
        fresh, logged_ahead = _make_beside(path, layout)
        try:
            found = look(path, layout) if logged_ahead or not _needs_log(path, layout) else Found.STRANDED
            if found is Found.NO_FILE:
                raise IsADirectoryError(
                    errno.EISDIR, "a folder, or something else that is no file, is in its place"
                )
            if found is Found.OURS:
                restrict(path)
            else:
                _make_way(path, found)
                fresh.replace(path)
        finally:
            delete(fresh)
    if not logged_ahead:
        log.info("Turbopilot: %s is on a file system without write-ahead logs; a journal serves.", path)


def _make_beside(path: Path, layout: Layout) -> tuple[Path, bool]:
    """Make an empty file of ours beside a path; tell whether the file system can have a write-ahead log.

    Network file systems cannot, some notice only at the first write, and some never: those that two computers
    use share no memory.
    """
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(RANDOM_BYTES)}{UNFINISHED}")
    try:
        if is_on_network(path.parent):
            raise _NoLogError("other computers may write to it")
        _make(fresh, layout, "wal")
    except sqlite3.Error as error:
        delete(fresh)
        if not _says_no_log(error):
            raise
    else:
        return fresh, True
    try:
        _make(fresh, layout, "delete")
    except BaseException:
        delete(fresh)
        raise
    return fresh, False


def _says_no_log(error: sqlite3.Error) -> bool:
    """Tell whether a file system cannot have a write-ahead log: too little memory, for one, says nothing."""
    code = getattr(error, "sqlite_errorcode", 0)
    lacks_memory = code == sqlite3.SQLITE_IOERR_NOMEM
    return isinstance(error, _NoLogError) or (code & 0xFF in _NO_LOG and not lacks_memory)


def _make(path: Path, layout: Layout, journal: str) -> None:
    """Make an empty file of ours, and write to it from two connections, as two servers do."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(connect(path)) as one:
        one.execute(f"PRAGMA page_size = {PAGE}")
        one.execute("PRAGMA auto_vacuum = INCREMENTAL")
        one.execute(f"PRAGMA application_id = {layout.application}")
        one.execute(f"PRAGMA user_version = {layout.version}")
        for statement in layout.statements:
            one.execute(statement)
        if value_of(one, f"journal_mode = {journal}") != journal:
            raise _NoLogError(f"no journal of the kind {journal}")
        with closing(connect(path)) as other:
            other.execute(layout.trial[0])
            one.execute(layout.trial[1])


def _make_way(path: Path, found: Found) -> None:
    """Delete a file of ours that cannot be used; put anything else aside."""
    if found is Found.FOREIGN:
        aside = next(
            name for number in count(1) if not (name := path.with_name(f"{path.name}.aside{number}")).exists()
        )
        for file, other in zip((path, *beside(path)), (aside, *beside(aside)), strict=True):
            with suppress(FileNotFoundError):
                file.rename(other)
        log.warning("Turbopilot: %s was %s; that is now %s.", path, found.value, aside)
    elif found is not Found.NOTHING:
        log.warning("Turbopilot: %s is %s; it is begun anew, and empty.", path, found.value)
    delete(path)  # with the log of another file, which would be taken for the new one's


def _needs_log(path: Path, layout: Layout) -> bool:
    """Tell whether a file of ours can be used only where there is a write-ahead log."""
    return is_ours(path, layout) and _header(path)[_WAL_AT] == 2  # noqa: PLR2004 - SQLite's word for it
