"""SQLite files that only their owner can read, bounded in size and shared by several processes.

A file that another user could have put there is rejected. An unusable file is replaced by an empty one; one
that Turbopilot did not create is moved aside.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import stat
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING

from filelock import FileLock

from jupyter_turbopilot.util.failures import on_failure
from jupyter_turbopilot.util.files import lock_path, others_may_write, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

WAIT = 10.0  # seconds to wait for another process that prepares or writes the file
LONGEST = 2**18  # bytes of a row; longer ones were not written by Turbopilot and are not read
NEXT_START = "the next Jupyter server or IPython that starts begins a new one"
_JOURNAL = 2 * 1024**2  # bytes of the limit reserved for the journal
_SETTINGS = ("journal_mode = DELETE", "synchronous = NORMAL", "secure_delete = ON", "trusted_schema = OFF")
_USED = (
    "SELECT (page_count - freelist_count) * page_size "
    "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
)
_BESIDE = ("-journal", "-wal", "-shm")  # auxiliary files of SQLite
_ADVICE = "it has to be in a folder that only you can write to"
_OBJECTS = "SELECT type, name, sql FROM sqlite_master ORDER BY name"


def connect(path: Path, *, wait: float | None = None, shared: bool = False) -> sqlite3.Connection:
    """Connect to an existing SQLite file; deleted content is overwritten.

    `wait`: seconds to wait for locks of other processes; `shared`: several threads use it, one at a time.
    """
    check(path)
    path.stat()  # SQLite would create a missing file
    connection = sqlite3.connect(
        path, timeout=WAIT if wait is None else wait, isolation_level=None, check_same_thread=not shared
    )
    with on_failure(connection.close):
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
        # Damaged text must not make the rest unreadable, and Python would quote it in the error.
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        for setting in _SETTINGS:
            connection.execute(f"PRAGMA {setting}").fetchall()
    return connection


class OpenFile:
    """An open file, after `Schema.prepare`; with its journal it stays within the size limit.

    It belongs to one thread, or if it is `shared`, to several that take turns.
    """

    def __init__(self, path: Path, limit: int, *, wait: float | None = None, shared: bool = False) -> None:
        self.room = limit - min(limit // 2, _JOURNAL)
        self._path, self._status = path, path.lstat()  # before opening: it may be replaced afterwards
        self._connection = connect(path, wait=wait, shared=shared)

    def is_in_place(self) -> bool:
        """Return whether the path still refers to the open file."""
        try:
            return os.path.samestat(self._status, self._path.lstat())
        except (FileNotFoundError, NotADirectoryError):
            return False

    def close(self) -> None:
        self._connection.close()

    def used(self) -> int:
        return int(self._connection.execute(_USED).fetchall()[0][0])

    @contextmanager
    def transaction(self, kind: str = "IMMEDIATE") -> Iterator[None]:
        """Do everything or nothing; an inner transaction can fail alone. DEFERRED: read a single state."""
        begin, undo, end = f"BEGIN {kind}", "ROLLBACK", "COMMIT"
        if self._connection.in_transaction:
            begin, undo, end = "SAVEPOINT part", "ROLLBACK TO part", "RELEASE part"
        self._connection.execute(begin)
        with on_failure(lambda: self._connection.in_transaction and self._connection.execute(undo)):
            yield
            self._connection.execute(end)


def is_busy(error: Exception) -> bool:
    return _code_of(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def is_damage(error: Exception) -> bool:
    """Return whether the file has unexpected content."""
    damage = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG}
    return _code_of(error) in damage


def _code_of(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def reason_of(error: OSError | NotImplementedError | sqlite3.Error) -> str:
    """Describe an error without the path and content of the file."""
    if isinstance(error, TimeoutError) or is_busy(error):
        return "another process has locked it for too long"
    if isinstance(error, NotImplementedError):
        return "its file system cannot lock files"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return f"it is damaged; {NEXT_START}" if is_damage(error) else str(error)


def beside(path: Path) -> list[Path]:
    return [path.with_name(path.name + end) for end in _BESIDE]


def check(path: Path) -> None:
    """Reject a path where another user can put or has put a file: SQLite would trust its content.

    A journal, for example, is written back into the file, regardless of its author.
    """
    with suppress(FileNotFoundError):
        _check_folder(path.parent)
    for file in (path, *beside(path), lock_path(path)):
        try:
            status = file.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        if stat.S_ISLNK(status.st_mode):
            raise _refusal(f"{file.name} is a link")
        if hasattr(os, "getuid") and status.st_uid != os.getuid():
            raise _refusal(f"{file.name} belongs to another user")
        if not stat.S_ISREG(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, f"{file.name} is a folder or not a regular file")


def _check_folder(folder: Path) -> None:
    if not hasattr(os, "getuid"):
        return  # on Windows, only the user can write to the user's folders
    status = folder.stat()
    if status.st_uid not in {0, os.getuid()}:
        raise _refusal("its folder belongs to another user")
    if others_may_write(status):
        raise _refusal("others may write to its folder")


def _refusal(what: str) -> PermissionError:
    return PermissionError(errno.EACCES, f"{what}; {_ADVICE}")


def delete(path: Path) -> None:
    """Delete a file and its auxiliary files: these first, or a new file would adopt them."""
    for file in (*beside(path), path):
        file.unlink(missing_ok=True)


def move(path: Path, target: Path) -> None:
    """Move a file and its auxiliary files to the path of another file."""
    delete(target)
    for file, other in zip((path, *beside(path)), (target, *beside(target)), strict=True):
        with suppress(FileNotFoundError):
            file.rename(other)


class FileState(Enum):
    """The state of the file at a path."""

    NOTHING = "not there"
    OURS = "created by Turbopilot"
    DAMAGED = "damaged"
    OUTDATED = "of another version"
    FOREIGN = "not created by Turbopilot"


@dataclass(frozen=True)
class Schema:
    """The content of an empty file."""

    application: int  # the id in SQLite's header
    version: int
    tables: str

    def state_of(self, path: Path) -> FileState:
        check(path)
        if not size_of(path):
            return FileState.NOTHING
        if not self.is_ours(path):
            return FileState.FOREIGN
        try:
            with closing(connect(path)) as connection:
                if connection.execute("PRAGMA user_version").fetchall() != [(self.version,)]:
                    return FileState.OUTDATED
                # SQLite would run a view or a trigger that another program put there.
                expected = connection.execute(_OBJECTS).fetchall() == _objects_of(self)
                sound = connection.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)]
                return FileState.OURS if expected and sound else FileState.DAMAGED
        except UnicodeDecodeError:  # SQLite's error quotes a damaged table definition
            return FileState.DAMAGED
        except sqlite3.Error as error:
            if is_damage(error):
                return FileState.DAMAGED
            raise

    def is_ours(self, path: Path) -> bool:
        """Return whether a file, damaged or not, has Turbopilot's application id."""
        check(path)  # SQLite would write another user's journal back into it
        if not path.is_file():
            return False
        # Only SQLite reads the file: on POSIX, closing it would release the locks of other connections.
        with closing(sqlite3.connect(path, timeout=WAIT)) as connection:
            try:
                connection.execute("PRAGMA writable_schema = ON")  # accepts a truncated file
                return connection.execute("PRAGMA application_id").fetchall() == [(self.application,)]
            except sqlite3.Error as error:
                if is_damage(error):
                    return False
                raise

    def owned_files(self, path: Path) -> list[Path]:
        """Return a file created by Turbopilot with its auxiliary files and its lock file."""
        own = [path, *beside(path)] if self.is_ours(path) else []
        if not size_of(lock := lock_path(path)):
            own.append(lock)
        return [file for file in own if file.is_file()]

    def prepare(self, path: Path) -> None:
        """Ensure that a path has a valid file created by Turbopilot that only its owner can read.

        Raises OSError or sqlite3.Error if that fails.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        check(path)
        with FileLock(lock_path(path), WAIT, mode=0o600):  # two servers may start at once
            found = self.state_of(path)
            if found is FileState.OURS:
                path.chmod(0o600)
                return
            if found is FileState.FOREIGN:
                aside = path.with_name(f"{path.name}.aside")
                if taken := [file.name for file in (aside, *beside(aside)) if os.path.lexists(file)]:
                    why = f"it is another program's; delete or rename {', '.join(taken)}"
                    raise FileExistsError(errno.EEXIST, why)
                move(path, aside)
                log.warning("Turbopilot: %s was %s. It has been moved to %s.", path, found.value, aside)
            elif found is not FileState.NOTHING:
                log.warning("Turbopilot: %s is %s. It is replaced by a new file.", path, found.value)
            # Another process that opens the file has to find all tables.
            delete(fresh := path.with_name(f".{path.name}.new"))
            fresh.touch(0o600, exist_ok=False)
            with closing(connect(fresh)) as connection:
                connection.execute("PRAGMA auto_vacuum = FULL")
                connection.executescript(
                    f"BEGIN; {self.tables}; PRAGMA application_id = {self.application}; "
                    f"PRAGMA user_version = {self.version}; COMMIT"
                )
            move(fresh, path)


@cache
def _objects_of(schema: Schema) -> list[tuple[str, str, str | None]]:
    with closing(sqlite3.connect(":memory:")) as empty:
        empty.executescript(schema.tables)
        return empty.execute(_OBJECTS).fetchall()
