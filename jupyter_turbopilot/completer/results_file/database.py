"""The results file, open: reading the newest answers, adding some, deleting the oldest. One thread's."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

from jupyter_turbopilot.completer.results_file.connection import LONGEST, connect, using, value_of
from jupyter_turbopilot.completer.results_file.row import Row, answer_of, row_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from jupyter_turbopilot.suggestion.cache import Answer

_ROWS = 64  # that are read, or deleted, at a time: nobody else waits for long
_PIECE = 2**16  # bytes that are written at a time: a write-ahead log holds a multiple of that
_REST = 256  # bytes of a row beside its keys and its answer, and some more
_SPARE = 2 * 1024**2  # bytes of the bound for what SQLite keeps beside the file


class Database:
    """A results file that `prepare` has seen to; what SQLite keeps beside it is within its bound, too."""

    def __init__(self, path: Path, limit: int) -> None:
        self._room = limit - min(limit // 2, _SPARE)
        with ExitStack() as opened:
            opened.enter_context(using(path))
            self._path, self._status = path, path.lstat()  # before it is opened: a later one may be another's
            self._connection = opened.enter_context(closing(connect(path)))
            self._page = int(value_of(self._connection, "page_size"))
            self._opened = opened.pop_all()

    def newest(self) -> Iterator[Answer]:
        """Iterate over the answers, the newest first."""
        before = 1 << 62
        # In pieces: while it is read, a write-ahead log cannot be begun anew, and grows.
        while rows := self._connection.execute(
            "SELECT number, place, keys, answer, digest FROM answers WHERE number < ? "
            "ORDER BY number DESC LIMIT ?",
            (before, _ROWS),
        ).fetchall():
            for number, *row in rows:
                before = number
                if all(isinstance(part, bytes) for part in row) and (answer := answer_of(Row(*row))):
                    yield answer

    def add(self, answers: Iterable[Answer]) -> None:
        """Write answers, and delete the oldest ones where there is no room for them."""
        for rows in _pieces(row for row in map(row_of, answers) if _is_storable(row)):
            with self._transaction():
                self._connection.executemany(
                    "INSERT OR REPLACE INTO answers (place, keys, answer, digest) VALUES (?, ?, ?, ?)", rows
                )
                while self._used() > self._room and self._delete_oldest(len(rows)):
                    pass

    def clear(self) -> bool:
        """Delete every answer, and give the room back; False where a log holds them for a reader."""
        with self._transaction():
            self._connection.execute("DELETE FROM answers")
        self._give_back()
        return not value_of(self._connection, "wal_checkpoint(TRUNCATE)")

    def count(self) -> int:
        """Return how many answers there are."""
        found: int = self._connection.execute("SELECT count(*) FROM answers").fetchone()[0]
        return found

    def is_in_place(self) -> bool:
        """Tell whether the file that is open still stands at its path: it may be deleted, or replaced."""
        try:
            return os.path.samestat(self._status, self._path.lstat())
        except (FileNotFoundError, NotADirectoryError):
            return False

    def close(self) -> None:
        """Close it."""
        self._opened.close()

    def fit(self) -> None:
        """Come back within the bound, which may have been a larger one."""
        if self._pages("page_count") <= self._room:
            return
        while self._used() > self._room:
            with self._transaction():
                if not self._delete_oldest(_ROWS):
                    break
        self._give_back()

    def _give_back(self) -> None:
        """Give free pages back to the file system, some at a time."""
        left = 0
        while (free := self._pages("freelist_count")) and free != left:
            left = free
            self._connection.execute(f"PRAGMA incremental_vacuum({_ROWS})").fetchall()

    def _delete_oldest(self, number: int) -> int:
        """Delete so many of the oldest answers; return how many there were."""
        return self._connection.execute(
            "DELETE FROM answers WHERE number IN (SELECT number FROM answers ORDER BY number LIMIT ?)",
            (number,),
        ).rowcount

    def _used(self) -> int:
        return self._pages("page_count") - self._pages("freelist_count")

    def _pages(self, pragma: str) -> int:
        """Return the bytes of the pages that a pragma counts."""
        return int(value_of(self._connection, pragma)) * self._page

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def _is_storable(row: Row) -> bool:
    return len(row.keys) + len(row.answer) < LONGEST - _REST


def _pieces(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Divide rows into what is written at a time."""
    piece: list[Row] = []
    size = 0
    for row in rows:
        piece.append(row)
        size += len(row.keys) + len(row.answer)
        if size >= _PIECE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
