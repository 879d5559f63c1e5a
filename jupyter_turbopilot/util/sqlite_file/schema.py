"""The schema of a SQLite file; an unusable file is replaced by an empty one."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING

from filelock import FileLock

from jupyter_turbopilot.util.files import size_of
from jupyter_turbopilot.util.sqlite_file.connection import (
    WAIT,
    beside,
    check,
    connect,
    delete,
    is_damage,
    lock_path,
    move,
)

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

_MOST_ASIDE = 100  # files that were not created by Turbopilot
_OBJECTS = "SELECT type, name, sql FROM sqlite_master ORDER BY name"


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
                move(path, aside := _free_name(path))
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


def _free_name(path: Path) -> Path:
    """Return an unused name next to a file: files moved aside earlier are kept."""
    names = (path.with_name(f"{path.name}.aside{number}") for number in ("", *range(2, _MOST_ASIDE)))
    for name in names:
        if not any(os.path.lexists(file) for file in (name, *beside(name))):
            return name
    raise FileExistsError(errno.EEXIST, "it belongs to another program, and all names for moving it are used")


@cache
def _objects_of(schema: Schema) -> list[tuple[str, str, str | None]]:
    with closing(sqlite3.connect(":memory:")) as empty:
        empty.executescript(schema.tables)
        return empty.execute(_OBJECTS).fetchall()
