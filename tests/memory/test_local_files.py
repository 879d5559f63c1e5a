from __future__ import annotations

import os
from pathlib import Path

import pytest  # noqa: TC002 - fixtures

from jupyter_turbopilot.memory import local_files
from jupyter_turbopilot.memory.left_out import MOST_BYTES
from jupyter_turbopilot.memory.local_files import LocalFiles

from .notebooks import write


def paths(source: LocalFiles, folder: str = "") -> list[str]:
    return sorted(one.path for one in source.walk(folder))


def test_what_a_person_wrote_is_found_and_the_rest_is_not(tmp_path: Path) -> None:
    for path in (
        "a.ipynb", "deep/er/b.ipynb", ".hidden/c.ipynb", "x/.ipynb_checkpoints/d.ipynb", "secrets.ipynb",
        "node_modules/e.ipynb", "envs/mine/lib/f.ipynb",
    ):  # fmt: skip
        write(tmp_path, path, "x = 1")
    (tmp_path / "envs/mine/pyvenv.cfg").touch()
    (tmp_path / "data.csv").touch()
    source = LocalFiles(tmp_path)
    assert paths(source) == ["a.ipynb", "deep/er/b.ipynb"]
    assert paths(source, "deep") == ["deep/er/b.ipynb"]
    assert paths(source, "missing") == paths(source, "a.ipynb") == []
    assert source.look("a.ipynb") == next(one for one in source.walk() if one.path == "a.ipynb")
    for path in (
        "secrets.ipynb",
        "envs/mine/lib/f.ipynb",
        "deep",
        "missing.py",
        "../a.ipynb",
        ".hidden/c.ipynb",
    ):
        assert source.look(path) is None


def test_links_are_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    write(root, "a/b.ipynb", "x = 1")
    write(outside, "theirs.ipynb", "y = 1")
    (root / "a/circle").symlink_to(root)
    (root / "out").symlink_to(outside)
    (root / "link.ipynb").symlink_to(outside / "theirs.ipynb")
    source = LocalFiles(root)
    assert paths(source) == ["a/b.ipynb"]
    assert paths(source, "out") == []
    for path in ("out/theirs.ipynb", "link.ipynb", "a/circle/a/b.ipynb"):
        assert source.look(path) is None
    assert source.read("link.ipynb") == ""


def test_a_root_that_is_a_link_is_the_folder_it_leads_to(tmp_path: Path) -> None:
    write(tmp_path / "real", "a.ipynb", "x = 1")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert LocalFiles(tmp_path / "link").identity == LocalFiles(tmp_path / "real").identity
    assert paths(LocalFiles(tmp_path / "link")) == ["a.ipynb"]


def test_a_folder_that_cannot_be_read_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.ipynb", "x = 1")
    write(tmp_path, "locked/b.ipynb", "x = 1")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("locked"):
            raise PermissionError
        return scandir(path)

    monkeypatch.setattr(local_files.os, "scandir", refuse)
    assert paths(LocalFiles(tmp_path)) == ["a.ipynb"]


def test_of_a_folder_of_very_many_files_a_part_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_files, "MOST_LOOKED_AT", 10)
    for at in range(50):
        (tmp_path / f"{at}.py").touch()
    assert len(paths(LocalFiles(tmp_path))) == 10


def test_text_is_read_that_is_utf_8_and_not_too_long(tmp_path: Path) -> None:
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
    assert source.read("pipe.py") == source.read("missing.py") == ""
    assert source.look("pipe.py") is None


def test_a_file_that_changes_has_another_stamp_and_one_that_is_gone_has_none(tmp_path: Path) -> None:
    file = write(tmp_path, "a.ipynb", "x = 1")
    source = LocalFiles(tmp_path)
    before = source.stamp("a.ipynb")
    os.utime(file, (1, 1))
    assert source.stamp("a.ipynb") != before
    assert source.there(["a.ipynb", "b.ipynb", "bad\0name"], otherwise=True) == {"a.ipynb"}
    file.unlink()
    assert source.stamp("a.ipynb") is None


def test_where_a_disk_is_slow_what_was_seen_a_moment_ago_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.ipynb", "x = 1")
    monkeypatch.setattr(local_files, "_ANSWER_IN", -1.0)
    source = LocalFiles(tmp_path)
    assert source.there(["a.ipynb", "gone.ipynb"], otherwise=True) == {"a.ipynb", "gone.ipynb"}
    assert source.there(["a.ipynb", "gone.ipynb"], otherwise=False) == set()


def test_what_is_not_shown_to_the_person_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, "a.ipynb", "x = 1")
    write(tmp_path, "mine~/b.ipynb", "x = 1")
    source = LocalFiles(tmp_path, lambda name: not name.endswith("~"))
    assert paths(source) == ["a.ipynb"]
    assert LocalFiles(tmp_path, lambda _: False).look("a.ipynb") is None
