"""The results file, open: reading the newest answers, adding some, deleting the oldest. One thread's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.completer.results_file.row import Row, answer_of, row_of
from jupyter_turbopilot.sqlite_file.connection import LONGEST
from jupyter_turbopilot.sqlite_file.opened import OpenFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jupyter_turbopilot.suggestion.cache import Answer

_ROWS = 64  # that are read, or deleted, at a time: nobody else waits for long
_PIECE = 2**16  # bytes that are written at a time: a write-ahead log holds a multiple of that
_REST = 256  # bytes of a row beside its keys and its answer, and some more


class Database(OpenFile):
    """The results file, as `prepare` has left it."""

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
            with self.transaction():
                self._connection.executemany(
                    "INSERT OR REPLACE INTO answers (place, keys, answer, digest) VALUES (?, ?, ?, ?)", rows
                )
                while self.used() > self.room and self._delete_oldest(len(rows)):
                    pass

    def clear(self) -> bool:
        """Delete every answer, and give the room back; False where a log holds them for a reader."""
        with self.transaction():
            self._connection.execute("DELETE FROM answers")
        self.give_back()
        return self.end_log()

    def count(self) -> int:
        """Return how many answers there are."""
        found: int = self._connection.execute("SELECT count(*) FROM answers").fetchone()[0]
        return found

    def fit(self) -> None:
        """Come back within the bound, which may have been a larger one."""
        if self.pages("page_count") <= self.room:
            return
        while self.used() > self.room:
            with self.transaction():
                if not self._delete_oldest(_ROWS):
                    break
        self.give_back()
        self.end_log()  # until it is written back, the file stays as long as it was

    def _delete_oldest(self, number: int) -> int:
        """Delete so many of the oldest answers; return how many there were."""
        return self._connection.execute(
            "DELETE FROM answers WHERE number IN (SELECT number FROM answers ORDER BY number LIMIT ?)",
            (number,),
        ).rowcount


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
