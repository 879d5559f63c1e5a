"""Loads the persistent completion cache once, and writes it in the background."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from functools import partial
from typing import TYPE_CHECKING

from jupyter_turbopilot.completer.cache.cache_file import FILE_BYTES, SCHEMA, Database, locate, unusable
from jupyter_turbopilot.util.failures import on_failure
from jupyter_turbopilot.util.files import ROOM_TO_SPARE, free_room
from jupyter_turbopilot.util.sqlite_file import is_busy, reason_of
from jupyter_turbopilot.util.write_behind import WriteBehind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from jupyter_turbopilot.completer.cache.completion_cache import CacheEntry

log = logging.getLogger(__name__)

WAITING = 256  # answers queued for writing; further ones are dropped
SETTLE = 0.2  # seconds until answers are written: the next one may follow at once
PATIENCE = 1.0  # seconds that close() waits for the queue


class CacheWriter:
    """Loads the file at the start, and writes answers in the background.

    After an error, which is logged once, answers are cached in memory only.
    """

    def __init__(self, name: str | Path, limit: int = FILE_BYTES) -> None:
        self.name = str(name)
        self._limit = limit
        self._restore: Callable[[CacheEntry], bool] = lambda _: False
        self._database: Database | None = None
        self._behind: WriteBehind[CacheEntry] = WriteBehind(
            self._write,
            self._failure,
            room=WAITING,
            settle=SETTLE,
            at_end=self._close_database,
        )

    @property
    def error(self) -> str:
        """The reason not to save answers; empty if they are saved."""
        if not (reason := self._behind.error):
            return ""
        return f"Completions are not saved to the file in c.Turbopilot.cache_file: {reason}."

    def start(self, restore: Callable[[CacheEntry], bool]) -> None:
        """Open the file; `restore` receives its answers, newest first, until it returns False."""
        self._restore = restore
        self._behind.start()

    def keep(self, answer: CacheEntry) -> None:
        """Queue an answer for writing."""
        self._behind.put(answer)

    def close(self) -> None:
        """Write the queued answers and stop."""
        self._behind.close(PATIENCE)

    def _write(self, answers: Sequence[CacheEntry]) -> None:
        try:
            self._add(answers)
        except (OSError, NotImplementedError, sqlite3.Error) as error:
            raise OSError(errno.EIO, reason_of(error)) from error

    def _add(self, answers: Sequence[CacheEntry]) -> None:
        """Add answers to the file; open and load it first."""
        path = locate(self.name)
        if self._database is None:
            self._database = self._open(path)
            for answer in self._database.newest():
                if not self._restore(answer):
                    break
        if not answers:
            return
        if not self._database.is_in_place():
            log.warning("Turbopilot: %r was deleted or replaced. A new file is created.", self.name)
            self._database.close()
            self._database = self._open(path)
        if free_room(path) < ROOM_TO_SPARE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._while_busy(partial(self._database.add, answers))

    def _open(self, path: Path) -> Database:
        SCHEMA.prepare(path)
        database = Database(path, self._limit)
        with on_failure(database.close):
            self._while_busy(database.fit)
        return database

    def _while_busy(self, act: Callable[[], None]) -> None:
        """Retry while another process locks the file; answers stay queued meanwhile."""
        while True:
            try:
                return act()
            except sqlite3.Error as error:
                if self._behind.ended or not is_busy(error):
                    raise

    def _close_database(self) -> None:
        if self._database:
            self._database.close()

    def _failure(self, reason: str) -> str:
        return f"{unusable(self.name, reason)} Completions are cached in memory until the server stops."
