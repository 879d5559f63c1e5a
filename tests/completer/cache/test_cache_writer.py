from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

from jupyter_turbopilot.completer.cache import cache_writer as keeper
from jupyter_turbopilot.completer.cache.cache_writer import WAITING, CacheWriter
from jupyter_turbopilot.completer.cache.completion_cache import CacheEntry, CompletionCache
from jupyter_turbopilot.util import sqlite_file
from jupyter_turbopilot.util.files import lock_path
from jupyter_turbopilot.util.sqlite_file import delete

from ...index.folders import until
from .answers import MEGABYTE, answers, cache_key, open_file, texts

LIMIT = 64 * MEGABYTE


def nothing(_: CacheEntry) -> bool:
    return False


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make results independent of the load of the machine."""
    monkeypatch.setattr(keeper, "PATIENCE", 30.0)


def test_keeper_restores_the_newest_answers_that_fit(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    database = open_file(path)
    database.add(answers(range(200)))
    database.close()
    size = answers([199])[0].size
    results = CompletionCache(10 * size)
    reader = CacheWriter(path, LIMIT)
    reader.start(results.restore)
    until(lambda: results.size == 10 * size)
    reader.close()
    assert [number for number in range(200) if results.find(cache_key(number))] == [*range(190, 200)]


def test_keep_does_not_wait_for_a_locked_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "PATIENCE", 0.05)
    path = tmp_path / "answers.db"
    open_file(path).close()
    writer = CacheWriter(path, LIMIT)
    with closing(sqlite_file.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        writer.start(nothing)
        ours = answers(range(3 * WAITING))
        for answer in ours:
            writer.keep(answer)
        assert texts(path) == []  # written without waiting
        other.execute("ROLLBACK")
        writer.close()
    until(lambda: texts(path)[::-1] == [answer.text for answer in ours[:WAITING]])


def refuse_locks(*_: object, **__: object) -> None:
    raise NotImplementedError


@pytest.mark.parametrize(
    "error", ["no room", "disk is full", "read-only", "folder", "relative", "held", "no locks", "bug"]
)
def test_keeper_reports_trouble_once_and_continues_in_memory(
    tmp_path: Path, error: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "answers.db"
    if error == "no room":
        monkeypatch.setattr(keeper, "free_room", lambda _: 10 * MEGABYTE)
    elif error == "disk is full":
        pages = "PRAGMA max_page_count = 1"
        monkeypatch.setattr(keeper.Database, "fit", lambda self: self._connection.execute(pages).fetchall())
    elif error == "read-only":
        pragma = "PRAGMA query_only = ON"
        monkeypatch.setattr(keeper.Database, "fit", lambda self: self._connection.execute(pragma))
    elif error == "folder":
        path.mkdir()
    elif error == "relative":
        path = Path("answers.db")
    elif error == "held":
        monkeypatch.setattr(sqlite_file, "WAIT", 0.05)
        held = FileLock(lock_path(path))
        held.acquire()
    elif error == "no locks":
        monkeypatch.setattr(FileLock, "acquire", refuse_locks)
    else:
        monkeypatch.setattr(keeper, "Database", lambda *_: 1 / 0)
    one = CacheWriter(path, LIMIT)
    results = CompletionCache(MEGABYTE, one.keep)
    one.start(results.restore)
    for answer in answers(range(90)):
        one.keep(answer)
    until(lambda: one.error)
    for answer in answers(range(9)):
        one.keep(answer)
    one.close()
    message = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(message) == 1
    assert "in memory" in message[0].getMessage()
    assert one.error.startswith("Completions are not saved to the file in c.Turbopilot.cache_file: ")
    assert one.error.removesuffix(".").rpartition(": ")[2] in message[0].getMessage()
    assert str(tmp_path) not in one.error
    assert "somemore" not in caplog.text
    one.close()


def test_keeper_replaces_a_file_damaged_while_in_use_at_the_next_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "answers.db"
    one = CacheWriter(path, LIMIT)
    one.start(nothing)
    until(path.exists)
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE answers")
        other.commit()
    one.keep(*answers([1]))
    until(lambda: "begins a new one" in caplog.text)
    assert texts(path) == []


@pytest.mark.parametrize("loss", ["deleted", "deleted with its folder", "replaced", "moved away"])
def test_keeper_creates_a_deleted_file_with_the_next_answer(
    tmp_path: Path, loss: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "folder" / "answers.db"
    one = CacheWriter(path, LIMIT)
    one.start(nothing)
    first, second, third = answers([1, 2, 3])
    one.keep(first)
    until(lambda: path.exists() and texts(path))
    if loss == "replaced":
        other = tmp_path / "other.db"
        open_file(other).close()
        delete(path)
        other.replace(path)
    elif loss == "moved away":
        path.rename(tmp_path / "away.db")
    else:
        delete(path)
        if loss != "deleted":
            shutil.rmtree(path.parent)
    one.keep(second)
    until(lambda: path.exists() and texts(path))
    one.keep(third)
    one.close()
    # The user deleted the first one on purpose.
    assert texts(path) == [third.text, second.text]
    assert caplog.text.count("was deleted or replaced") == 1
    assert not one.error
