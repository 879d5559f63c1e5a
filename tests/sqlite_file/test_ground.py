from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.completer.results_file import disk
from jupyter_turbopilot.sqlite_file import connection, ground
from jupyter_turbopilot.sqlite_file.ground import check, delete, located

from ..completer.results_file.answers import open_file

ELSEWHERE = "only you can write to"


def refused(path: Path, why: str) -> None:
    """Nothing looks at a file, opens it or writes to its folder."""
    before = sorted(path.parent.iterdir())
    for act in (disk.look, disk.prepare, connection.connect):
        with pytest.raises(PermissionError, match=why) as error:
            act(path)
        assert ELSEWHERE in str(error.value)
    assert sorted(path.parent.iterdir()) == before


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "answers.db"
    open_file(path).close()
    tmp_path.chmod(mode)
    refused(path, "others may write")
    tmp_path.chmod(0o755)
    check(path)


@pytest.mark.parametrize("others", [[], ["me"], ["me", "bob"], ["unknown"]])
def test_a_group_of_ones_own_may_write(
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


def test_a_group_that_is_anothers_first_one_may_not_write(
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


def make_pipe(path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("there are no pipes in folders")
    os.mkfifo(path)


@pytest.mark.parametrize("end", ["-wal", "-shm", "-journal", "lock"])
@pytest.mark.parametrize("make", [lambda path: path.symlink_to(path.parent / "victim"), make_pipe])
def test_a_link_or_a_pipe_beside_the_file_is_refused(
    tmp_path: Path, end: str, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "answers.db"
    open_file(path).close()
    one = ground.lock_path(path) if end == "lock" else Path(f"{path}{end}")
    one.unlink(missing_ok=True)
    make(one)
    refused(path, "is a link|is not a file")
    assert not (tmp_path / "victim").exists()


def test_what_another_user_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "answers.db"
    open_file(path).close()
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    refused(path, "belongs to another user")
    monkeypatch.setattr(ground, "_check_folder", lambda _: None)
    refused(path, "answers.db belongs to another user")


def test_where_files_have_no_owners_the_folder_is_the_persons_and_a_link_is_still_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "answers.db"
    open_file(path).close()
    tmp_path.chmod(0o777)
    monkeypatch.delattr(os, "getuid")  # as on Windows
    check(path)
    Path(f"{path}-wal").symlink_to(tmp_path / "victim")
    refused(path, "is a link")


def test_a_link_that_the_setting_names_is_followed_once(tmp_path: Path) -> None:
    target, link = tmp_path / "target.db", tmp_path / "link.db"
    link.symlink_to(target)
    assert located(link) == located(target) == target
    with pytest.raises(PermissionError, match="is a link"):
        check(link)
    assert located("~/a.db") == located(Path.home() / "a.db")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("answers.db", "relative"),
        ("./folder/answers.db", "relative"),
        ("", "relative"),
        ("~nosuchuser/answers.db", "home folder"),
        ("/tmp/an\0swers.db", "not a valid path"),
    ],
)
def test_what_names_no_file_is_an_error_that_says_why(name: str, why: str) -> None:
    with pytest.raises(OSError, match=why):
        located(name)


@given(st.text())
def test_whatever_the_setting_is_it_names_an_absolute_path_or_is_refused(name: str) -> None:
    for path in (name, f"/{name}", f"~/{name}"):
        try:
            assert located(path).is_absolute()
        except OSError as error:
            assert error.strerror


def test_what_cannot_be_deleted_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    path.touch()
    Path(f"{path}-wal").mkdir()
    with pytest.raises(OSError, match="wal"):
        delete(path)
    assert path.exists()


def test_the_root_of_all_folders_names_no_file() -> None:
    with pytest.raises(OSError, match="it names a folder"):
        located("/")
