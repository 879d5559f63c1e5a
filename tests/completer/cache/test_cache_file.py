from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.completer.cache.cache_file import SCHEMA, Database, Row, answer_of, locate, row_of
from jupyter_turbopilot.completer.cache.completion_cache import CacheEntry, CacheKey, CompletionCache
from jupyter_turbopilot.protocol.engine_request import Token
from jupyter_turbopilot.util import sqlite_file
from jupyter_turbopilot.util.sqlite_file import FileState, check

from .answers import MEGABYTE, answers, open_file, texts, whole_size


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=6))
@settings(max_examples=20)
def test_add_replaces_the_answer_at_the_same_position(
    tmp_path_factory: pytest.TempPathFactory, written: list[list[int]]
) -> None:
    path = tmp_path_factory.mktemp("file") / "answers.db"
    database = open_file(path)
    for batch in written:
        database.add(answers(batch))
    numbers = [number for batch in written for number in batch]
    newest = list(dict.fromkeys(reversed(numbers)))
    assert [answer.tokens[0].id for answer in database.newest()] == newest
    assert database.count() == len(newest)
    database.close()
    assert len(texts(path)) == len(newest)


def test_add_deletes_the_oldest_answers_beyond_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    database = open_file(path, MEGABYTE)
    most = 0
    for start in range(0, 2000, 40):
        database.add(answers(range(start, start + 40), "longer {} " + "text " * 30))
        most = max(most, whole_size(path))
    left = [answer.tokens[1].data for answer in database.newest()]
    database.close()
    assert most <= 1.1 * MEGABYTE
    assert len(left) > 50
    assert left == [f"{number}".encode() for number in range(1999, 1999 - len(left), -1)]


def test_fit_deletes_the_oldest_answers_and_frees_space(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    database = open_file(path)
    database.add(answers(range(1200), "longer {} " + "text " * 30))
    database.close()
    assert whole_size(path) > 2 * MEGABYTE
    database = Database(path, MEGABYTE)
    assert database.count() == 1200  # opening deletes nothing
    database.fit()
    assert whole_size(path) <= MEGABYTE
    assert next(database.newest()).tokens[1].data == b"1199"
    database.close()
    assert whole_size(path) <= MEGABYTE


def test_clear_removes_answers_from_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    database = open_file(path)
    database.add(answers(range(300), "zebra{}"))
    assert b"zebra" in b"".join(file.read_bytes() for file in tmp_path.iterdir())
    database.clear()
    assert database.count() == 0
    assert b"zebra" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert path.stat().st_size < MEGABYTE // 16
    database.add(answers([1]))
    database.close()
    assert len(texts(path)) == 1


@pytest.fixture(autouse=True)
def _open_to_all() -> Iterator[None]:
    """Set a umask that allows everything."""
    before = os.umask(0)
    yield
    os.umask(before)


def write_foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE thesis (chapter)")
        theirs.commit()


@pytest.mark.parametrize("name", ["answers.db", "a b#?%41[x].db"])
def test_prepare_creates_files_that_only_the_owner_can_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / "deep" / "er" / name
    assert SCHEMA.state_of(path) is FileState.NOTHING
    database = open_file(path)
    with database.transaction():
        database.add(answers(range(3)))
        beside = list(path.parent.iterdir())
        assert {file.name for file in beside} == {name, f"{name}-journal", f".{name}.lock"}
        assert {stat.S_IMODE(file.stat().st_mode) for file in beside} == {0o600}
        assert set(SCHEMA.owned_files(path)) == set(beside)
    database.close()
    assert SCHEMA.state_of(path) is FileState.OURS
    assert SCHEMA.is_ours(path)


def test_prepare_removes_the_permissions_of_others(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    open_file(path).close()
    path.chmod(0o644)
    SCHEMA.prepare(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="there are no users")
def test_is_ours_opens_no_file_that_others_could_replace(tmp_path: Path) -> None:
    path = tmp_path / "shared" / "answers.db"
    open_file(path).close()
    path.parent.chmod(0o777)
    for examine in (SCHEMA.is_ours, SCHEMA.owned_files):
        with pytest.raises(PermissionError, match="others may write to its folder"):
            examine(path)


@pytest.mark.parametrize("foreign", ["text", "database"])
def test_prepare_moves_a_foreign_file_aside(
    tmp_path: Path, foreign: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "answers.db"
    if foreign == "text":
        path.write_text("chapter" * 99)
    else:
        write_foreign(path)
    kept = path.read_bytes()
    assert SCHEMA.state_of(path) is FileState.FOREIGN
    assert path not in SCHEMA.owned_files(path)
    SCHEMA.prepare(path)
    assert SCHEMA.state_of(path) is FileState.OURS
    aside = tmp_path / "answers.db.aside"
    assert aside.read_bytes() == kept
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(aside) in caplog.text


@pytest.mark.parametrize("end", ["", "-journal", "-wal", "-shm"])
def test_prepare_replaces_no_file_that_was_moved_aside(tmp_path: Path, end: str) -> None:
    files = [tmp_path / "answers.db", tmp_path / f"answers.db.aside{end}"]
    for file in files:
        file.write_text(f"chapter {file.name}")
    with pytest.raises(FileExistsError, match=f"delete or rename {files[1].name}$"):
        SCHEMA.prepare(files[0])
    assert [file.read_text() for file in files] == [f"chapter {file.name}" for file in files]


@pytest.mark.parametrize("length", [16, 100, None])
def test_prepare_replaces_a_file_with_a_damaged_header(tmp_path: Path, length: int | None) -> None:
    path = tmp_path / "answers.db"
    database = open_file(path)
    database.add(answers([1]))
    database.close()
    content = path.read_bytes()
    zeros = bytes(len(content) if length is None else length)
    path.write_bytes(zeros + content[len(zeros) :])
    SCHEMA.prepare(path)
    assert texts(path) == []


@pytest.mark.parametrize("why", ["older", "damaged", "damaged definition", "another table"])
def test_prepare_replaces_an_unusable_file(
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
        with closing(sqlite_file.connect(path)) as opened:
            opened.execute(change)
    assert SCHEMA.state_of(path) is (FileState.OUTDATED if why == "older" else FileState.DAMAGED)
    assert texts(path) == []
    assert "replaced by a new file" in caplog.text
    assert {file.name for file in tmp_path.iterdir()} == {path.name, f".{path.name}.lock"}


def error_of(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("it fails")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR_NOMEM, sqlite3.SQLITE_BUSY]
)
@pytest.mark.parametrize("fails", ["connect", "Connection.execute"])
def test_prepare_keeps_answers_after_other_errors(
    tmp_path: Path, code: int, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "answers.db"
    database = open_file(path)
    database.add(answers([1]))
    database.close()

    class Failing(sqlite3.Connection):
        def execute(self, *_: object) -> sqlite3.Cursor:  # type: ignore[override]
            raise error_of(code)

    def connect(*given: Any, **more: Any) -> sqlite3.Connection:
        if fails == "connect":
            raise error_of(code)
        return Failing(*given, **more)

    with monkeypatch.context() as short:
        short.setattr(sqlite_file.sqlite3, "connect", connect)
        with pytest.raises(sqlite3.OperationalError):
            SCHEMA.prepare(path)
    assert texts(path) == [answer.text for answer in answers([1])]


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
    ],
)
def test_prepare_replaces_a_file_with_other_tables(tmp_path: Path, statements: list[str]) -> None:
    path = tmp_path / "answers.db"
    open_file(path).close()
    with closing(sqlite_file.connect(path)) as opened:
        for statement in statements:
            opened.execute(statement)
    assert SCHEMA.state_of(path) is FileState.DAMAGED
    assert texts(path) == []
    assert SCHEMA.state_of(path) is FileState.OURS


def test_look_keeps_the_locks_of_this_process(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    database = open_file(path)
    database._connection.execute("BEGIN IMMEDIATE")
    assert SCHEMA.state_of(path) is FileState.OURS
    assert path in SCHEMA.owned_files(path)
    SCHEMA.prepare(path)
    other = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute('BEGIN IMMEDIATE')"
    tried = subprocess.run([sys.executable, "-c", other, str(path)], capture_output=True, check=False)
    database.close()
    assert b"locked" in tried.stderr


def test_located_resolves_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target.db", tmp_path / "link.db"
    link.symlink_to(target)
    assert locate(link) == locate(target) == target
    with pytest.raises(PermissionError, match="is a link"):
        check(link)
    assert locate("~/a.db") == locate(Path.home() / "a.db")


@given(st.text())
def test_located_returns_an_absolute_path_or_raises(name: str) -> None:
    for path in (name, f"/{name}", f"~/{name}"):
        try:
            assert locate(path).is_absolute()
        except OSError as error:
            assert error.strerror


TOKENS = st.lists(
    st.builds(Token, st.binary(min_size=1, max_size=5), st.floats(0, 1), st.integers(-1, 1 << 18))
)


@given(TOKENS, st.tuples(st.integers(), st.booleans()), st.booleans())
def test_answer_of_restores_the_answer(tokens: list[Token], limit: object, ended: bool) -> None:
    kept: list[CacheEntry] = []
    CompletionCache(1 << 24, kept.append).remember(
        CacheKey("g", "x ", limit=limit, persistent=True), tokens, ended=ended
    )  # type: ignore[arg-type]
    for answer in kept:
        back = answer_of(row_of(answer))
        assert back is not None
        assert vars(back) | {"text": back.text} == vars(answer) | {"text": answer.text}
    assert kept


@given(st.data())
def test_answer_of_rejects_a_changed_byte(data: st.DataObject) -> None:
    (answer,) = answers([1])
    row = row_of(answer)
    field = data.draw(st.sampled_from(Row._fields))
    content = bytearray(getattr(row, field))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    assert answer_of(row._replace(**{field: bytes(content)})) is None


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_answer_of_rejects_rows_in_another_format(keys: bytes, written: bytes) -> None:
    (answer,) = answers([1])
    row = row_of(answer)
    signed = row_of(CacheEntry((keys,), answer.tokens, "", ended=True))  # a valid digest with invalid keys
    assert answer_of(signed) is None
    assert answer_of(row._replace(answer=written)) is None


def test_row_of_contains_neither_context_nor_request() -> None:
    (answer,) = answers([77])
    written = msgspec.json.decode(row_of(answer).answer)
    assert written == [
        [[token.data.decode(), token.probability, 77, 0.0] for token in answer.tokens],
        "(48, True, 0.5)",
        False,
    ]


@given(
    st.floats().filter(lambda chance: not 0 <= chance <= 1.001) | st.just(0.5),
    st.integers(-(1 << 63), (1 << 63) - 1).filter(lambda number: not -1 <= number < 1 << 31),
)
def test_answer_of_rejects_impossible_probabilities_and_tokens(chance: float, number: int) -> None:
    (answer,) = answers([1])
    for token in (Token(b"a", 0.5, number), Token(b"a", chance, number if chance == 0.5 else 1)):
        assert answer_of(row_of(replace(answer, tokens=(token, *answer.tokens[1:])))) is None
