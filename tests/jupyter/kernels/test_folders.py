from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_turbopilot.analysis.texts import Readable, Texts
from jupyter_turbopilot.jupyter.kernels import folders


def read(
    folder: Path, readable: Readable, is_allowed: Callable[[str], bool] = lambda _: True
) -> Texts | None:
    found = folder.stat()
    return folders.read(str(folder), f"{found.st_dev} {found.st_ino}", readable, is_allowed)


def names(folder: Path, path: str = "") -> Texts | None:
    return read(folder, Readable("files", path))


def columns(folder: Path, path: str, separator: str = ",") -> tuple[str, ...] | None:
    found = read(folder, Readable("header", path, separator))
    return found and found.texts


def test_read_lists_files_and_folders(tmp_path: Path) -> None:
    for name in ("orders.csv", ".hidden"):
        (tmp_path / name).write_text("x")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "inner.txt").write_text("x")
    assert names(tmp_path) == Texts(("data/", "orders.csv"), all=True)
    assert names(tmp_path, "data/") == Texts(("inner.txt",), all=True)
    assert names(tmp_path / "data", "../") == Texts(("data/", "orders.csv"), all=True)
    assert names(tmp_path, "missing/") is None
    assert names(tmp_path, "orders.csv/") is None
    assert names(tmp_path, "\0/") is None
    (tmp_path / "it's.csv").write_text("x")
    assert names(tmp_path) == Texts(("data/", "orders.csv"), all=False)


def test_read_leaves_the_folder_of_another_machine(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("x")
    for other in ("1 2", ""):
        assert folders.read(str(tmp_path), other, Readable("files", ""), lambda _: True) is None


def test_read_looks_for_the_path_without_links_of_each_file(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "orders.csv").write_text("a,b\n")
    (tmp_path / "secret.csv").write_text("c,d\n")
    (tmp_path / "plain" / "copy.csv").symlink_to(tmp_path / "secret.csv")
    (tmp_path / "linked").symlink_to(tmp_path / "plain")
    asked: list[str] = []

    def is_allowed(path: str) -> bool:
        asked.append(path)
        return "secret" not in path

    assert read(tmp_path, Readable("files", "linked/"), is_allowed) == Texts(("orders.csv",), all=False)
    assert os.path.realpath(tmp_path / "plain" / "orders.csv") in asked
    assert read(tmp_path, Readable("header", "linked/copy.csv", ","), is_allowed) is None


def test_read_lists_the_first_files_of_a_large_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MOST_FILES", 3)
    for number in range(4):
        (tmp_path / f"{number}.csv").write_text("x")
    found = names(tmp_path)
    assert found
    assert len(found.texts) == 3
    assert not found.all


def test_read_omits_what_is_not_allowed(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("a,b\n")
    (tmp_path / "secret.csv").write_text("c,d\n")

    def is_allowed(path: str) -> bool:
        return "secret" not in path

    listed = read(tmp_path, Readable("files", ""), is_allowed)
    assert listed == Texts(("orders.csv",), all=False)
    assert read(tmp_path, Readable("header", "secret.csv", ","), is_allowed) is None
    assert read(tmp_path, Readable("files", ""), lambda _: False) is None


@pytest.mark.parametrize(
    ("content", "separator", "labels"),
    [
        ("name,total\nx,1\n", ",", ("name", "total")),
        ('"a, b",c\r\n1,2\r\n', ",", ("a, b", "c")),
        ("\ufeffname;total\n", ";", ("name", "total")),
        ("name\ttotal\n", "\t", ("name", "total")),
        ("name,total", ",", ("name", "total")),
        (",total\n", ",", ("Unnamed: 0", "total")),
        ("name,name\n", ",", None),
        ("", ",", None),
        ("gr\udcf6\udcdfe,b\n", ",", None),  # of another encoding
        (f"{'w' * 121},b\n", ",", None),
        ("a\x00b,c\n", ",", None),
    ],
)
def test_read_returns_the_columns_of_a_text_file(
    tmp_path: Path, content: str, separator: str, labels: tuple[str, ...] | None
) -> None:
    (tmp_path / "t.csv").write_text(content, encoding="utf-8", errors="surrogateescape", newline="")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(content.encode(errors="surrogateescape")))
    assert columns(tmp_path, "t.csv", separator) == labels
    assert columns(tmp_path, "t.csv.gz", separator) == labels


def test_read_returns_no_columns_of_a_line_that_is_too_long(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(",".join(f"column{number}" for number in range(20_000)))
    assert columns(tmp_path, "t.csv") is None
    (tmp_path / "broken.csv").write_bytes(b"\x1f\x8bbroken")
    assert columns(tmp_path, "broken.csv") is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_read_waits_for_no_pipe_or_device(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    (tmp_path / "other.csv").symlink_to("/proc/self/status")
    assert columns(tmp_path, "pipe.csv") is None
    assert columns(tmp_path, "zero.csv") is None
    assert columns(tmp_path, "other.csv") is None
    (tmp_path / "elsewhere").symlink_to("/proc/self")
    assert names(tmp_path, "elsewhere/") is None
