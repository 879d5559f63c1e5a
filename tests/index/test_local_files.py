import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_turbopilot.index import local_files
from jupyter_turbopilot.index.excluded import MOST_BYTES
from jupyter_turbopilot.index.local_files import LocalFiles

from .folders import until
from .notebooks import write


def paths(source: LocalFiles) -> list[str]:
    return sorted(one.path for one in source.walk([]))


def test_walk_returns_only_the_users_own_files(tmp_path: Path) -> None:
    for path in (
        "a.ipynb", "deep/er/b.ipynb", ".hidden/c.ipynb", "x/.ipynb_checkpoints/d.ipynb", "secrets.ipynb",
        "node_modules/e.ipynb", "envs/mine/lib/f.ipynb",
    ):  # fmt: skip
        write(tmp_path, path, "x = 1")
    (tmp_path / "envs/mine/pyvenv.cfg").touch()
    (tmp_path / "data.csv").touch()
    source = LocalFiles(tmp_path)
    assert paths(source) == ["a.ipynb", "deep/er/b.ipynb"]
    assert source.look("a.ipynb") == next(one for one in source.walk([]) if one.path == "a.ipynb")
    for path in (
        "secrets.ipynb",
        "envs/mine/lib/f.ipynb",
        "missing.py",
        "../a.ipynb",
        ".hidden/c.ipynb",
    ):
        assert source.look(path) is None
    with pytest.raises(IsADirectoryError):
        source.look("deep")


def test_walk_does_not_follow_links(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    write(root, "a/b.ipynb", "x = 1")
    write(outside, "theirs.ipynb", "y = 1")
    (root / "a/circle").symlink_to(root)
    (root / "out").symlink_to(outside)
    (root / "link.ipynb").symlink_to(outside / "theirs.ipynb")
    source = LocalFiles(root)
    assert paths(source) == ["a/b.ipynb"]
    for path in ("out/theirs.ipynb", "link.ipynb", "a/circle/a/b.ipynb"):
        assert source.look(path) is None
    with pytest.raises(OSError, match="symbolic"):
        source.read("link.ipynb")


def test_walk_reads_part_of_a_huge_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(50):
        (tmp_path / f"{at}.py").touch()
        (tmp_path / f"{at}.png").touch()
    write(tmp_path, "deep/a.ipynb", "x = 1")
    unseen: list[str] = []
    assert len([*LocalFiles(tmp_path).walk(unseen)]) == 51
    assert unseen == []
    monkeypatch.setattr(local_files, "MOST_FOUND", 10)
    assert len([*LocalFiles(tmp_path).walk(unseen)]) <= 10
    assert unseen[0] == ""
    monkeypatch.setattr(local_files, "MOST_FOUND", 1000)
    monkeypatch.setattr(local_files, "MOST_IN_A_FOLDER", 20)
    unseen.clear()
    assert len([*LocalFiles(tmp_path).walk(unseen)]) <= 21
    assert unseen == [""]


def test_read_returns_short_utf_8_text(tmp_path: Path) -> None:
    source = LocalFiles(tmp_path)
    for name, content, expected in (
        ("a.py", "é = 1".encode(), "é = 1"),
        ("bom.py", b"\xef\xbb\xbfx = 1", "x = 1"),
        ("wide.py", "x = 1".encode("utf-16"), ""),
        ("huge.py", b"x" * (MOST_BYTES + 1), ""),
    ):
        (tmp_path / name).write_bytes(content)
        assert source.read(name) == expected
    os.mkfifo(tmp_path / "pipe.py")
    assert source.read("pipe.py") == ""
    with pytest.raises(FileNotFoundError):  # an unreadable file is not an empty one
        source.read("missing.py")
    assert source.look("pipe.py") is None


def test_look_stamp_changes_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_files, "_ANSWER_IN", 5.0)  # independent of the load of the machine
    file = write(tmp_path, "a.ipynb", "x = 1")
    source = LocalFiles(tmp_path)
    assert (before := source.look("a.ipynb"))
    os.utime(file, (1, 1))
    assert (after := source.look("a.ipynb"))
    assert after.stamp != before.stamp
    assert source.there(["a.ipynb", "b.ipynb", "bad\0name"], otherwise=True) == {"a.ipynb"}
    file.unlink()
    assert source.look("a.ipynb") is None
    assert source.look("bad\0name.py") is None


@pytest.mark.parametrize("code", [errno.ESTALE, errno.EIO, errno.EACCES])
def test_look_raises_if_the_disk_fails(tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.ipynb", "x = 1")
    write(tmp_path, "deep/b.ipynb", "x = 1")
    source = LocalFiles(tmp_path)

    def refusing(act: Callable[[str], object]) -> Callable[[str], object]:
        def refuse(path: str) -> object:
            if str(path).endswith(("deep", "deep/b.ipynb")):
                raise OSError(code, os.strerror(code))
            return act(path)

        return refuse

    monkeypatch.setattr(local_files, "_ANSWER_IN", 5.0)  # independent of the load of the machine
    for name in ("scandir", "lstat"):
        monkeypatch.setattr(local_files.os, name, refusing(getattr(os, name)))
    unseen: list[str] = []
    assert [one.path for one in source.walk(unseen)] == ["a.ipynb"]
    assert unseen == ["deep"]
    with pytest.raises(OSError, match=os.strerror(code)):
        source.look("deep/b.ipynb")
    assert source.there(["deep/b.ipynb"], otherwise=True) == set()


def test_walk_reports_a_missing_root_as_unseen(tmp_path: Path) -> None:
    write(tmp_path, "work/deep/a.ipynb", "x = 1")
    source, unseen = LocalFiles(tmp_path / "work"), []
    walk = source.walk(unseen)
    (tmp_path / "work").rename(tmp_path / "away")  # during the walk
    assert [*walk] == []
    assert unseen == [""]
    with pytest.raises(FileNotFoundError):
        source.look("deep/a.ipynb")


def test_there_does_not_wait_for_a_stuck_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.ipynb", "x = 1")
    answers, lstat = threading.Event(), os.lstat

    def hangs(path: str) -> object:
        answers.wait(600)
        return lstat(path)

    source = LocalFiles(tmp_path)
    monkeypatch.setattr(local_files.os, "lstat", hangs)
    for _ in range(20):
        assert source.there(["a.ipynb"], otherwise=True) == {"a.ipynb"}
        assert source.there(["a.ipynb"], otherwise=False) == set()
    answers.set()
    until(lambda: source.there(["a.ipynb"], otherwise=False))


def test_look_checks_each_folder_of_a_path(tmp_path: Path) -> None:
    for path in ("shown/a.ipynb", "not_shown/deep/b.ipynb", "own/inner/c.ipynb"):
        write(tmp_path, path, "x = 1")
    (tmp_path / "own/pyvenv.cfg").touch()
    source = LocalFiles(tmp_path, lambda name: name != "not_shown")
    assert paths(source) == ["shown/a.ipynb"]
    for path in ("not_shown/deep/b.ipynb", "own/inner/c.ipynb"):
        assert source.look(path) is None


@pytest.fixture
def with_foreign_files(tmp_path: Path) -> Path:
    """Return a folder with files of the user and of another user."""
    if getattr(os, "getuid", lambda: 1)():
        pytest.skip("only root may give files away")
    for path in ("own.ipynb", "theirs.ipynb", "of_theirs/deep/a.ipynb", "of_ours/b.ipynb"):
        write(tmp_path, path, "x = 1")
    for path in ("theirs.ipynb", "of_theirs"):
        os.chown(tmp_path / path, 12345, 12345)
    return tmp_path


@pytest.mark.parametrize("mode", [0o1777, 0o777, 0o757, 0o702, 0o775, 0o2775, 0o770, 0o1770])
def test_walk_skips_foreign_files_where_others_may_write(with_foreign_files: Path, mode: int) -> None:
    source = LocalFiles(with_foreign_files)
    with_foreign_files.chmod(mode)
    assert paths(source) == ["of_ours/b.ipynb", "own.ipynb"]
    for path in ("theirs.ipynb", "of_theirs/deep/a.ipynb", "missing.ipynb"):
        assert source.look(path) is None
    assert source.look("own.ipynb")
    assert source.read("theirs.ipynb") == ""
    assert source.read("own.ipynb")


@pytest.mark.parametrize("mode", [0o755, 0o2755])
def test_walk_reads_foreign_files_where_no_other_user_may_write(with_foreign_files: Path, mode: int) -> None:
    with_foreign_files.chmod(mode)
    source = LocalFiles(with_foreign_files)
    assert len(paths(source)) == 4
    assert source.look("theirs.ipynb")
    assert source.read("theirs.ipynb")
