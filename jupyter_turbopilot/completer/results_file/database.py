"""The results file, open: the newest answers are read, others are added, the oldest are deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.completer.results_file.row import Row, answer_of, row_of
from jupyter_turbopilot.sqlite_file.connection import LONGEST, OpenFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jupyter_turbopilot.suggestion.cache import Answer

_ROWS = 64  # that are read, or deleted, at a time: other processes do not wait for long
_REST = 256  # bytes of a row beside its keys and its answer, and some more


class Database(OpenFile):
    """The results file, after `prepare`; for one thread."""

    def newest(self) -> Iterator[Answer]:
        """Iterate over the answers, the newest first."""
        before = 1 << 62
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
        """Write answers, and delete the oldest ones if there is no room for them."""
        with self.transaction():
            for row in map(row_of, answers):
                if len(row.keys) + len(row.answer) < LONGEST - _REST:
                    self._connection.execute(
                        "INSERT OR REPLACE INTO answers (place, keys, answer, digest) VALUES (?, ?, ?, ?)",
                        row,
                    )
                    while self.used() > self.room and self._delete_oldest(1):
                        pass

    def clear(self) -> None:
        """Delete every answer."""
        with self.transaction():
            self._connection.execute("DELETE FROM answers")

    def count(self) -> int:
        """Return the number of answers."""
        found: int = self._connection.execute("SELECT count(*) FROM answers").fetchall()[0][0]
        return found

    def fit(self) -> None:
        """Delete the oldest answers if the bound is smaller than before."""
        while self.used() > self.room:
            with self.transaction():
                if not self._delete_oldest(_ROWS):
                    break

    def _delete_oldest(self, number: int) -> int:
        """Delete so many of the oldest answers; return how many there were."""
        return self._connection.execute(
            "DELETE FROM answers WHERE number IN (SELECT number FROM answers ORDER BY number LIMIT ?)",
            (number,),
        ).rowcount
