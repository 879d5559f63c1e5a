"""Keeps answers in the results file, on a thread of its own: nobody who answers waits for a disk."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from jupyter_turbopilot.completer.results_file.database import Database
from jupyter_turbopilot.completer.results_file.disk import located, prepare
from jupyter_turbopilot.completer.results_file.trouble import unusable
from jupyter_turbopilot.files import ROOM_TO_SPARE, free_room
from jupyter_turbopilot.sqlite_file.connection import is_busy, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jupyter_turbopilot.suggestion.cache import Answer

log = logging.getLogger(__name__)

WAITING = 256  # answers that wait to be written; then the oldest of them is lost
SETTLE = 0.2  # seconds before answers are written: the next one may follow at once
BATCH = 2**19  # bytes of memory that answers take which are written together
PATIENCE = 1.0  # seconds that the end waits for what is not written yet


class Keeper:
    """Reads the results file at the start, and writes behind what it is given.

    Whatever goes wrong with the file is said once; from then on answers are in memory alone, and `trouble`
    says why.
    """

    trouble = ""

    def __init__(self, name: str | Path, limit: int) -> None:
        self.name = str(name)
        self._limit = limit
        self._waiting: deque[Answer] = deque(maxlen=WAITING)
        self._wake = threading.Condition()
        self._ended = False
        self._thread: threading.Thread | None = None

    def start(self, restore: Callable[[Answer], bool]) -> None:
        """Begin, once; `restore` gets the answers in the file, the newest first, until it has no room."""
        with self._wake:
            if self._thread or self._ended:
                return
            # A daemon: a disk that does not answer must not keep the process from ending.
            self._thread = threading.Thread(
                target=self._run, args=(restore,), name="turbopilot-results", daemon=True
            )
        try:
            self._thread.start()
        except RuntimeError:  # no more threads
            self._give_up("there are no more threads")

    def keep(self, answer: Answer) -> None:
        """Have an answer written, soon."""
        with self._wake:
            if not self._ended:
                self._waiting.append(answer)
                self._wake.notify()

    def close(self) -> None:
        """Write what waits, and end."""
        with self._wake:
            self._ended = True
            self._wake.notify()
            thread = self._thread
        if thread and thread.is_alive():
            thread.join(PATIENCE)

    def _run(self, restore: Callable[[Answer], bool]) -> None:
        try:
            path = located(self.name)
            database = self._open(path)
            try:
                for answer in database.newest():
                    if not restore(answer):
                        break
                while batch := self._next():
                    if not database.is_in_place():
                        log.warning("Turbopilot: %r was deleted or replaced. It is begun anew.", self.name)
                        database.close()
                        database = self._open(path)
                    if free_room(path) < ROOM_TO_SPARE:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    self._while_busy(partial(database.add, batch))
            finally:
                database.close()
        except (OSError, NotImplementedError, sqlite3.Error) as error:
            self._give_up(reason_of(error))
        except Exception:
            log.exception("Turbopilot: keeping answers failed")
            self._give_up("an error that the server's log has")

    def _next(self) -> list[Answer]:
        """Wait for answers to write; none: it is the end."""
        with self._wake:
            while not (self._waiting or self._ended):
                self._wake.wait()
            if not self._ended:
                self._wake.wait_for(lambda: self._ended, SETTLE)
            batch, size = [], 0
            while self._waiting and size < BATCH:
                batch.append(self._waiting.popleft())
                size += batch[-1].size
            return batch

    def _open(self, path: Path) -> Database:
        prepare(path)
        database = Database(path, self._limit)
        try:
            self._while_busy(database.fit)
        except BaseException:
            database.close()
            raise
        return database

    def _while_busy(self, act: Callable[[], None]) -> None:
        """Try again while another process holds the file; meanwhile answers wait in memory."""
        while True:
            try:
                return act()
            except sqlite3.Error as error:
                if self._ended or not is_busy(error):
                    raise

    def _give_up(self, reason: str) -> None:
        with self._wake:
            self._ended = True
            self._waiting.clear()
        self.trouble = f"Answers are not kept in the file of c.Turbopilot.results_file: {reason}."
        log.warning(
            "Turbopilot: %s Answers stay in memory until the server stops.", unusable(self.name, reason)
        )
