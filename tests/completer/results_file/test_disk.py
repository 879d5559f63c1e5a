from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jupyter_turbopilot.completer.results_file.disk import Found, belonging, is_ours, look, prepare
from jupyter_turbopilot.sqlite_file import connection, disk

from .answers import answers, open_file, texts


@pytest.fixture(autouse=True)
def _open_to_all() -> Iterator[None]:
    """Whatever is not closed by us is open to everybody."""
    before = os.umask(0)
    yield
    os.umask(before)


def write_foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE thesis (chapter)")
        theirs.commit()


@pytest.mark.parametrize("name", ["answers.db", "a b#?%41[x].db"])
def test_a_file_is_made_that_only_its_owner_can_read_with_what_is_beside_it(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "deep" / "er" / name
    assert look(path) is Found.NOTHING
    database = open_file(path)
    database.add(answers(range(3)))
    beside = list(path.parent.iterdir())
    assert {file.name for file in beside} == {name, f"{name}-wal", f"{name}-shm", f".{name}.lock"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in beside} == {0o600}
    assert set(belonging(path)) == set(beside)
    database.close()
    assert look(path) is Found.OURS
    assert is_ours(path)


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    open_file(path).close()
    path.chmod(0o644)
    prepare(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_empty_file_in_its_place_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    path.touch(0o644)
    prepare(path)
    assert look(path) is Found.OURS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("foreign", ["text", "database"])
def test_what_is_none_of_ours_is_put_aside_as_it_is(
    tmp_path: Path, foreign: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "answers.db"
    kept = []
    for number in (1, 2):
        path.unlink(missing_ok=True)
        if foreign == "text":
            path.write_text(f"chapter {number}" * 99)
        else:
            write_foreign(path)
        kept.append(path.read_bytes())
        assert look(path) is Found.FOREIGN
        assert path not in belonging(path)
        prepare(path)
        assert look(path) is Found.OURS
        assert [(tmp_path / f"answers.db.aside{n + 1}").read_bytes() for n in range(number)] == kept
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


@pytest.mark.parametrize("why", ["older", "damaged", "damaged definition", "another table"])
def test_one_of_ours_that_cannot_be_used_is_begun_anew(
    tmp_path: Path, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "answers.db"
    database = open_file(path)
    database.add(answers(range(200)))
    database.close()
    if why == "damaged":
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)
    elif why == "damaged definition":
        path.write_bytes(path.read_bytes().replace(b"PRIMARY KEY", b"PRIMARY \xffEY"))
    else:
        change = "PRAGMA user_version = 0" if why == "older" else "ALTER TABLE answers DROP COLUMN digest"
        with closing(connection.connect(path)) as opened:
            opened.execute(change)
    assert look(path) is (Found.OUTDATED if why == "older" else Found.DAMAGED)
    assert texts(path) == []
    assert "begun anew" in caplog.text
    assert {file.name for file in tmp_path.iterdir()} == {path.name, f".{path.name}.lock"}


def test_what_is_no_file_stays_and_is_refused(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (pipe, folder):
        assert look(path) is Found.NO_FILE
        with pytest.raises(IsADirectoryError):
            prepare(path)
        assert look(path) is Found.NO_FILE


def test_what_a_killed_server_left_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    left = ["answers.db.0123abcd.new", "answers.db.0123abcd.new-wal"]
    theirs = ["answers.db.new", "answers.db.old.0123abcd.new", "other.db.0123abcd.new", "answers.db.0123.new"]
    for name in (*left, *theirs):
        (tmp_path / name).touch()
    assert {file.name for file in belonging(path)} == set(left)
    prepare(path)
    assert {file.name for file in tmp_path.iterdir()} == {path.name, f".{path.name}.lock", *theirs}


def error_of(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("it fails")
    error.sqlite_errorcode = code
    return error


class NoSharedMemory(sqlite3.Connection):
    """A file system on which a write-ahead log fails at the first write, as network file systems may."""

    def execute(self, sql: str, *given: object) -> sqlite3.Cursor:  # type: ignore[override]
        if sql.startswith("INSERT") and super().execute("PRAGMA journal_mode").fetchone() == ("wal",):
            raise error_of(sqlite3.SQLITE_PROTOCOL)
        return super().execute(sql, *given)  # type: ignore[arg-type]


@pytest.mark.parametrize("fails", ["at once", "late"])
def test_where_no_write_ahead_log_is_possible_a_journal_serves(
    tmp_path: Path, fails: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "answers.db"
    open_file(path).close()
    connect = sqlite3.connect

    def without(address: str, *given: object, **more: object) -> sqlite3.Connection:
        if fails == "late":
            return connect(address, *given, factory=NoSharedMemory, **more)  # type: ignore[arg-type, call-overload]
        # SQLite's own way to lock where nothing else is possible: it has no shared memory.
        return connect(f"{address}&vfs=unix-dotfile", *given, **more)  # type: ignore[arg-type, call-overload]

    monkeypatch.setattr(connection.sqlite3, "connect", without)
    caplog.set_level("INFO")
    database = open_file(path)  # what stood there had a log: it cannot be used here
    database.add(answers(range(3)))
    database.close()
    with closing(connect(path)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert len(texts(path)) == 3
    assert "a journal serves" in caplog.text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_where_nothing_can_be_written_it_is_an_error_that_says_so() -> None:
    with pytest.raises(OSError, match="proc"):
        prepare(Path("/proc/answers.db"))


@pytest.mark.parametrize(
    "code",
    [sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR_NOMEM, sqlite3.SQLITE_FULL],
)
def test_a_trial_that_fails_for_another_reason_costs_no_answers(
    tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "answers.db"
    database = open_file(path)
    database.add(answers([1]))
    database.close()

    def fail(*_: object) -> None:
        raise error_of(code)

    with monkeypatch.context() as short:
        short.setattr(disk, "_make", fail)
        with pytest.raises(sqlite3.OperationalError):
            prepare(path)
    assert len(texts(path)) == 1


@pytest.mark.parametrize(
    "statements",
    [
        [
            "DROP TABLE answers",
            (
                "CREATE VIEW answers AS WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) "
                "SELECT n number FROM t WHERE n < 0"
            ),
        ],
        [
            "CREATE TABLE spill (x)",
            "CREATE TRIGGER t AFTER INSERT ON answers BEGIN INSERT INTO spill VALUES (new.keys); END",
        ],
        ["CREATE INDEX more ON answers (keys)"],
        ["INSERT INTO answers VALUES (9223372036854775807, x'01', x'', x'', x'')"],
    ],
)
def test_one_that_holds_more_than_our_table_is_begun_anew(tmp_path: Path, statements: list[str]) -> None:
    path = tmp_path / "answers.db"
    open_file(path).close()
    with closing(connection.connect(path)) as opened:
        for statement in statements:
            opened.execute(statement)
    assert look(path) is Found.DAMAGED
    assert texts(path) == []
    assert look(path) is Found.OURS


def test_looking_at_a_file_that_this_process_writes_does_not_end_its_locks(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    database = open_file(path)
    database._connection.execute("PRAGMA journal_mode = delete").fetchall()
    database._connection.execute("BEGIN IMMEDIATE")
    assert look(path) is Found.OURS
    assert path in belonging(path)
    prepare(path)
    other = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute('BEGIN IMMEDIATE')"
    tried = subprocess.run([sys.executable, "-c", other, str(path)], capture_output=True, check=False)
    database.close()
    assert b"locked" in tried.stderr
