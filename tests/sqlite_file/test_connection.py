from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.sqlite_file.connection import OpenFile, connect, is_busy, is_damage, reason_of
from jupyter_turbopilot.suggestion.cache import Answer

from ..completer.results_file.answers import MEGABYTE, answers, open_file


def test_connect_creates_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        connect(tmp_path / "answers.db")
    assert not list(tmp_path.iterdir())


def test_connect_sets_a_rollback_journal_and_secure_deletion(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    open_file(path).close()
    with closing(connect(path)) as opened:
        names = ("journal_mode", "secure_delete", "trusted_schema")
        values = [opened.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
        assert values == ["delete", 1, 0]


def test_connect_converts_a_file_with_a_write_ahead_log(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    database = open_file(path)
    database.add(answers([1]))
    database.close()
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA journal_mode = wal").fetchone() == ("wal",)
    with closing(open_file(path)) as opened:
        assert opened.count() == 1
        assert {file.name for file in tmp_path.iterdir()} == {path.name, f".{path.name}.lock"}


def test_a_transaction_that_fails_within_another_undoes_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    first, second, third = answers([1, 2, 3])

    def fail_after_one() -> Iterator[Answer]:
        yield second
        raise ZeroDivisionError

    with closing(open_file(path)) as opened:
        with opened.transaction():
            opened.add([first])
            with pytest.raises(ZeroDivisionError):
                opened.add(fail_after_one())
            opened.add([third])
        with pytest.raises(ZeroDivisionError):
            opened.add(fail_after_one())
        assert [answer.text for answer in opened.newest()] == [third.text, first.text]


def test_a_deferred_transaction_reads_a_single_state(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    with closing(open_file(path)) as writer, closing(OpenFile(path, MEGABYTE, wait=0.01)) as reader:
        writer.add(answers([1]))
        with reader.transaction("DEFERRED"):
            assert reader._connection.execute("SELECT count(*) FROM answers").fetchone() == (1,)
            writer._connection.execute("PRAGMA busy_timeout = 10").fetchall()
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                writer.add(answers([2]))
        writer.add(answers([2]))
        assert reader._connection.execute("SELECT count(*) FROM answers").fetchone() == (2,)


@given(st.integers(0, 1 << 16))
def test_no_error_is_both_damage_and_a_lock(code: int) -> None:
    error = sqlite3.OperationalError()
    assert not is_busy(error)
    assert not is_damage(error)
    error.sqlite_errorcode = code
    assert not (is_busy(error) and is_damage(error))
    assert is_busy(error) == (code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def test_a_python_without_full_text_search_is_not_called_damage() -> None:
    with closing(sqlite3.connect(":memory:")) as opened, pytest.raises(sqlite3.OperationalError) as error:
        opened.execute("CREATE VIRTUAL TABLE words USING fts99(text)")
    assert "FTS5" in reason_of(error.value)


def test_a_file_without_a_table_is_damaged() -> None:
    with closing(sqlite3.connect(":memory:")) as opened, pytest.raises(sqlite3.OperationalError) as error:
        opened.execute("SELECT * FROM words")
    assert "damaged" in reason_of(error.value)
