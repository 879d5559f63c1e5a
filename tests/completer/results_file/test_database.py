from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.completer.results_file.database import Database
from jupyter_turbopilot.sqlite_file import connection
from jupyter_turbopilot.sqlite_file.connection import LONGEST, is_damage

from .answers import MEGABYTE, answers, open_file, texts, whole_size


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=6))
@settings(max_examples=20)
def test_of_what_was_written_at_a_place_the_newest_is_there(
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


def test_the_file_stays_within_its_bound_and_the_oldest_go_first(tmp_path: Path) -> None:
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


def test_a_smaller_bound_deletes_the_oldest_and_gives_the_room_back(tmp_path: Path) -> None:
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


def test_what_is_cleared_is_nowhere_in_the_file(tmp_path: Path) -> None:
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


def test_a_row_that_is_no_answer_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    database = open_file(path)
    database.add(answers(range(4)))
    database._connection.execute("UPDATE answers SET answer = x'5b5d' WHERE number = 2")
    database._connection.execute("UPDATE answers SET keys = 'text' WHERE number = 3")
    database.close()
    assert texts(path) == [f"answer{number}andsomemoreofit" for number in (3, 0)]


def test_a_row_that_is_too_long_is_neither_written_nor_read(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    database = open_file(path)
    database.add([*answers([1]), *answers([2], "{}" + "x" * LONGEST), *answers([3])])
    assert len(list(database.newest())) == 2
    database.close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE answers SET answer = zeroblob(?)", (2 * LONGEST,))
        other.commit()
    database = Database(path, MEGABYTE)
    with pytest.raises(sqlite3.Error) as error:
        list(database.newest())
    database.close()
    assert is_damage(error.value)


def test_a_clear_that_a_reader_blocks_fails_and_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WAIT", 0.05)
    path = tmp_path / "answers.db"
    database = open_file(path)
    database.add(answers([1]))
    with closing(connection.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM answers").fetchall()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            database.clear()
    assert database.count() == 1
    database.clear()
    database.close()
