"""A SQLite file of ours, open: transactions, and its bound in bytes."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

from jupyter_turbopilot.sqlite_file.connection import connect, using, value_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PAGES = 64  # that are given back at a time: nobody else waits for long
_SPARE = 2 * 1024**2  # bytes of the bound for what SQLite keeps beside the file

_OUTER = ("BEGIN IMMEDIATE", ("ROLLBACK",), "COMMIT")
_INNER = ("SAVEPOINT part", ("ROLLBACK TO part", "RELEASE part"), "RELEASE part")


class OpenFile:
    """A file that `prepare` has seen to; what SQLite keeps beside it is within its bound, too.

    It is one thread's, or where it is `shared`, that of several who take turns.
    """

    def __init__(self, path: Path, limit: int, *, wait: float | None = None, shared: bool = False) -> None:
        self.room = limit - min(limit // 2, _SPARE)
        with ExitStack() as opened:
            opened.enter_context(using(path))
            self._path, self._status = path, path.lstat()  # before it is opened: a later one may be another's
            self._connection = opened.enter_context(closing(connect(path, wait=wait, shared=shared)))
            self._page = int(value_of(self._connection, "page_size"))
            self._opened = opened.pop_all()

    def is_in_place(self) -> bool:
        """Tell whether the file that is open still stands at its path: it may be deleted, or replaced."""
        try:
            return os.path.samestat(self._status, self._path.lstat())
        except (FileNotFoundError, NotADirectoryError):
            return False

    def close(self) -> None:
        """Close it."""
        self._opened.close()

    def give_back(self) -> None:
        """Give free pages back to the file system, some at a time."""
        left = 0
        while (free := self.pages("freelist_count")) and free != left:
            left = free
            self._connection.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()

    def end_log(self) -> bool:
        """Write a log back and cut it, so that nothing deleted is in it; False where a reader holds it."""
        return not value_of(self._connection, "wal_checkpoint(TRUNCATE)")

    def used(self) -> int:
        """Return the bytes of the pages that hold something."""
        return self.pages("page_count") - self.pages("freelist_count")

    def pages(self, pragma: str) -> int:
        """Return the bytes of the pages that a pragma counts."""
        return int(value_of(self._connection, pragma)) * self._page

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do all of it or nothing; one within another can fail by itself."""
        begin, undo, end = _OUTER if not self._connection.in_transaction else _INNER
        self._connection.execute(begin)
        try:
            yield
            self._connection.execute(end)
        except BaseException:
            if self._connection.in_transaction:
                for statement in undo:
                    self._connection.execute(statement)
            raise
