"""The index database: adds, deletes and looks up documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from jupyter_turbopilot.analysis.lines import lines_of
from jupyter_turbopilot.index.entries import IndexEntry, Page, bindings_of, modules_of
from jupyter_turbopilot.util.files import MEGABYTE
from jupyter_turbopilot.util.sqlite_file import OpenFile, Schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LIMIT = 50 * MEGABYTE
MOST_ROWS = 4096  # read per lookup
MOST_CONTINUATIONS = 256  # distinct continuations of a line beginning; with more, none is returned
MOST_RETURNED, MOST_ROWS_EACH = 16, 64  # returned continuations, and rows for each
MOST_IMPORTS, MOST_PATHS_EACH = 8, 16  # returned import lines of a name, and documents for each
PATIENCE = 0.02  # seconds that a lookup waits for another process's write lock
_CACHE, _CACHE_TO_WRITE = 4096, 16384  # KiB of SQLite page cache
_BINDING = (
    "FROM imports WHERE name = :name AND (:within IS NULL OR document IN (SELECT id FROM documents WHERE "
    "substr(path, 1, length(:within)) = :within AND instr(substr(path, length(:within) + 1), '/') = 0))"
)
SCHEMA = Schema(
    application=0x54504C4D,
    version=6,  # increase when the same text would be indexed differently
    tables="""CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL, modified REAL NOT NULL,
    modules TEXT NOT NULL);
CREATE INDEX documents_by_age ON documents (modified);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY, document INTEGER NOT NULL, language TEXT NOT NULL, source TEXT NOT NULL);
CREATE INDEX entries_of_documents ON entries (document);
CREATE TABLE lines (
    language TEXT NOT NULL, text TEXT NOT NULL, document INTEGER NOT NULL, above INTEGER NOT NULL,
    times INTEGER NOT NULL, PRIMARY KEY (language, text, document, above)) WITHOUT ROWID;
CREATE TABLE imports (
    name TEXT NOT NULL, line TEXT NOT NULL, document INTEGER NOT NULL,
    PRIMARY KEY (name, line, document)) WITHOUT ROWID""",
)


class IndexedLine(NamedTuple):
    """A line in a document, as it is indexed."""

    text: str
    same_above: bool
    times: int
    path: str
    modified: float
    modules: frozenset[str]


class IndexedImport(NamedTuple):
    """An import line, the number of documents that contain it, and some of them."""

    line: str
    documents: int
    paths: tuple[str, ...]


class IndexStore(OpenFile):
    """The index of one root folder; with `looking`, for lookups only: from any thread, with a short wait."""

    def __init__(self, path: Path, limit: int = LIMIT, *, looking: bool = False) -> None:
        super().__init__(path, limit, wait=PATIENCE if looking else None, shared=looking)
        self._run(f"PRAGMA cache_size = -{_CACHE if looking else _CACHE_TO_WRITE}")

    def put(self, path: str, stamp: str, modified: float, page: Page) -> bool:
        """Add or replace a document; return False if there is no space in addition to newer ones."""
        with self.transaction():
            known = self._one("SELECT id FROM documents WHERE path = ?", path)
            if known and self._page_of(known[0]) == page:
                self._run(
                    "UPDATE documents SET stamp = ?, modified = ? WHERE id = ?", stamp, modified, known[0]
                )
                return True
            if known:
                self._delete(known[0])
            number = self._add(path, stamp, modified, page)
            while self.used() > self.room:
                oldest = self._one("SELECT id FROM documents ORDER BY modified, id DESC LIMIT 1")
                if oldest is None:
                    return False
                self._delete(oldest[0])
                if oldest[0] == number:
                    return False
        return True

    def forget(self, paths: Iterable[str]) -> int:
        """Delete documents by path, and those in folders with these paths; return their number."""
        gone = 0
        with self.transaction():
            for path in paths:
                for (number,) in self._all(
                    "SELECT id FROM documents WHERE path = ? OR (path > ? AND path < ?)",
                    path, f"{path}/", f"{path}0",
                ):  # fmt: skip
                    self._delete(number)
                    gone += 1
        return gone

    def keep_newest(self, count: int) -> None:
        """Delete the oldest documents beyond a count."""
        if (over := self.count() - count) > 0:
            oldest = self._all("SELECT path FROM documents ORDER BY modified, id DESC LIMIT ?", over)
            self.forget(path for (path,) in oldest)

    def clear(self, mark: str = "") -> None:
        """Delete all content of the index.

        Servers that see a new `mark` stop writing to this index.
        """
        with self.transaction():
            self.note("cleared", mark or self.noted("cleared"))
            for table in ("documents", "entries", "lines", "imports"):
                self._run(f"DELETE FROM {table}")  # noqa: S608 - names from the line above

    def rest(self) -> None:
        """Free SQLite's page cache."""
        self._run("PRAGMA shrink_memory")

    def stamps(self) -> dict[str, str]:
        """Return the stamp of each document when it was indexed."""
        return dict(self._all("SELECT path, stamp FROM documents"))

    def stamp(self, path: str) -> str | None:
        """Return a document's stamp when it was indexed."""
        found = self._one("SELECT stamp FROM documents WHERE path = ?", path)
        return found[0] if found else None

    def version(self) -> int:
        """Return the version of the file's schema."""
        return int(self._all("PRAGMA user_version")[0][0])

    def count(self) -> int:
        """Return the number of documents."""
        return int(self._all("SELECT count(*) FROM documents")[0][0])

    def note(self, name: str, value: str) -> None:
        """Store a property of the index itself."""
        self._run("INSERT OR REPLACE INTO about VALUES (?, ?)", name, value)

    def noted(self, name: str) -> str:
        """Return a property of the index; empty if it is not set."""
        found = self._one("SELECT value FROM about WHERE name = ?", name)
        return str(found[0]) if found else ""

    def lines(self, language: str, begun: str, above: str, path: str) -> list[IndexedLine]:
        """Return the likeliest lines with this beginning, in other documents than `path`.

        With too many different lines it returns none: a sample would not show which are likely.
        """
        mark = _mark(above) or None  # no mark is NULL
        own = self._one("SELECT id FROM documents WHERE path = ?", path) or (None,)
        # Jump from one distinct line to the next: common ones occur thousands of times.
        ways = self._all(
            "WITH RECURSIVE ways (text) AS ("
            "SELECT min(text) FROM lines "
            "WHERE language = :language AND text >= :begun AND text < :end UNION ALL "
            "SELECT (SELECT min(text) FROM lines "
            "WHERE language = :language AND text > ways.text AND text < :end) "
            "FROM ways WHERE text IS NOT NULL LIMIT :most) "
            "SELECT text FROM ways WHERE text IS NOT NULL",
            language=language, begun=begun, end=f"{begun}\U0010ffff", most=MOST_CONTINUATIONS + 1,
        )  # fmt: skip
        if len(ways) > MOST_CONTINUATIONS:
            return []
        counted = [
            (text, *self._all(
                "SELECT max(above IS ?), count(DISTINCT document) FROM ("
                "SELECT document, above FROM lines "
                "WHERE language = ? AND text = ? AND document IS NOT ? LIMIT ?)",
                mark, language, text, *own, MOST_ROWS,
            )[0])
            for (text,) in ways
        ]  # fmt: skip
        likeliest = sorted((-same, -often, text) for text, same, often in counted if often)[:MOST_RETURNED]
        return [
            IndexedLine(text, before == mark, times, at, modified, frozenset(modules.split()))
            for *_, text in likeliest
            for before, times, at, modified, modules in self._all(
                "SELECT above, times, path, modified, modules FROM ("
                "SELECT document, above, times FROM lines WHERE language = ? AND text = ? "
                "AND document IS NOT ? ORDER BY above IS ? DESC LIMIT ?) "
                "JOIN documents ON documents.id = document",
                language, text, *own, mark, MOST_ROWS_EACH,
            )
        ]  # fmt: skip

    def imports(
        self, name: str, folder: str | None = None, leaving: Iterable[str] = ()
    ) -> list[IndexedImport]:
        """Return the imports that bind a name, those of most documents first.

        With `folder`, only documents directly in it count; those at the paths in `leaving` never do.
        """
        within = folder if folder is None else f"{folder}/".removeprefix("./")
        known = (self._one("SELECT id FROM documents WHERE path = ?", path) for path in leaving)
        binding = f"{_BINDING} AND document NOT IN ({', '.join(str(one[0]) for one in known if one)})"
        counted = self._all(
            f"SELECT line, count(*) {binding} GROUP BY line ORDER BY count(*) DESC, line LIMIT :most",
            name=name, within=within, most=MOST_IMPORTS,
        )  # fmt: skip
        return [
            IndexedImport(line, documents, tuple(
                path for (path,) in self._all(
                    f"SELECT (SELECT path FROM documents WHERE id = document) {binding} "  # noqa: S608
                    "AND line = :line LIMIT :most",
                    name=name, within=within, line=line, most=MOST_PATHS_EACH,
                )
            ))
            for line, documents in counted
        ]  # fmt: skip

    def _add(self, path: str, stamp: str, modified: float, page: Page) -> int:
        cursor = self._connection.execute(
            "INSERT INTO documents (path, stamp, modified, modules) VALUES (?, ?, ?, ?)",
            (path, stamp, modified, " ".join(sorted(modules_of(page)))),
        )
        number = int(cursor.lastrowid or 0)
        for entry in page:
            self._run(
                "INSERT INTO entries (document, language, source) VALUES (?, ?, ?)",
                number, entry.language, entry.source,
            )  # fmt: skip
        self._many("INSERT INTO lines VALUES (?, ?, ?, ?, ?)", _lines(number, page))
        self._many("INSERT INTO imports VALUES (?, ?, ?)", ((*found, number) for found in bindings_of(page)))
        return number

    def _delete(self, number: int) -> None:
        page = self._page_of(number)
        self._many(
            "DELETE FROM lines WHERE language = ? AND text = ? AND document = ? AND above = ? AND times = ?",
            _lines(number, page),
        )
        self._many(
            "DELETE FROM imports WHERE name = ? AND line = ? AND document = ?",
            ((*found, number) for found in bindings_of(page)),
        )
        self._run("DELETE FROM entries WHERE document = ?", number)
        self._run("DELETE FROM documents WHERE id = ?", number)

    def _page_of(self, number: int) -> Page:
        rows = self._all("SELECT language, source FROM entries WHERE document = ? ORDER BY id", number)
        return tuple(IndexEntry(*row) for row in rows)

    def _run(self, statement: str, *given: object) -> None:
        self._connection.execute(statement, given)

    def _many(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        self._connection.executemany(statement, rows)

    def _all(self, query: str, *given: object, **named: object) -> list[tuple]:  # type: ignore[type-arg]
        return self._connection.execute(query, named or given).fetchall()

    def _one(self, query: str, *given: object) -> tuple | None:  # type: ignore[type-arg]
        return next(iter(self._all(query, *given)), None)


def _lines(number: int, page: Page) -> Iterator[tuple[str, str, int, int, int]]:
    times: dict[tuple[str, str, int], int] = {}
    for entry in page:
        for line, often in lines_of(entry.source).items():
            key = (entry.language, line.text, _mark(line.above))
            times[key] = times.get(key, 0) + often
    for (language, text, above), often in times.items():
        yield language, text, number, above, often


def _mark(line: str) -> int:
    """Return a checksum of the line above; 0 if there is none."""
    return crc32(line.encode()) or 1 if line else 0
