"""The persistent completion cache: a SQLite file of answers and digests of their positions."""

from __future__ import annotations

import errno
import os
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from jupyter_turbopilot.completer.cache.completion_cache import REACH, CacheEntry
from jupyter_turbopilot.protocol.engine_request import Token
from jupyter_turbopilot.util.files import KEY_BYTES, MEGABYTE, absolute_path
from jupyter_turbopilot.util.sqlite_file import LONGEST, OpenFile, Schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FILE_BYTES = 64 * MEGABYTE
_ROWS = 64  # read or deleted at a time, so that other processes wait only briefly
_REST = 256  # upper bound in bytes of a row without keys and answer
_CERTAIN = 1.001  # probability 1, with rounding errors
_IDS = 1 << 31
SCHEMA = Schema(
    application=0x54504C54,
    version=2,
    tables="""CREATE TABLE answers (
    number INTEGER PRIMARY KEY, place BLOB NOT NULL UNIQUE,
    keys BLOB NOT NULL, answer BLOB NOT NULL, digest BLOB NOT NULL)""",
)


def locate(name: str | Path) -> Path:
    """Return the file that the setting names, with links resolved; an OSError explains an invalid name."""
    path = absolute_path(name)
    if not path.name:
        raise OSError(errno.EISDIR, "it names a folder")
    try:
        return Path(os.path.realpath(path))
    except ValueError:
        raise OSError(errno.EINVAL, "it is not a valid path") from None


def unusable(name: str, reason: str) -> str:
    """Return the message that the file in the setting cannot be used."""
    return f"The file in c.Turbopilot.cache_file, {name!r}, cannot be used: {reason}."


class Database(OpenFile):
    """The open file, after `Schema.prepare`; for one thread."""

    def newest(self) -> Iterator[CacheEntry]:
        """Iterate over the answers, newest first."""
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

    def add(self, answers: Iterable[CacheEntry]) -> None:
        """Insert answers, deleting the oldest ones if there is no room."""
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
        """Delete the oldest answers if the limit was lowered."""
        while self.used() > self.room:
            with self.transaction():
                if not self._delete_oldest(_ROWS):
                    break

    def _delete_oldest(self, number: int) -> int:
        """Delete the oldest answers, up to a number; return how many were deleted."""
        return self._connection.execute(
            "DELETE FROM answers WHERE number IN (SELECT number FROM answers ORDER BY number LIMIT ?)",
            (number,),
        ).rowcount


class Row(NamedTuple):
    """An answer in the file."""

    cache_key: bytes
    keys: bytes  # all keys, concatenated
    answer: bytes  # JSON
    digest: bytes  # of the keys and the answer: SQLite does not detect changed bytes


class _Written(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    # Each byte of a token is a character: it may be incomplete UTF-8.
    tokens: list[tuple[str, float, int, float]]
    limit: str
    ended: bool


def row_of(answer: CacheEntry) -> Row:
    tokens = [
        (each.data.decode("latin-1"), each.probability, each.id, each.opening) for each in answer.tokens
    ]
    keys = b"".join(answer.keys)
    written = msgspec.json.encode(_Written(tokens, answer.limit, answer.ended))
    return Row(answer.keys[0], keys, written, _digest(keys, written))


def answer_of(row: Row) -> CacheEntry | None:
    """Return the answer in a row; None if the row is invalid."""
    if row.digest != _digest(row.keys, row.answer):
        return None
    try:
        written = msgspec.json.decode(row.answer, type=_Written)
        tokens = tuple(
            Token(data.encode("latin-1"), chance, number, opening=opening)
            for data, chance, number, opening in written.tokens
        )
    except (msgspec.MsgspecError, UnicodeError):
        return None
    if not all(0 <= token.probability <= _CERTAIN and -1 <= token.id < _IDS for token in tokens):
        return None
    keys = tuple(row.keys[at : at + KEY_BYTES] for at in range(0, len(row.keys), KEY_BYTES))
    answer = CacheEntry(keys, tokens, written.limit, written.ended)
    reach = max(1, min(REACH, len(answer.text)))
    return answer if len(row.keys) == reach * KEY_BYTES and row.cache_key == keys[0] else None


def _digest(keys: bytes, answer: bytes) -> bytes:
    return blake2b(keys + answer, digest_size=KEY_BYTES).digest()
