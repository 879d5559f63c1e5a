import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.completer.cache.cache_file import SCHEMA
from jupyter_turbopilot.completer.cache.completion_cache import CacheEntry
from jupyter_turbopilot.util import sqlite_file
from jupyter_turbopilot.util.files import lock_path
from jupyter_turbopilot.util.sqlite_file import (
    check,
    connect,
    delete,
    is_busy,
    is_damage,
    reason_of,
)

from ..completer.cache.answers import answers, open_file


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


def test_inner_transaction_rolls_back_alone(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    first, second, third = answers([1, 2, 3])

    def fail_after_one() -> Iterator[CacheEntry]:
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


@given(st.integers(0, 1 << 16))
def test_errors_are_either_damage_or_locks(code: int) -> None:
    error = sqlite3.OperationalError()
    assert not is_busy(error)
    assert not is_damage(error)
    error.sqlite_errorcode = code
    assert not (is_busy(error) and is_damage(error))
    assert is_busy(error) == (code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def test_is_damage_includes_a_missing_table() -> None:
    with closing(sqlite3.connect(":memory:")) as opened, pytest.raises(sqlite3.OperationalError) as error:
        opened.execute("SELECT * FROM words")
    assert "damaged" in reason_of(error.value)


ADVICE = "only you can write to"


def refused(path: Path, why: str) -> None:
    """Check that a path is rejected without opening a file or writing to its folder."""
    before = sorted(path.parent.iterdir())
    for act in (SCHEMA.state_of, SCHEMA.prepare, sqlite_file.connect):
        with pytest.raises(PermissionError, match=why) as error:
            act(path)
        assert ADVICE in str(error.value)
    assert sorted(path.parent.iterdir()) == before


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_check_rejects_a_folder_that_others_can_write_to(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "answers.db"
    open_file(path).close()
    tmp_path.chmod(mode)
    refused(path, "others may write")
    tmp_path.chmod(0o755)
    check(path)


@pytest.mark.parametrize("others", [[], ["me"], ["me", "bob"], ["unknown"]])
def test_check_accepts_a_private_group(
    tmp_path: Path, others: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import grp
    import pwd

    users = [
        SimpleNamespace(pw_name=name, pw_uid=uid, pw_gid=-1)
        for name, uid in (("me", os.getuid()), ("bob", -1))
    ]
    monkeypatch.setattr(pwd, "getpwall", lambda: users)
    monkeypatch.setattr(grp, "getgrgid", lambda _: SimpleNamespace(gr_mem=others))
    tmp_path.chmod(0o775)
    if set(others) <= {"me"}:
        check(tmp_path / "answers.db")
    else:
        refused(tmp_path / "answers.db", "others may write")


def test_check_rejects_a_group_that_is_another_users_primary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import grp
    import pwd

    def nameless(_: int) -> None:
        raise KeyError

    bob = SimpleNamespace(pw_name="bob", pw_uid=-1, pw_gid=tmp_path.stat().st_gid)
    monkeypatch.setattr(pwd, "getpwall", lambda: [bob])
    monkeypatch.setattr(grp, "getgrgid", nameless)
    tmp_path.chmod(0o770)
    refused(tmp_path / "answers.db", "others may write")


@pytest.mark.parametrize("end", ["-wal", "-shm", "-journal", "lock"])
def test_check_rejects_a_link_beside_the_file(tmp_path: Path, end: str) -> None:
    path = tmp_path / "answers.db"
    open_file(path).close()
    one = lock_path(path) if end == "lock" else Path(f"{path}{end}")
    one.unlink(missing_ok=True)
    one.symlink_to(path.parent / "victim")
    refused(path, "is a link")
    assert not (tmp_path / "victim").exists()


def make_pipe(path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("there are no pipes in folders")
    os.mkfifo(path)


@pytest.mark.parametrize("end", ["", "-journal"])
@pytest.mark.parametrize("make", [Path.mkdir, make_pipe])
def test_check_rejects_folders_and_pipes(tmp_path: Path, end: str, make: Callable[[Path], None]) -> None:
    path = tmp_path / "answers.db"
    make(Path(f"{path}{end}"))
    for act in (SCHEMA.state_of, SCHEMA.prepare, sqlite_file.connect):
        with pytest.raises(IsADirectoryError, match=f"answers.db{end} is a folder"):
            act(path)
    assert len([*tmp_path.iterdir()]) == 1


def test_check_rejects_files_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "answers.db"
    open_file(path).close()
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    refused(path, "belongs to another user")
    monkeypatch.setattr(sqlite_file, "_check_folder", lambda _: None)
    refused(path, "answers.db belongs to another user")


def test_check_without_file_owners_still_rejects_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "answers.db"
    open_file(path).close()
    tmp_path.chmod(0o777)
    monkeypatch.delattr(os, "getuid")  # as on Windows
    check(path)
    Path(f"{path}-wal").symlink_to(tmp_path / "victim")
    refused(path, "is a link")


def test_delete_raises_if_a_file_cannot_be_deleted(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    path.touch()
    Path(f"{path}-wal").mkdir()
    with pytest.raises(OSError, match="wal"):
        delete(path)
    assert path.exists()
